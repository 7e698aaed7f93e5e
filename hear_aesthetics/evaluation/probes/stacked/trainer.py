"""Trainer of batched probes: shuffled batches, validation, early stopping of each by itself."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.evaluation.probes.data import RunData
from hear_aesthetics.evaluation.probes.fold_result import Selection, scored_postprocessings
from hear_aesthetics.evaluation.probes.grid import SEED, GridPoint
from hear_aesthetics.evaluation.probes.probe import mean_loss, probabilities
from hear_aesthetics.evaluation.probes.stacked.batched_probes import BatchedProbes, Weights
from hear_aesthetics.evaluation.probes.stacked.early_stopping import EarlyStopping
from hear_aesthetics.evaluation.tasks.event_postprocessing import Postprocessing
from hear_aesthetics.evaluation.tasks.task import Task

__all__ = ["Candidate", "FitSpec", "batched_logits", "train_probes"]

_ACTIVATIONS = 2**22  # of one layer of all probes, while predicting
_LOGITS = 2**22  # of the probes that are validated together


@dataclass(frozen=True, order=True)
class FitSpec:
    """One fit: a point of the grid (by its index) on a run, repeated with other seeds."""

    run: int
    repetition: int
    index: int
    point: GridPoint = field(compare=False)

    @property
    def seed(self) -> int:
        """Seed of weights and dropout; depends on nothing but this fit's place."""
        entropy = (SEED, self.repetition, self.run, self.index)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])


@dataclass(frozen=True)
class Candidate:
    """A trained probe at its best validation."""

    spec: FitSpec
    selection: Selection
    loss: float
    weights: Weights

    @property
    def rank(self) -> tuple[float, float, int]:
        """Larger is better: the signed score, then the lower loss, then the earlier grid point."""
        return self.selection.score, -self.loss, -self.spec.index


def train_probes(
    task: Task, specs: Sequence[FitSpec], data: Mapping[int, RunData], dtype: torch.dtype
) -> list[Candidate]:
    """Train fits until each has stopped; ``dtype`` is that of the matrix products.

    The fits are sorted, and alike in layers, batch size, epochs and validation interval.
    """
    start = time.perf_counter()
    point, first = specs[0].point, data[specs[0].run]
    probes = BatchedProbes(
        first.inputs.shape[1],
        first.targets.shape[1],
        [spec.point for spec in specs],
        [spec.seed for spec in specs],
        device=first.inputs.device,
        dtype=dtype,
    )
    stopping = [EarlyStopping(spec.point.patience) for spec in specs]
    shuffles = _Shuffles(specs, data)
    alive = list(range(len(specs)))  # fit of each probe that is still trained
    best: dict[int, Weights] = {}  # of each fit
    for epoch in range(point.max_epochs):
        for inputs, targets in shuffles.batches([specs[i] for i in alive]):
            probes.train_step(inputs, targets, task.prediction_type)
        if (epoch + 1) % point.check_val_every_n_epoch:
            continue
        weights = probes.weights()
        results = _validate(task, [specs[i] for i in alive], data, weights)
        for row, (i, (score, loss, chosen)) in enumerate(zip(alive, results, strict=True)):
            if stopping[i].update(score, loss, epoch, chosen):
                best[i] = weights.rows([row])
        running = [row for row, i in enumerate(alive) if not stopping[i].finished]
        if not running:
            break
        if len(running) < len(alive):
            probes.keep(running)
            alive = [alive[row] for row in running]
    seconds = (time.perf_counter() - start) / len(specs)
    return [
        Candidate(
            spec,
            Selection(spec.point, s.best[0], s.epoch, s.postprocessing, seconds),
            -s.best[1],
            best[i],
        )
        for i, (spec, s) in enumerate(zip(specs, stopping, strict=True))
    ]


class _Shuffles:
    """Shuffled batches; fits of one run and repetition see the same order.

    An epoch takes as many rows of every run as the smallest has, other ones each time, in batches
    of nearly equal size and at least two rows: BatchNorm makes nothing of one.
    """

    def __init__(self, specs: Sequence[FitSpec], data: Mapping[int, RunData]) -> None:
        self._data = data
        self._rows = min(len(data[spec.run].inputs) for spec in specs)
        self._count = min(-(-self._rows // specs[0].point.batch_size), self._rows // 2)
        self._generators = {
            (spec.run, spec.repetition): np.random.default_rng((SEED, spec.repetition, spec.run))
            for spec in specs
        }

    def batches(self, specs: Sequence[FitSpec]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs ``(S, rows, features)`` and targets ``(S, rows, labels)`` of each step."""
        sources = list(dict.fromkeys((spec.run, spec.repetition) for spec in specs))
        source_of = torch.tensor([sources.index((spec.run, spec.repetition)) for spec in specs])
        orders = []
        for source in sources:
            order = self._generators[source].permutation(len(self._data[source[0]].inputs))
            orders.append(np.array_split(order[: self._rows], self._count))
        for step in range(self._count):
            rows = [torch.from_numpy(order[step]) for order in orders]
            runs = [self._data[run] for run, _ in sources]
            yield (
                _gather([run.inputs for run in runs], rows, source_of),
                _gather([run.targets for run in runs], rows, source_of).float(),
            )


def _gather(tensors: Sequence[Tensor], rows: Sequence[Tensor], source_of: Tensor) -> Tensor:
    parts = [tensor[index.to(tensor.device)] for tensor, index in zip(tensors, rows, strict=True)]
    if len(parts) == 1:
        return parts[0].expand(len(source_of), -1, -1)
    return torch.stack(parts)[source_of.to(parts[0].device)]


def batched_logits(weights: Weights, blocks: Iterable[Tensor]) -> Tensor:
    """Return logits ``(S, rows, labels)`` of blocks ``(rows, features)`` by every probe."""
    probes = len(weights.bias)
    widest = max(max(matrix.shape[1:]) for matrix in weights.matrices)
    rows = max(1, _ACTIVATIONS // (probes * widest))
    inputs = (part for block in blocks for part in block.split(rows))
    chunks = [weights.logits(part.expand(probes, -1, -1)) for part in inputs]
    return torch.cat(chunks, dim=1)


def _validate(
    task: Task, specs: Sequence[FitSpec], data: Mapping[int, RunData], weights: Weights
) -> list[tuple[float, float, Postprocessing]]:
    """Return signed score, loss and post-processing of every probe."""
    results: list[tuple[float, float, Postprocessing]] = []
    for run, group in groupby(specs, key=lambda spec: spec.run):
        rows = data[run]
        size = max(1, _LOGITS // rows.valid_targets.numel())
        start, stop = len(results), len(results) + len(list(group))
        for first in range(start, stop, size):
            some = weights.rows(slice(first, min(first + size, stop)))
            every = batched_logits(some, [rows.valid_inputs])
            results += [_validate_one(task, rows, logits) for logits in every]
            del every  # before the next ones are there
    return results


def _validate_one(task: Task, rows: RunData, logits: Tensor) -> tuple[float, float, Postprocessing]:
    loss = mean_loss(logits, rows.valid_targets, task.prediction_type)
    if not task.use_scoring_for_early_stopping:
        return -loss, loss, ()
    sign = 1.0 if task.scores[0].higher_is_better else -1.0
    predictions = probabilities(rows.predicted(logits), task.prediction_type).numpy()
    scored = scored_postprocessings(task, rows.valid, predictions)
    score, chosen = max(  # ties take the larger parameters
        ((sign * score, chosen) for score, chosen in scored),
        key=lambda entry: (np.nan_to_num(entry[0], nan=-math.inf), entry[1]),
    )
    return score, loss, chosen
