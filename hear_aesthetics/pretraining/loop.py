"""Training loop: targets first, then the encoder, with evaluations, checkpoints and logs.

``OUT/<source>/`` becomes the encoder in the published layout; ``OUT/<source>/pretraining/`` keeps
``config.json``, ``log.csv``, ``metrics.json`` and the checkpoint. Both sources may share an
``OUT``, which is then a model directory like any other.

An update is the mean gradient of its micro-batches, and each of these is drawn from the seed and
its number. Several processes share them: what a run ends with does not depend on how many there
are, but for the order in which gradients are added. The main process makes the targets and writes.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hear_aesthetics.backbones import Backbone, MelStatistics
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.files import write_text
from hear_aesthetics.pretraining.batch_norms import batch_norms, moved_once
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.data.pool import Pool
from hear_aesthetics.pretraining.export import calibrate, write_result
from hear_aesthetics.pretraining.initialization import InitialEncoder
from hear_aesthetics.pretraining.objective import (
    HasLoss,
    MaskedPrediction,
    MaskedPredictionMetrics,
    Metrics,
    draw_mask,
    mask_waveform,
)
from hear_aesthetics.pretraining.resume import load_checkpoint, save_checkpoint
from hear_aesthetics.pretraining.supervised.pool import LabelledPool
from hear_aesthetics.pretraining.targets.normalized_mel import TargetFeatures
from hear_aesthetics.pretraining.targets.quantizers import MelRVQ, train_rvq

__all__ = ["Pretraining", "learning_rate"]

TARGET_BATCHES = 64  # of clean audio, for band statistics, codebooks and code frequencies
FLOOR_SHARE = 0.05  # of the peak learning rate, at the end
BETAS = (0.9, 0.98)
RUN_FOLDER = "pretraining"

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # stage, steps done, steps in all


class Pretraining:
    """Run of masked prediction.

    The arguments are those of :func:`hear_aesthetics.pretraining.training.pretrain`, the precision
    decided.

    Attributes:
        of_start: Metric of which the first value is reported too, where an encoder was started
            from.
    """

    of_start = "accuracy"

    def __init__(
        self,
        config: PretrainingConfig,
        pool: Pool | LabelledPool,
        out: Path,
        processes: Processes,
        progress: Progress,
        initial: InitialEncoder | None,
    ) -> None:
        self.config, self.pool, self.progress = config, pool, progress
        self.processes, self.device, self.initial = processes, processes.device, initial
        self.out, self.folder = out, out / config.source / RUN_FOLDER
        self.settings = {**config.settings(), "pool": pool.about}
        if initial:
            self.settings["init"] = initial.made
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, Any]] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = self._new_model(initial.backbone.statistics if initial else None)
        if initial:
            initial.load_into(self.model)
        self.model.to(self.device)
        self.parameters = self.model.trained_parameters()
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def prepare(self, resume: bool) -> None:
        """Resume from the checkpoint, or make the targets where there are none."""
        found = load_checkpoint(self.folder / "state", self.settings) if resume else None
        if found is None:
            if self.processes.is_main:
                self._fit()
            self.processes.copy_from_main(self.model.state_dict().values())
            return
        self.model.load_state_dict(found["model"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.step, self.seconds, self.history = found["step"], found["seconds"], found["history"]

    def train(self) -> dict[str, Any]:
        """Take the remaining steps, write the encoder and return all metrics."""
        config = self.config
        if not self.history:
            self._record()
            self._judge_start()
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
                self._write(self.out / "snapshots" / f"step-{self.step:06d}", self._newest())
        metrics = {
            **self._newest(),
            "hours_of_audio": self.step * self.config.batch * self.config.seconds / 3600,
            "training_seconds": self.seconds,
            "steps_per_second": self.step / self.seconds,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
            **({"processes": self.processes.count} if self.processes.count > 1 else {}),
        }
        self._write(self.out, metrics, self.folder)
        self.processes.wait()
        return metrics

    def _new_model(self, statistics: MelStatistics | None) -> MaskedPrediction:
        return MaskedPrediction(self.config, statistics)

    def _fit(self) -> None:
        """Measure on the pool what the losses need, before the first update."""
        if not (self.initial and self.initial.objective):
            self._make_targets()

    def _make_targets(self) -> None:
        config = self.config
        mels = []
        for index, waveform in enumerate(self._clean("targets", TARGET_BATCHES)):
            mels.append(self.model.backbone.log_mel(waveform))
            self.progress("listening", index + 1, TARGET_BATCHES)
        log_mel = torch.cat(mels)
        if isinstance(self.model.features, TargetFeatures):
            self.model.features.fit(log_mel)
        quantizer = self.model.quantizer
        if isinstance(quantizer, MelRVQ):
            frames = self.model.features(log_mel).flatten(0, 1)
            progress = partial(self.progress, "quantizing")
            train_rvq(quantizer, frames, config.targets, config.seed, progress)
            quantizer.requires_grad_(False)
        self.model.start_from_frequencies(self.model.codes(log_mel))

    def _update(self) -> None:
        config, count = self.config, self.config.micro_batches
        frozen = config.batch_norm == "frozen"
        self.model.train(not frozen)  # of its parts the batch norms alone tell the two apart
        self.model.backbone.requires_grad_(self.step >= config.head_steps)
        (group,) = self.optimizer.param_groups
        group["lr"] = learning_rate(config, self.step)
        own = self.processes.share(range(count))
        one_pass = frozen or count == 1
        norms = [] if one_pass else batch_norms(self.model.backbone)
        self.optimizer.zero_grad()
        with moved_once(norms, len(own), count, self.processes):
            for place in own:
                prediction = self._predict("train", self.step * count + place)
                (prediction.loss(config.visible_weight) / count).backward()
        self.processes.sum_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, config.gradient_norm)
        self.optimizer.step()

    def _predict(self, purpose: str, number: int, *, held_out: bool = False) -> HasLoss:
        """Draw the micro-batch of a number, and predict its codes."""
        config = self.config
        rng = generator(config.seed, purpose, number)
        waveform = self._draw(rng, held_out=held_out)
        mask = draw_mask(
            rng, len(waveform), config.spans, config.mask_frames, config.mask_probability
        )
        masked = mask_waveform(waveform, mask, rng, config.mask_noise).to(self.device)
        log_mel = self.model.backbone.log_mel(waveform.to(self.device))
        prediction: HasLoss = self.model(log_mel, masked, mask.to(self.device))
        return prediction

    def _clean(self, purpose: str, batches: int) -> Iterator[Tensor]:
        """Yield batches of unmasked audio, in micro-batches."""
        for number in range(batches * self.config.micro_batches):
            yield self._draw(generator(self.config.seed, purpose, number)).to(self.device)

    def _draw(self, rng: np.random.Generator, *, held_out: bool = False) -> Tensor:
        config = self.config
        drawn = config.clips_at_once, config.samples
        assert isinstance(self.pool, Pool)
        return draw_batch(self.pool, rng, *drawn, held_out=held_out, augment=config.augment)

    @torch.no_grad()
    def _record(self) -> None:
        """Evaluate on held-out clips: the same clips and masks every time."""
        self.model.eval()
        metrics = self._metrics()
        numbers = range(self.config.held_out_batches * self.config.micro_batches)
        for number in self.processes.share(numbers):
            metrics.add(self._predict("held out", number, held_out=True))
        metrics.merge(self.processes)
        row = {"step": self.step, **metrics.compute(), "seconds": round(self.seconds, 1)}
        self.history.append(row)
        if not self.processes.is_main:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "log.csv", pd.DataFrame(self.history).to_csv(index=False))

    def _metrics(self) -> Metrics:
        return MaskedPredictionMetrics(self.config.targets)

    def _judge_start(self) -> None:
        """Warn of a head that does not predict the codes of the quantizer beside it."""
        (row,) = self.history
        read = self.initial is not None and bool(self.initial.objective)
        if read and row["accuracy"] < row["majority_share"] and self.processes.is_main:
            logger.warning(
                "%s: its prediction head is right for %.4f of the held-out codes, always the most "
                "frequent one would be for %.4f; train the head alone first (--head-steps)",
                self.out, row["accuracy"], row["majority_share"],
            )  # fmt: skip

    def _newest(self) -> dict[str, Any]:
        """Return the metrics of the last evaluation."""
        key = self.of_start
        start = {f"{key}_at_start": self.history[0][key]} if self.initial else {}
        return {**self.history[-1], **start}

    def _write(self, out: Path, metrics: dict[str, Any], folder: Path | None = None) -> None:
        if self.processes.is_main:
            parts = self.model, self._calibrated()
            write_result(out, self.settings, metrics, *parts, initial=self.initial, folder=folder)

    def _save(self) -> None:
        if not self.processes.is_main:
            return
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
        """Return a copy of the encoder with batch norm statistics of clean audio.

        Statistics that were frozen in training stay as they are.
        """
        if self.config.batch_norm == "frozen":
            return self.model.backbone.eval()
        backbone = Backbone(self.config.encoder, self.model.backbone.statistics)
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
