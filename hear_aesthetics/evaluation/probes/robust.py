"""Robust protocol: the probes of heareval, trained and selected with better practice.

What differs from :mod:`~hear_aesthetics.evaluation.probes.official` is listed as ``CHOICES`` in
:mod:`~hear_aesthetics.evaluation.results.interval`; further, event post-processing honours the
direction of the score, and the whole is repeated with other seeds. Fits are trained together, as
many as memory and cache allow: over grid points, repetitions and, if they fit, folds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import torch

from hear_aesthetics.engine.progress import ProgressCallback
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import embedding_size, read_rows, row_count
from hear_aesthetics.evaluation.probes.data import RunData, prepare_run
from hear_aesthetics.evaluation.probes.fold_result import FoldResult, fold_result
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.stacked.batched_probes import parameter_count
from hear_aesthetics.evaluation.probes.stacked.trainer import (
    Candidate,
    FitSpec,
    batched_logits,
    train_probes,
)
from hear_aesthetics.evaluation.tasks.task import EmbeddedTask

__all__ = ["evaluate_robustly"]

# Parameters of the fits trained together, and activations of one of their layers. On a processor
# more leave the cache, which costs more than the fewer calls save; a GPU wants all there is.
_CPU_LIMITS = (2**21, 2**22)
_GPU_LIMITS = (2**28, 2**29)
_HELD_BYTES = 2**29  # of embeddings of several runs


def evaluate_robustly(
    task: EmbeddedTask,
    points: Sequence[GridPoint],
    repetitions: int,
    progress: ProgressCallback,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> list[FoldResult]:
    """Search the grid in every run and repetition, and test the best point of each, run by run.

    ``progress`` is called with the number of fits done and of all fits; ``dtype`` is that of the
    matrix products.

    Raises:
        TaskError: If the stored rows are faulty, or the grid has norm_after_activation.
    """
    if any(point.norm_after_activation for point in points):
        raise TaskError(f"{task.folder}: norm_after_activation needs the official protocol")
    task = replace(task, skip_undefined=True)
    done, total = 0, len(task.runs) * repetitions * len(points)
    results = []
    for runs in _blocks(task, points, repetitions, device, dtype):
        data = {run: prepare_run(task, task.runs[run], device, dtype) for run in runs}
        best: dict[tuple[int, int], Candidate] = {}
        for specs in _groups(runs, points, repetitions, data):
            for candidate in train_probes(task, specs, data, dtype):
                key = candidate.spec.run, candidate.spec.repetition
                if key not in best or candidate.rank > best[key].rank:
                    best[key] = candidate
            done += len(specs)
            progress(done, total)
        data = {run: rows.without_rows() for run, rows in data.items()}  # before others are read
        results += [_test(task, data[run], best[run, r]) for run, r in sorted(best)]
    return results


def _limits(device: torch.device) -> tuple[int, int]:
    return _CPU_LIMITS if device.type == "cpu" else _GPU_LIMITS


def _blocks(
    task: EmbeddedTask,
    points: Sequence[GridPoint],
    repetitions: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[range]:
    """Return the runs whose data are held at once: as many as are trained together, or one."""
    features = embedding_size(task)
    parameters = min(parameter_count(features, len(task.labels), point) for point in points)
    together = _limits(device)[0] // parameters // (len(points) * repetitions)
    rows = max(row_count(task, (*run.train, run.valid)) for run in task.runs)
    fitting = _HELD_BYTES // max(1, rows * features * dtype.itemsize)
    size = max(1, min(together, fitting))
    runs = range(len(task.runs))
    return (runs[start : start + size] for start in range(0, len(runs), size))


def _groups(
    runs: range, points: Sequence[GridPoint], repetitions: int, data: dict[int, RunData]
) -> Iterator[list[FitSpec]]:
    """Yield all fits of the runs, those of the same layers and schedule together, within limits."""

    def schedule(spec: FitSpec) -> tuple[int, ...]:
        p = spec.point
        width = p.hidden_dim if p.hidden_layers else 0
        return p.hidden_layers, width, p.batch_size, p.max_epochs, p.check_val_every_n_epoch

    specs = [
        FitSpec(run, repetition, index, point)
        for run in runs
        for repetition in range(repetitions)
        for index, point in enumerate(points)
    ]
    for _, group in groupby(sorted(specs, key=lambda s: (schedule(s), s)), key=schedule):
        alike = list(group)
        point, rows = alike[0].point, data[runs[0]]
        features, labels = rows.inputs.shape[1], rows.targets.shape[1]
        parameters, activations = _limits(rows.inputs.device)
        layer = min(len(rows.inputs), point.batch_size) * max(features, point.hidden_dim)
        size = min(parameters // parameter_count(features, labels, point), activations // layer)
        size = max(1, size)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def _test(task: EmbeddedTask, data: RunData, winner: Candidate) -> FoldResult:
    test = task.runs[winner.spec.run].test
    rows = read_rows(task, (test,), with_times=True)
    logits = data.predicted(batched_logits(winner.weights, data.standardized(task, test))[0])
    return fold_result(task, test, rows, logits, winner.selection, winner.spec.repetition)
