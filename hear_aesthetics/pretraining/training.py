"""Training loop: targets first, then the encoder, with evaluations, checkpoints and logs.

``OUT/<source>/`` becomes the encoder in the published layout; ``OUT/<source>/pretraining/`` keeps
``config.json``, ``log.csv``, ``metrics.json`` and the checkpoint. Both sources may share an
``OUT``, which is then a model directory like any other.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.compute.precision import auto_precision
from hear_aesthetics.engine.progress import no_progress
from hear_aesthetics.files import write_text
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.data.pool import Pool
from hear_aesthetics.pretraining.export import calibrate, write_result
from hear_aesthetics.pretraining.objective import (
    MaskedPrediction,
    MaskedPredictionMetrics,
    Prediction,
    draw_mask,
    mask_waveform,
)
from hear_aesthetics.pretraining.resume import load_checkpoint, save_checkpoint
from hear_aesthetics.pretraining.targets.quantizers import MelRVQ, train_rvq

__all__ = ["Pretraining", "pretrain"]

TARGET_BATCHES = 64  # of clean audio, for band statistics, codebooks and code frequencies
FLOOR_SHARE = 0.05  # of the peak learning rate, at the end
BETAS = (0.9, 0.98)
RUN_FOLDER = "pretraining"

Progress = Callable[[str, int, int], None]  # stage, steps done, steps in all


def pretrain(
    config: PretrainingConfig,
    pool: Pool,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    resume: bool = True,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train an encoder and write it into the model directory ``out``.

    A run that was interrupted there is resumed, unless ``resume`` is False.

    Returns:
        The content of ``metrics.json``: metrics of the last evaluation, time and speed.

    Raises:
        InputError: If the checkpoint in ``out`` belongs to other settings.
    """
    device = torch.device(device)
    if config.precision == "auto":
        name = str(auto_precision(device)).removeprefix("torch.")
        config = replace(config, precision=name)
    run = Pretraining(config, pool, out, device, progress)
    run.prepare(resume)
    return run.train()


class Pretraining:
    """Pretraining run; the arguments are those of :func:`pretrain`, the precision decided."""

    def __init__(
        self,
        config: PretrainingConfig,
        pool: Pool,
        out: Path,
        device: torch.device,
        progress: Progress,
    ) -> None:
        self.config, self.pool, self.device, self.progress = config, pool, device, progress
        self.out, self.folder = out, out / config.source / RUN_FOLDER
        self.settings = {**asdict(config), "pool": pool.about}
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, Any]] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = MaskedPrediction(config)
        self.model.to(device)
        self.optimizer = torch.optim.AdamW(
            [*self.model.backbone.parameters(), *self.model.head.parameters()],
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def prepare(self, resume: bool) -> None:
        """Resume from the checkpoint, or make the targets."""
        found = load_checkpoint(self.folder / "state", self.settings) if resume else None
        if found is None:
            self._make_targets()
            return
        self.model.load_state_dict(found["model"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.step, self.seconds, self.history = found["step"], found["seconds"], found["history"]

    def train(self) -> dict[str, Any]:
        """Take the remaining steps, write the encoder and return all metrics."""
        config = self.config
        if not self.history:
            self._record()
        start, before = time.perf_counter(), self.seconds
        while self.step < config.steps:
            self._update()
            self.step += 1
            self.seconds = before + time.perf_counter() - start
            self.progress("training", self.step, config.steps)
            last = self.step == config.steps
            if last or self.step % config.evaluate_every == 0:
                self._record()
            if last or self.step % config.save_every == 0:
                self._save()
            if config.snapshot_every and self.step % config.snapshot_every == 0:
                folder = self.out / "snapshots" / f"step-{self.step:06d}"
                write_result(folder, self.settings, self.history[-1], self._calibrated())
        metrics = {
            **self.history[-1],
            "hours_of_audio": self.step * self.config.batch * self.config.seconds / 3600,
            "training_seconds": self.seconds,
            "steps_per_second": self.step / self.seconds,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
        }
        write_result(self.out, self.settings, metrics, self._calibrated(), self.folder)
        return metrics

    def _make_targets(self) -> None:
        config = self.config
        mels = []
        for index, waveform in enumerate(self._clean("targets", TARGET_BATCHES)):
            mels.append(self.model.backbone.log_mel(waveform))
            self.progress("listening", index + 1, TARGET_BATCHES)
        log_mel = torch.cat(mels)
        self.model.features.fit(log_mel)
        quantizer = self.model.quantizer
        if isinstance(quantizer, MelRVQ):
            frames = self.model.features(log_mel).flatten(0, 1)
            progress = partial(self.progress, "quantizing")
            train_rvq(quantizer, frames, config.targets, config.seed, progress)
            quantizer.requires_grad_(False)
        self.model.start_from_frequencies(self.model.codes(log_mel))

    def _update(self) -> None:
        self.model.train()
        (group,) = self.optimizer.param_groups
        group["lr"] = learning_rate(self.config, self.step)
        loss = self._predict("train", self.step).loss(self.config.visible_weight)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(group["params"], self.config.gradient_norm)
        self.optimizer.step()

    def _predict(self, purpose: str, step: int, *, held_out: bool = False) -> Prediction:
        config = self.config
        rng = generator(config.seed, purpose, step)
        waveform = draw_batch(self.pool, rng, config.batch, config.samples, held_out=held_out)
        mask = draw_mask(
            rng, config.batch, config.spans, config.mask_frames, config.mask_probability
        )
        masked = mask_waveform(waveform, mask, rng, config.mask_noise).to(self.device)
        log_mel = self.model.backbone.log_mel(waveform.to(self.device))
        prediction: Prediction = self.model(log_mel, masked, mask.to(self.device))
        return prediction

    def _clean(self, purpose: str, batches: int) -> Iterator[Tensor]:
        """Yield batches of unmasked audio."""
        config = self.config
        for index in range(batches):
            rng = generator(config.seed, purpose, index)
            yield draw_batch(self.pool, rng, config.batch, config.samples).to(self.device)

    @torch.no_grad()
    def _record(self) -> None:
        """Evaluate on held-out clips: the same clips and masks every time."""
        self.model.eval()
        metrics = MaskedPredictionMetrics(self.config.targets)
        for index in range(self.config.held_out_batches):
            metrics.add(self._predict("held out", index, held_out=True))
        row = {"step": self.step, **metrics.compute(), "seconds": round(self.seconds, 1)}
        self.history.append(row)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "log.csv", pd.DataFrame(self.history).to_csv(index=False))

    def _save(self) -> None:
        values = {
            "config": self.settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }
        save_checkpoint(self.folder / "state", values)
        write_text(self.folder / "config.json", json.dumps(self.settings, indent=1) + "\n")

    def _calibrated(self) -> Backbone:
        """Return a copy of the encoder with batch norm statistics of clean audio."""
        backbone = Backbone(self.config.encoder)
        backbone.load_state_dict(self.model.backbone.state_dict())
        backbone.to(self.device)
        calibrate(backbone, self._clean("calibration", self.config.calibration_batches))
        return backbone


def learning_rate(config: PretrainingConfig, step: int) -> float:
    """Return the learning rate: linear warm-up, then a cosine decay to a twentieth of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 * (1.0 + math.cos(math.pi * share))
    return config.learning_rate * (FLOOR_SHARE + (1.0 - FLOOR_SHARE) * cosine)
