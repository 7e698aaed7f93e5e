"""Mixed objective: labels, teachers and masked prediction, from the states of one encoder."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.backbones import MelStatistics
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.objective import (
    MaskedPrediction,
    MaskedPredictionMetrics,
    Prediction,
    draw_mask,
    mask_waveform,
)
from hear_aesthetics.pretraining.supervised.batches import HALF_FRAME, LabelledBatch
from hear_aesthetics.pretraining.supervised.heads import LabelHead, TeacherHead, weighted_mean
from hear_aesthetics.pretraining.supervised.kinds import BINARY, CLASSES
from hear_aesthetics.spec import FRAME_HOP, HOP_LENGTH, MEL_PER_FRAME

__all__ = ["Masked", "MixedMetrics", "MixedObjective", "MixedPrediction", "draw_masked"]

MASKED_SHARE = 4  # of so many clips one is heard a second time, masked
# The four mel frames of a target are centred at 0, 10, 20 and 30 ms: moved by half of 30 ms, the
# target is centred where the encoder's frame is.
TARGET_DELAY = (MEL_PER_FRAME - 1) * HOP_LENGTH // 2


class Masked(NamedTuple):
    """First clips of a batch with noise in their masked frames.

    Shape:
        - waveform: ``(M, 960 * T)``; mask: ``(M, T)``, True = masked
    """

    waveform: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "Masked":
        """Return both on a device."""
        return Masked(self.waveform.to(device), self.mask.to(device))


def draw_masked(config: PretrainingConfig, waveform: Tensor, rng: np.random.Generator) -> Masked:
    """Mask the first clips of a batch; frames are centred, as their labels are."""
    some = waveform[: max(1, len(waveform) // MASKED_SHARE)]
    drawn = len(some), config.spans, config.mask_frames, config.mask_probability
    mask = draw_mask(rng, *drawn)
    return Masked(mask_waveform(some, mask, rng, config.mask_noise, early=HALF_FRAME), mask)


class MixedPrediction(NamedTuple):
    """Losses of a batch, each 1 for the best constant guess, and the weights of their mean.

    Attributes:
        losses: By label or teacher: scalar.
        frames: By label or teacher: frames that the loss is of.
        masked: Of masked prediction; None where that is not in the mixture.
        config: Settings.
    """

    losses: dict[str, Tensor]
    frames: dict[str, Tensor]
    masked: Prediction | None
    masked_constant: Tensor
    config: PretrainingConfig

    def loss(self, visible_weight: float = 0.0) -> Tensor:
        """Return the mean of the objectives by their weights."""
        config, parts = self.config, {}
        for objective, weights in (("multitask", config.labels), ("distil", config.teachers)):
            if weights:
                own = {name: self.losses[name] for name in weights}
                parts[objective] = weighted_mean(own, weights)
        if self.masked is not None:
            parts["masked"] = self.masked.loss(visible_weight) / self.masked_constant
        return weighted_mean(parts, config.objective or {})


class MixedObjective(MaskedPrediction):
    """Masked prediction with heads of labels and teachers beside its own.

    Args:
        config: Objectives and sizes.
        phonemes: Number of phonemes in the labels.
        teachers: Width of the embedding of every teacher.
        statistics: As of ``MaskedPrediction``.
    """

    masked_constant: Tensor

    def __init__(
        self,
        config: PretrainingConfig,
        phonemes: int,
        teachers: dict[str, int],
        statistics: MelStatistics | None = None,
    ) -> None:
        super().__init__(config, statistics)
        self.states = config.states or ()
        sizes = {**BINARY, **CLASSES, "phoneme": phonemes}
        dim = len(self.states) * config.encoder.dim
        labels = {name: LabelHead(name, dim, sizes[name]) for name in config.labels or ()}
        widths = {name: TeacherHead(name, dim, teachers[name]) for name in config.teachers or ()}
        self.heads = nn.ModuleDict({**labels, **widths})
        self.register_buffer("masked_constant", torch.ones(()))

    def predict(self, batch: LabelledBatch, masked: Masked | None) -> MixedPrediction:
        """Predict labels, embeddings and codes of a batch on the encoder's device."""
        config, clips = self.config, len(batch.waveform)
        heard = batch.waveform if masked is None else torch.cat([batch.waveform, masked.waveform])
        with torch.no_grad():
            mel = self.backbone.normalize(self.backbone.log_mel(heard))
        reduced = config.precision == "bfloat16"
        with torch.autocast(heard.device.type, torch.bfloat16, enabled=reduced):
            encoder, depth = self.backbone.encoder, config.encoder.depth
            layers = {*self.states, *((depth,) if masked else ())}
            found = encoder(encoder.subsampling(mel), layers)
            states = torch.cat([found[layer][:clips] for layer in self.states], dim=-1)
            pairs = {name: head(states, batch) for name, head in self.heads.items()}
            logits = self.head(found[depth][clips:]) if masked else None
        prediction = None
        if masked is not None and logits is not None:
            codes = self.centred_codes(batch.waveform[: len(masked.mask)])
            logits = logits.float().unflatten(-1, (codes.shape[-1], -1))
            prediction = Prediction(logits, codes, masked.mask)
        losses = {name: loss for name, (loss, _) in pairs.items()}
        frames = {name: count for name, (_, count) in pairs.items()}
        return MixedPrediction(losses, frames, prediction, self.masked_constant, config)

    @torch.no_grad()
    def centred_codes(self, waveform: Tensor) -> Tensor:
        """Return the codes of frames, each centred where the encoder's frame is.

        The quantizer of a published file is taken as published: from the frame's time on.
        """
        if not self.config.published_targets:
            waveform = F.pad(waveform, (TARGET_DELAY, 0))
        frames = waveform.shape[1] // FRAME_HOP
        return self.codes(self.backbone.log_mel(waveform)[..., : frames * MEL_PER_FRAME])

    @torch.no_grad()
    def fit_masked(self) -> None:
        """Keep the loss of the best constant guess of codes, whose frequencies the bias holds."""
        shares = self.head.bias.unflatten(0, (-1, self.config.targets.codes)).softmax(dim=1)
        entropy = -(shares * shares.clamp(min=1e-12).log()).sum(dim=1)
        self.masked_constant.copy_(entropy.mean())

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the encoder and of the heads in the mixture."""
        masked = self.head.parameters() if self.config.weighs_masked else ()
        return [*self.backbone.parameters(), *masked, *self.heads.parameters()]

    def objective_state(self) -> dict[str, Tensor]:
        """Return the state of masked prediction; heads of labels and teachers are not kept."""
        state = super().objective_state()
        own = ("heads.", "masked_constant")
        return {name: tensor for name, tensor in state.items() if not name.startswith(own)}


class MixedMetrics:
    """Held-out losses over the frames of all batches added, each 1 for the best constant guess."""

    def __init__(self, config: PretrainingConfig) -> None:
        self.config = config
        self.names = [*(config.labels or ()), *(config.teachers or ())]
        self.sums = torch.zeros(2, len(self.names), dtype=torch.float64)
        self.total = torch.zeros(2, dtype=torch.float64)
        self.masked = MaskedPredictionMetrics(config.targets) if config.weighs_masked else None

    def add(self, prediction: MixedPrediction) -> None:
        """Count a batch."""
        for place, name in enumerate(self.names):
            frames = prediction.frames[name].cpu()
            self.sums[:, place] += torch.stack([prediction.losses[name].cpu() * frames, frames])
        loss = prediction.loss(self.config.visible_weight)
        self.total += torch.tensor([float(loss), 1.0])
        if self.masked is not None and prediction.masked is not None:
            self.masked.add(prediction.masked)

    def merge(self, processes: Processes) -> None:
        """Add what the other processes counted."""
        self.sums, self.total = processes.sum(self.sums), processes.sum(self.total)
        if self.masked is not None:
            self.masked.merge(processes)

    def compute(self) -> dict[str, float]:
        """Return ``loss``, those of labels and teachers with a frame, masked prediction's."""
        loss, batches = self.total.tolist()
        found = {"loss": loss / batches}
        for name, (total, frames) in zip(self.names, self.sums.T.tolist(), strict=True):
            if frames:
                found[name] = total / frames
        if self.masked is not None:
            found |= {f"masked_{name}": v for name, v in self.masked.compute().items()}
        return found
