"""``--protocol robust``: the probes of heareval, trained and selected with better practice.

Against :mod:`~hear_aesthetics.evaluation.probes.official`: training rows are shuffled every epoch;
embeddings (and regression targets) are standardised on the training part; a validation without a
defined score neither ends a fit nor counts towards patience; ties in the validation score go to the
lower loss; the grid is searched in every fold; event post-processing honours the direction of the
score; scores leave out labels for which they are undefined; every fit has a seed of its own,
derived from repetition, fold and grid point, so that no fit depends on which others are run; and
the whole is repeated with other seeds.

Fits are trained in stacks as large as memory and cache allow, over grid points, repetitions and, if
they fit, folds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import torch

from hear_aesthetics.engine.progress import ProgressCallback
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import embedding_size, read_rows
from hear_aesthetics.evaluation.probes.data import RunData, prepare_run
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.outcome import Outcome, logged_values
from hear_aesthetics.evaluation.probes.probe import logit_loss, probabilities
from hear_aesthetics.evaluation.probes.stacked.stack import parameter_count
from hear_aesthetics.evaluation.probes.stacked.trainer import (
    Candidate,
    Job,
    batched_logits,
    train_stack,
)
from hear_aesthetics.evaluation.tasks.task import Task

__all__ = ["evaluate_robustly"]

# Parameters of a stack, and activations of one of its layers. On a processor a larger stack leaves
# the cache, which costs more than the fewer calls save; a GPU wants all there is.
_CPU_LIMITS = (2**21, 2**22)
_GPU_LIMITS = (2**28, 2**29)


def evaluate_robustly(
    task: Task,
    points: Sequence[GridPoint],
    repetitions: int,
    progress: ProgressCallback,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> list[Outcome]:
    """Search the grid in every run and repetition, and test the best point of each.

    Args:
        task: Read from an embedding folder.
        points: Grid points.
        repetitions: How often, each time with other seeds.
        progress: Called with the fits done and the fits in all.
        device: Where to train.
        dtype: Of the matrix products.

    Returns:
        One outcome per run and repetition, run by run; repetitions after the first are named
        ``<test split>.seed<n>``.

    Raises:
        TaskError: If the stored rows are faulty, or the task's own grid asks for what stacks lack.
    """
    if any(point.norm_after_activation for point in points):
        raise TaskError(f"{task.folder}: norm_after_activation needs the official protocol")
    task = replace(task, skip_undefined=True)
    features = embedding_size(task)
    done, total = 0, len(task.runs) * repetitions * len(points)
    outcomes = []
    for runs in _blocks(task, features, points, repetitions, device):
        data = {run: prepare_run(task, task.runs[run], device, dtype) for run in runs}
        best: dict[tuple[int, int], Candidate] = {}
        for jobs in _stacks(runs, points, repetitions, data):
            for candidate in train_stack(task, jobs, data, dtype):
                key = candidate.job.run, candidate.job.repetition
                if key not in best or candidate.rank > best[key].rank:
                    best[key] = candidate
            done += len(jobs)
            progress(done, total)
        outcomes += [_test(task, data[run], best[run, r]) for run, r in sorted(best)]
    return outcomes


def _limits(device: torch.device) -> tuple[int, int]:
    return _CPU_LIMITS if device.type == "cpu" else _GPU_LIMITS


def _blocks(
    task: Task,
    features: int,
    points: Sequence[GridPoint],
    repetitions: int,
    device: torch.device,
) -> Iterator[range]:
    """Runs whose data are held at once: as many as one stack takes, at least one."""
    parameters = min(parameter_count(features, len(task.labels), point) for point in points)
    fits = _limits(device)[0] // parameters
    size = max(1, fits // (len(points) * repetitions))
    for start in range(0, len(task.runs), size):
        yield range(start, min(start + size, len(task.runs)))


def _stacks(
    runs: range, points: Sequence[GridPoint], repetitions: int, data: dict[int, RunData]
) -> Iterator[list[Job]]:
    """All fits of the runs, those with the same layers and schedule together, within the limits."""

    def schedule(job: Job) -> tuple[int, ...]:
        p = job.point
        width = p.hidden_dim if p.hidden_layers else 0
        return p.hidden_layers, width, p.batch_size, p.max_epochs, p.check_val_every_n_epoch

    jobs = [
        Job(run, repetition, index, point)
        for run in runs
        for repetition in range(repetitions)
        for index, point in enumerate(points)
    ]
    for _, group in groupby(sorted(jobs, key=lambda j: (schedule(j), j)), key=schedule):
        alike = list(group)
        point, rows = alike[0].point, data[runs[0]]
        features, labels = rows.inputs.shape[1], rows.targets.shape[1]
        parameters, activations = _limits(rows.inputs.device)
        layer = min(len(rows.inputs), point.batch_size) * max(features, point.hidden_dim)
        size = min(parameters // parameter_count(features, labels, point), activations // layer)
        size = max(1, size)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def _test(task: Task, data: RunData, winner: Candidate) -> Outcome:
    job, selection = winner.job, winner.selection
    test = task.runs[job.run].test
    rows = read_rows(task, (test,), with_times=True)
    logits = data.predicted(batched_logits(winner.weights, data.standardised(rows))[0])
    predictions = probabilities(logits, task.prediction_type).numpy()
    loss = float(logit_loss(logits, torch.from_numpy(rows.targets), task.prediction_type))
    values = logged_values(task, rows, predictions, selection.postprocessing, loss)
    return Outcome(test, selection, values, rows, logits.numpy(), predictions, job.repetition)
