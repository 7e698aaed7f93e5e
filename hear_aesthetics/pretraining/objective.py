"""Masked prediction: from audio with masked spans, the codes of the masked frames.

As published: the clip is a row of spans of 400 ms, each is masked with probability 0.6, and masked
samples become Gaussian noise of standard deviation 0.1.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.backbones import Backbone, MelStatistics
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.targets.normalized_mel import PublishedFeatures, TargetFeatures
from hear_aesthetics.pretraining.targets.quantizers import MelRVQ, RandomProjection
from hear_aesthetics.spec import FRAME_HOP

__all__ = [
    "HasLoss",
    "MaskedPrediction",
    "MaskedPredictionMetrics",
    "Metrics",
    "Prediction",
    "draw_mask",
    "mask_waveform",
]

HEAD_STD = 0.02


class HasLoss(Protocol):
    """Prediction of a batch."""

    def loss(self, visible_weight: float = 0.0) -> Tensor:
        """Return what training makes small, a scalar."""
        ...


class Metrics(Protocol):
    """Held-out metrics over all batches added."""

    def add(self, prediction: Any) -> None:
        """Count a batch."""
        ...

    def merge(self, processes: Processes) -> None:
        """Add what the other processes counted."""
        ...

    def compute(self) -> dict[str, float]:
        """Return the metrics by name."""
        ...


def draw_mask(
    rng: np.random.Generator, batch: int, spans: int, frames_per_span: int, probability: float
) -> Tensor:
    """Return the masked frames; in every clip at least one span is masked.

    Shape:
        - output: ``(batch, spans * frames_per_span)`` bool, True = masked
    """
    drawn = rng.random((batch, spans))
    masked = (drawn < probability) | (drawn == drawn.min(axis=1, keepdims=True))
    return torch.from_numpy(masked.repeat(frames_per_span, axis=1))


def mask_waveform(
    waveform: Tensor,
    mask: Tensor,
    rng: np.random.Generator,
    noise: float = 0.1,
    *,
    early: int = 0,
) -> Tensor:
    """Return the waveform with noise, of that standard deviation, in place of its masked frames.

    Frames begin at their time, or so many samples ``early``; the last one then ends later.

    Shape:
        - waveform and output: ``(B, frames * 960)``, 24 kHz; mask: ``(B, frames)``, True = masked
    """
    hiss = torch.from_numpy(rng.standard_normal(tuple(waveform.shape), np.float32))
    samples = mask.repeat_interleave(FRAME_HOP, dim=1)
    samples = torch.cat([samples[:, early:], samples[:, samples.shape[1] - early :]], dim=1)
    return torch.where(samples, noise * hiss, waveform)


class Prediction(NamedTuple):
    """Predictions and targets of a batch.

    Shape:
        - logits: ``(B, T, codebooks, codes)``; codes: ``(B, T, codebooks)``; mask: ``(B, T)``
    """

    logits: Tensor
    codes: Tensor
    mask: Tensor

    def loss(self, visible_weight: float = 0.0) -> Tensor:
        """Return the mean cross entropy of masked frames plus that of visible ones, weighted."""
        loss = self._cross_entropy(self.mask)
        if visible_weight and not bool(self.mask.all()):
            loss = loss + visible_weight * self._cross_entropy(~self.mask)
        return loss

    def _cross_entropy(self, frames: Tensor) -> Tensor:
        return F.cross_entropy(self.logits[frames].flatten(0, 1), self.codes[frames].flatten())


class MaskedPrediction(nn.Module):
    """An encoder, its targets, and a linear head that predicts them from its last state.

    Args:
        config: Objective and sizes.
        statistics: Normalization of the encoder's input; None: that of the published encoders.
    """

    def __init__(self, config: PretrainingConfig, statistics: MelStatistics | None = None) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.encoder, statistics)
        self.features: nn.Module = TargetFeatures()
        if config.published_targets:
            mel = self.backbone.statistics
            self.features = PublishedFeatures(mel.mean, mel.std)
        self.quantizer: nn.Module
        if config.source == "muq":
            self.quantizer = MelRVQ(config.targets, unit_entries=not config.published_targets)
        else:
            self.quantizer = RandomProjection(config.targets)
        targets = config.targets
        self.head = nn.Linear(config.encoder.dim, targets.codebooks * targets.codes)
        nn.init.normal_(self.head.weight, std=HEAD_STD)

    def forward(self, log_mel: Tensor, masked: Tensor, mask: Tensor) -> Prediction:
        """Predict the codes of a batch.

        Shape:
            - log_mel, of the clean audio: ``(B, 128, 4 * T)``
            - masked, the audio with noise in its masked spans: ``(B, 960 * T)``
            - mask: ``(B, T)``, True = masked
        """
        with torch.no_grad():
            codes = self.codes(log_mel)
            heard = self.backbone.normalize(self.backbone.log_mel(masked))
        reduced = self.config.precision == "bfloat16"
        with torch.autocast(masked.device.type, torch.bfloat16, enabled=reduced):
            encoder, depth = self.backbone.encoder, self.config.encoder.depth
            state = encoder(encoder.subsampling(heard), (depth,))[depth]
            logits = self.head(state)
        return Prediction(logits.float().unflatten(-1, (codes.shape[-1], -1)), codes, mask)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that updates change: those of the encoder and the head."""
        return [*self.backbone.parameters(), *self.head.parameters()]

    def objective_state(self) -> dict[str, Tensor]:
        """Return the state of all but the encoder: constants of the targets, quantizer, head."""
        state = self.state_dict()
        return {name: tensor for name, tensor in state.items() if not name.startswith("backbone.")}

    @torch.no_grad()
    def codes(self, log_mel: Tensor) -> Tensor:
        """Return the targets, ``(B, T, codebooks)`` int64, always computed in float32."""
        return self.quantizer(self.features(log_mel))

    @torch.no_grad()
    def start_from_frequencies(self, codes: Tensor) -> None:
        """Set the bias of the head to the log frequencies of the codes (add-one smoothing)."""
        counts = count_codes(codes.flatten(0, -2), self.config.targets.codes) + 1
        shares = counts / counts.sum(dim=1, keepdim=True)
        self.head.bias.copy_(shares.log().flatten())


