"""The training loop: updates, evaluations, the best head, checkpoints.

A run is a function of its configuration, its data and its features. All randomness of an epoch is
drawn at its start from the seed and its number, down to a seed of each micro-batch for dropout and
ties. So a run that was killed goes on as if it had not been: to the bit on a processor with the
same number of threads. And several processes, which share the micro-batches of every update, end
as one does, but for the order in which gradients are added.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from torch.optim.lr_scheduler import ReduceLROnPlateau

from heads import CMixupSampler
from hear_aesthetics.compute.precision import auto_precision, usable_device
from hear_aesthetics.compute.processes import Processes, warn_of_one_process
from hear_aesthetics.errors import InputError
from songeval_task.protocol import metrics_of, selection_score
from songeval_task.training.batches import PaddedBatch, epoch_batches, read_ahead
from songeval_task.training.config import SongEvalConfig, TrainableHead
from songeval_task.training.data import TrainingData
from songeval_task.training.logs import Logs, ProgressLine
from songeval_task.training.predict import predict
from songeval_task.training.resume import Progress, RunState
from songeval_task.training.step import Draw, MixingStep, draw_pairs

__all__ = ["Trainer", "make_accelerator"]

RATE_FACTOR = 0.5  # of the learning rate on a plateau
SMOOTHING = 0.98  # of the loss that drives it: about 50 updates
CHECKPOINT_UPDATES = 200  # between two checkpoints of one epoch


def make_accelerator(config: SongEvalConfig) -> Accelerator:
    """Return the device, autocast and processes of a run."""
    warn_of_one_process()
    device = usable_device().type
    half = config.precision == "bfloat16" or (
        config.precision == "auto" and auto_precision(device) == torch.bfloat16
    )
    return Accelerator(mixed_precision="bf16" if half else "no")


class Trainer:
    """Trainer of a head; see the module.

    Args:
        config: The configuration.
        data: Songs with their features.
        head: Trained in place.
        state: Checkpoints; one that is there is resumed.
        logs: Logs of the metrics.
        accelerator: Device, autocast and processes.
    """

    def __init__(
        self,
        config: SongEvalConfig,
        data: TrainingData,
        head: TrainableHead,
        state: RunState,
        logs: Logs,
        accelerator: Accelerator,
    ) -> None:
        self.config, self.data, self.head = config, data, head
        self.state, self.logs, self.accelerator = state, logs, accelerator
        self.processes = Processes(
            accelerator.process_index, accelerator.num_processes, accelerator.device
        )
        self.released = config.updates == "released"
        self.rows = data.splits["train"]
        self.labels = data.labels("train").to(accelerator.device)
        self.sampler = None
        if config.mixup:
            songs = [row.song for row in self.rows]
            self.sampler = CMixupSampler(self.labels.cpu(), songs, config.mixup_bandwidth)
        optimizer = torch.optim.Adam(
            head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.schedule = ReduceLROnPlateau(
            optimizer,
            factor=RATE_FACTOR,
            patience=config.plateau_patience,
            min_lr=config.min_learning_rate,
        )
        # Gradients are added here, and not by a wrapper of the head, which would want equally many
        # micro-batches of every process.
        self.step = accelerator.prepare_model(MixingStep(head, config), evaluation_mode=True)
        self.optimizer = accelerator.prepare(optimizer)
        self.progress = Progress()
        self._restore()

    def fit(self, line: ProgressLine | None = None) -> Progress:
        """Train to the end, then put the best weights into the head.

        Args:
            line: Shows the progress.
        """
        devices = range(torch.cuda.device_count())
        with torch.random.fork_rng(devices), line or ProgressLine(0, shown=False) as shown:
            while not self.progress.finished:
                self._epoch(shown)
        self.logs.close()
        best = self.state.load_best(self.progress)
        self.head.load_state_dict({name: tensor.float() for name, tensor in best.items()})
        self.head.eval()
        return self.progress

    def _epoch(self, line: ProgressLine) -> None:
        progress, on_test = self.progress, self.config.select_on == "test"
        plan = self._plan(progress.epoch)
        self.head.train()
        remaining = plan[progress.update :]
        own = [draw.rows for draws in remaining for _, draw in self._own(draws)]
        wanted = [[self.rows[i] for i in rows] for rows in own]
        half = self.accelerator.mixed_precision == "bf16"
        dtype = torch.bfloat16 if half else torch.float32  # of the head's first product
        with read_ahead(self.data, wanted, dtype) as batches:
            for draws in remaining:
                self._update(draws, batches)
                line.step(progress.epoch, progress.update, len(plan), progress.smoothed_loss)
                if on_test:
                    self._evaluate(line)
                if progress.updates % CHECKPOINT_UPDATES == 0:
                    self._save()
        if not on_test:
            self._evaluate(line)
        progress.epoch, progress.update = progress.epoch + 1, 0
        stale = progress.epoch - 1 - progress.best_epoch
        progress.finished = progress.epoch == self.config.epochs or (
            0 < self.config.patience <= stale
        )
        self._save()

    def _plan(self, epoch: int) -> list[list[Draw]]:
        """Return all draws of an epoch, update by update; the same in every process."""
        seed = np.random.SeedSequence([self.config.seed, epoch]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed) >> 1)
        config = self.config
        sizes = len(self.rows), config.batch_size, config.accumulation
        draw = partial(
            draw_pairs,
            sampler=self.sampler,
            generator=generator,
            per_sample=config.mixup_per_sample,
            apart=self.released,
        )
        updates = epoch_batches(*sizes, generator, keep_single=self.released)
        return [list(map(draw, batches)) for batches in updates]

    def _own(self, draws: list[Draw]) -> Sequence[tuple[int, Draw]]:
        """Return the micro-batches of an update that this process computes, with their places.

        In a short last update some processes may have none.
        """
        return self.processes.share(list(enumerate(draws)))

    def _update(self, draws: list[Draw], batches: Iterator[list[PaddedBatch]]) -> None:
        """Update the head by the mean gradient of its micro-batches, clipped."""
        accelerator, progress, own = self.accelerator, self.progress, self._own(draws)
        # Of a short last update too, where it is as released.
        count = self.config.accumulation if self.released else len(draws)
        losses = torch.zeros(len(draws), device=accelerator.device)
        for place, draw in own:
            parts = [batch.to(accelerator.device) for batch in next(batches)]
            torch.manual_seed(draw.seed)  # of dropout
            loss = self.step(parts, self.labels[draw.rows], draw)
            accelerator.backward(loss / count)
            losses[place] = loss.detach()
        self.processes.sum_gradients(self.head.parameters())
        losses = self.processes.sum(losses)
        mean, newest = losses.mean().item(), losses[-1].item()
        if not math.isfinite(mean):
            raise InputError(
                f"{self.state.folder.parent}: the loss of update {progress.updates + 1} is "
                "not finite; check the features, or take a lower --lr"
            )
        accelerator.clip_grad_norm_(self.step.parameters(), self.config.gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        before = mean if progress.smoothed_loss is None else progress.smoothed_loss
        progress.smoothed_loss = SMOOTHING * before + (1 - SMOOTHING) * mean
        progress.losses.append(mean)
        progress.update += 1
        progress.updates += 1
        self.schedule.step(newest if self.released else progress.smoothed_loss)

    def _evaluate(self, line: ProgressLine) -> None:
        """Score the selection songs; keep the head if it is the best so far."""
        config, progress = self.config, self.progress
        found = predict(self.head, self.data, config.select_on)
        rounded = config.select_on == "test"
        score = selection_score(found.preds, found.target, found.track, rounded=rounded)
        score = float(self.processes.of_main(torch.tensor(score, dtype=torch.float64)))
        means = {
            name: float(metric(found.preds, found.target).mean())
            for name, metric in metrics_of(found.track).items()
        }
        if progress.best_score is None or score > progress.best_score:
            progress.best_score, progress.best_epoch = score, progress.epoch
            progress.best_file = f"best-{progress.updates:07d}.safetensors"
            if self.accelerator.is_main_process:
                self.state.save_best(progress.best_file, self.head.state_dict())
        row = {
            "epoch": progress.epoch + 1,
            "update": progress.updates,
            "loss": sum(progress.losses) / len(progress.losses),
            "learning rate": self.schedule.optimizer.param_groups[0]["lr"],
            "score": score,
            **means,
        }
        progress.losses.clear()
        progress.history.append(row)
        line.evaluated(row, progress.best_score)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            parts = {
                "head": self.head.state_dict(),
                "optimiser": self.optimizer.state_dict(),  # the key in runs of all versions
                "schedule": self.schedule.state_dict(),
            }
            self.state.save(self.progress, parts)
            self.logs.record(self.progress.history)
        self.accelerator.wait_for_everyone()

    def _restore(self) -> None:
        saved = self.state.load()
        if saved is not None:
            self.progress, parts = saved
            self.head.load_state_dict(parts["head"])
            self.optimizer.load_state_dict(parts["optimiser"])
            self.schedule.load_state_dict(parts["schedule"])
