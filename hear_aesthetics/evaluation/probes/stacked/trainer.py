"""Training one stack of probes: shuffled batches, validation, early stopping for each by itself."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hear_aesthetics.evaluation.probes.data import RunData
from hear_aesthetics.evaluation.probes.grid import SEED, GridPoint
from hear_aesthetics.evaluation.probes.outcome import Selection, decoded
from hear_aesthetics.evaluation.probes.probe import logit_loss, probabilities
from hear_aesthetics.evaluation.probes.stacked.stack import ProbeStack, Weights
from hear_aesthetics.evaluation.tasks.event_postprocessing import (
    Postprocessing,
    postprocessing_grid,
)
from hear_aesthetics.evaluation.tasks.task import Task

__all__ = ["Candidate", "Job", "batched_logits", "train_stack"]

_ACTIVATIONS = 2**22  # of one layer of all probes, while predicting


@dataclass(frozen=True, order=True)
class Job:
    """One fit: a point of the grid (by its index) on a run, repeated with other seeds."""

    run: int
    repetition: int
    index: int
    point: GridPoint = field(compare=False)

    @property
    def seed(self) -> int:
        """Of weights and dropout; depends on nothing but this fit's place."""
        entropy = (SEED, self.repetition, self.run, self.index)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])


@dataclass(frozen=True)
class Candidate:
    """A trained probe at its best validation."""

    job: Job
    selection: Selection
    loss: float
    weights: Weights

    @property
    def rank(self) -> tuple[float, float, int]:
        """Larger is better: score (as maximised), then lower loss, then the earlier grid point."""
        return self.selection.score, -self.loss, -self.job.index


class _Progress:
    """Best validation of one fit so far. Scores are signed so that more is better."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.best = (-math.inf, -math.inf)
        self.epoch = -1
        self.postprocessing: Postprocessing = ()
        self.waited = 0

    def update(self, score: float, loss: float, epoch: int, chosen: Postprocessing) -> bool:
        """Take note of a validation; True if it is the best yet.

        An undefined score (NaN) ranks last and leaves the patience as it is.
        """
        defined = not math.isnan(score)
        entry = (score if defined else -math.inf, -loss if math.isfinite(loss) else -math.inf)
        if defined:
            self.waited = 0 if score > self.best[0] else self.waited + 1
        better = entry > self.best or self.epoch < 0
        if better:
            self.best, self.epoch, self.postprocessing = entry, epoch, chosen
        return better

    @property
    def finished(self) -> bool:
        return self.waited >= self._patience


def train_stack(
    task: Task, jobs: Sequence[Job], data: Mapping[int, RunData], dtype: torch.dtype
) -> list[Candidate]:
    """Train fits whose probes have the same layers, until each has stopped.

    Args:
        task: What to validate with.
        jobs: The fits, sorted; alike in layers, batch size, epochs and validation interval.
        data: Rows of every run named in the jobs.
        dtype: Of the matrix products.
    """
    start = time.perf_counter()
    point = jobs[0].point
    features, labels = data[jobs[0].run].inputs.shape[1], data[jobs[0].run].targets.shape[1]
    device = data[jobs[0].run].inputs.device
    points, seeds = [job.point for job in jobs], [job.seed for job in jobs]
    stack = ProbeStack(features, labels, points, seeds, device=device, dtype=dtype)
    progress = [_Progress(job.point.patience) for job in jobs]
    shuffles = _Shuffles(jobs, data)
    alive = list(range(len(jobs)))  # job of each probe in the stack
    best: Weights | None = None
    for epoch in range(point.max_epochs):
        for inputs, targets in shuffles.batches([jobs[i] for i in alive]):
            stack.train_step(inputs, targets, task.prediction_type)
        if (epoch + 1) % point.check_val_every_n_epoch:
            continue
        weights = stack.weights()
        results = _validate(task, [jobs[i] for i in alive], data, weights)
        improved = [
            place
            for place, (i, result) in enumerate(zip(alive, results, strict=True))
            if progress[i].update(result[0], result[1], epoch, result[2])
        ]
        best = best or weights.rows(torch.arange(len(jobs), device=device))
        places = torch.tensor([alive[p] for p in improved], device=device, dtype=torch.long)
        best.assign(places, weights, torch.tensor(improved, device=device, dtype=torch.long))
        running = [place for place, i in enumerate(alive) if not progress[i].finished]
        if not running:
            break
        if len(running) < len(alive):
            stack.keep(torch.tensor(running, device=device))
            alive = [alive[place] for place in running]
    assert best is not None, "every grid point has a validation"
    seconds = (time.perf_counter() - start) / len(jobs)
    return [
        Candidate(
            job,
            Selection(job.point, p.best[0], p.epoch, p.postprocessing, seconds),
            -p.best[1],
            best.rows(slice(i, i + 1)),
        )
        for i, (job, p) in enumerate(zip(jobs, progress, strict=True))
    ]


class _Shuffles:
    """Shuffled batches; fits of one run and repetition see the same order.

    An epoch takes as many rows of every run as the smallest has, other ones each time, in batches
    of nearly equal size and at least two rows: BatchNorm makes nothing of one.
    """

    def __init__(self, jobs: Sequence[Job], data: Mapping[int, RunData]) -> None:
        self._data = data
        self._rows = min(len(data[job.run].inputs) for job in jobs)
        self._count = min(-(-self._rows // jobs[0].point.batch_size), self._rows // 2)
        self._generators = {
            (job.run, job.repetition): np.random.default_rng((SEED, job.repetition, job.run))
            for job in jobs
        }

    def batches(self, jobs: Sequence[Job]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs ``(S, rows, features)`` and targets ``(S, rows, labels)`` for an epoch's steps."""
        sources = list(dict.fromkeys((job.run, job.repetition) for job in jobs))
        place = {source: i for i, source in enumerate(sources)}
        members = torch.tensor([place[job.run, job.repetition] for job in jobs])
        orders = [self._order(*source) for source in sources]
        for step in range(self._count):
            index = [torch.from_numpy(order[step]) for order in orders]
            yield (
                self._gather("inputs", sources, index, members),
                self._gather("targets", sources, index, members),
            )

    def _order(self, run: int, repetition: int) -> list[NDArray[np.int64]]:
        generator = self._generators[run, repetition]
        order = generator.permutation(len(self._data[run].inputs))
        return np.array_split(order[: self._rows], self._count)

    def _gather(
        self,
        name: str,
        sources: Sequence[tuple[int, int]],
        index: Sequence[Tensor],
        members: Tensor,
    ) -> Tensor:
        parts = []
        for (run, _), rows in zip(sources, index, strict=True):
            tensor: Tensor = getattr(self._data[run], name)
            parts.append(tensor[rows.to(tensor.device)])
        if len(parts) == 1:
            return parts[0].expand(len(members), -1, -1)
        return torch.stack(parts)[members.to(parts[0].device)]


