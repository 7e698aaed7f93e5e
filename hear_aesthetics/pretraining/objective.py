"""Masked prediction: from audio with holes, the codes of what was in the holes."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.pretraining.config import PretrainConfig
from hear_aesthetics.pretraining.targets.mel_rvq import MelRVQ
from hear_aesthetics.pretraining.targets.normalized_mel import TargetFeatures
from hear_aesthetics.pretraining.targets.random_projection import RandomProjection

__all__ = ["MaskedPrediction", "Prediction", "Tally"]

HEAD_STD = 0.02


class Prediction(NamedTuple):
    """What came out for a batch.

    Shape:
        - logits: ``(B, T, codebooks, codes)``; codes: ``(B, T, codebooks)``; mask: ``(B, T)``
    """

    logits: Tensor
    codes: Tensor
    mask: Tensor

    def loss(self, visible_weight: float = 0.0) -> Tensor:
        """Mean cross entropy of masked frames, plus that of visible ones with their weight."""
        loss = F.cross_entropy(
            self.logits[self.mask].flatten(0, 1), self.codes[self.mask].flatten()
        )
        visible = ~self.mask
        if visible_weight and bool(visible.any()):
            logits, codes = self.logits[visible], self.codes[visible]
            loss = loss + visible_weight * F.cross_entropy(logits.flatten(0, 1), codes.flatten())
        return loss


class MaskedPrediction(nn.Module):
    """An encoder, its targets, and a linear head that predicts them from its last state.

    Args:
        config: Of the run.
    """

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.encoder)
        self.features = TargetFeatures()
        quantiser = MelRVQ if config.source == "muq" else RandomProjection
        self.quantiser: nn.Module = quantiser(config.targets)
        targets = config.targets
        self.head = nn.Linear(config.encoder.dim, targets.codebooks * targets.codes)
        nn.init.normal_(self.head.weight, std=HEAD_STD)

    def forward(self, log_mel: Tensor, masked: Tensor, mask: Tensor) -> Prediction:
        """Predictions for a batch.

        Args:
            log_mel: Of the audio as it was.
            masked: The audio with noise in the holes.
            mask: True = masked.

        Shape:
            - log_mel: ``(B, 128, 4 * T)``; masked: ``(B, 960 * T)``; mask: ``(B, T)``
        """
        with torch.no_grad():
            codes = self.codes(log_mel)
            heard = self.backbone.normalize(self.backbone.log_mel(masked))
        with self._reduced_precision(masked.device):
            encoder, depth = self.backbone.encoder, self.config.encoder.depth
            state = encoder(encoder.subsampling(heard), (depth,))[depth]
            logits = self.head(state)
        return Prediction(logits.float().unflatten(-1, (codes.shape[-1], -1)), codes, mask)

    @torch.no_grad()
    def codes(self, log_mel: Tensor) -> Tensor:
        """The targets, ``(B, T, codebooks)`` int64, always computed in float32."""
        return self.quantiser(self.features(log_mel))

    @torch.no_grad()
    def start_from_frequencies(self, codes: Tensor) -> None:
        """Let the head begin with how often each code occurs, so that nobody has to learn it."""
        counts = torch.stack(
            [
                torch.bincount(column, minlength=self.config.targets.codes)
                for column in codes.flatten(0, -2).T
            ]
        )
        shares = (counts + 1) / (counts + 1).sum(dim=1, keepdim=True)
        self.head.bias.copy_(shares.log().flatten())

    def _reduced_precision(self, device: torch.device) -> torch.autocast:
        reduced = self.config.precision == "bfloat16"
        return torch.autocast(device.type, torch.bfloat16, enabled=reduced)


@dataclass
class Tally:
    """Held-out figures, over the masked frames of all batches seen.

    Attributes:
        counts: ``(codebooks, codes)``: how often each code was the right one.
        correct: ``(codebooks,)``: how often it was also the most likely one.
        loss: Summed over batches.
        batches: Seen so far.
    """

    counts: Tensor
    correct: Tensor
    loss: float = 0.0
    batches: int = 0

    @classmethod
    def empty(cls, codebooks: int, codes: int) -> "Tally":
        """Nothing seen yet."""
        return cls(torch.zeros(codebooks, codes), torch.zeros(codebooks))

    def add(self, prediction: Prediction) -> None:
        """Count a batch."""
        codes = prediction.codes[prediction.mask].cpu()
        guesses = prediction.logits[prediction.mask].argmax(dim=-1).cpu()
        self.correct += (codes == guesses).sum(dim=0)
        size = self.counts.shape[1]
        self.counts += torch.stack([torch.bincount(column, minlength=size) for column in codes.T])
        self.loss += float(prediction.loss())
        self.batches += 1

    def figures(self) -> dict[str, float]:
        """Means over the codebooks.

        ``accuracy``; ``commonest``, the share of the most frequent code, which a constant guess
        reaches; ``ratio`` of the two; ``perplexity`` of how the codes are used; ``loss``.
        """
        shares = self.counts / self.counts.sum(dim=1, keepdim=True)
        accuracy = float((self.correct / self.counts.sum(dim=1)).mean())
        commonest = float(shares.amax(dim=1).mean())
        entropy = -(shares * shares.clamp(min=1e-12).log()).sum(dim=1)
        return {
            "accuracy": accuracy,
            "commonest": commonest,
            "ratio": accuracy / commonest,
            "perplexity": float(entropy.exp().mean()),
            "loss": self.loss / self.batches,
        }