def count_codes(codes: Tensor, size: int) -> Tensor:
    """Return how often each code occurs, ``(frames, codebooks)`` -> ``(codebooks, size)``."""
    return torch.stack([torch.bincount(column, minlength=size) for column in codes.T])


class MaskedPredictionMetrics:
    """Held-out metrics over the masked frames of all batches added."""

    def __init__(self, config: TargetConfig) -> None:
        self.counts = torch.zeros(config.codebooks, config.codes)
        self.correct = torch.zeros(config.codebooks)
        self.loss, self.batches = (torch.zeros((), dtype=torch.float64) for _ in range(2))

    def add(self, prediction: Prediction) -> None:
        """Count a batch."""
        codes = prediction.codes[prediction.mask].cpu()
        guesses = prediction.logits[prediction.mask].argmax(dim=-1).cpu()
        self.correct += (codes == guesses).sum(dim=0)
        self.counts += count_codes(codes, self.counts.shape[1])
        self.loss += prediction.loss().cpu()
        self.batches += 1

    def merge(self, processes: Processes) -> None:
        """Add what the other processes counted."""
        for name in ("counts", "correct", "loss", "batches"):
            setattr(self, name, processes.sum(getattr(self, name)))

    def compute(self) -> dict[str, float]:
        """Return means over the codebooks.

        ``accuracy``; ``majority_share``, the share of the most frequent code, which a constant
        guess reaches; ``lift``, accuracy over that share; ``perplexity`` of the codes; ``loss``.
        """
        shares = self.counts / self.counts.sum(dim=1, keepdim=True)
        accuracy = float((self.correct / self.counts.sum(dim=1)).mean())
        majority_share = float(shares.amax(dim=1).mean())
        entropy = -(shares * shares.clamp(min=1e-12).log()).sum(dim=1)
        return {
            "accuracy": accuracy,
            "majority_share": majority_share,
            "lift": accuracy / majority_share,
            "perplexity": float(entropy.exp().mean()),
            "loss": float(self.loss / self.batches),
        }