def batched_logits(weights: Weights, inputs: Tensor) -> Tensor:
    """Logits ``(S, rows, labels)`` of the same rows ``(rows, features)`` for every probe."""
    probes = len(weights.bias)
    widest = max(max(matrix.shape[1:]) for matrix in weights.matrices)
    rows = max(1, _ACTIVATIONS // (probes * widest))
    chunks = [weights.logits(x.expand(probes, -1, -1)) for x in inputs.split(rows)]
    return torch.cat(chunks, dim=1)


def _validate(
    task: Task, jobs: Sequence[Job], data: Mapping[int, RunData], weights: Weights
) -> list[tuple[float, float, Postprocessing]]:
    """Signed score, loss and post-processing of every probe."""
    results: list[tuple[float, float, Postprocessing]] = []
    start = 0
    for run, group in groupby(jobs, key=lambda job: job.run):
        size = len(list(group))
        rows = data[run]
        logits = batched_logits(weights.rows(slice(start, start + size)), rows.valid_inputs)
        for one in logits:
            loss = float(logit_loss(one, rows.valid_targets, task.prediction_type))
            score: float = -loss
            chosen: Postprocessing = ()
            if task.use_scoring_for_early_stopping:
                predictions = probabilities(rows.predicted(one), task.prediction_type).numpy()
                score, chosen = _best_score(task, rows, predictions)
            results.append((score, loss, chosen))
        start += size
    return results


def _best_score(
    task: Task, rows: RunData, predictions: NDArray[np.float32]
) -> tuple[float, Postprocessing]:
    """The signed score of the best post-processing; ties take the larger parameters."""
    score = task.scores[0]
    sign = 1.0 if score.higher_is_better else -1.0
    scored: list[tuple[float, Postprocessing]] = []
    for chosen in postprocessing_grid(task.postprocessing_grid) if task.is_event else [()]:
        values = score.values(*decoded(rows.valid, predictions, chosen))
        scored.append((sign * next(iter(values.values())), chosen))
    return max(scored, key=lambda entry: (np.nan_to_num(entry[0], nan=-math.inf), entry[1]))
