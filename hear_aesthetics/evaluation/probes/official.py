"""Official protocol: heareval's training and selection, random draw for random draw.

On a CPU, grid point, epochs and scores are the official ones, with all that this entails: training
rows are never shuffled, a validation that is NaN or infinite ends a fit at once, the best event
post-processing is the one with the *largest* score, and the grid is searched on the first fold
only. What is left out is Lightning, and fetching rows one by one.

torch's global generator, seeded once per task, is used up in this order: per fit the initial
weights and a 64-row input (the summary that heareval prints), per pass over data one integer, and
the dropout masks.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hear_aesthetics.engine.progress import ProgressCallback
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import SplitRows, read_embeddings, read_rows
from hear_aesthetics.evaluation.probes.fold_result import (
    FoldResult,
    Selection,
    fold_result,
    logged,
    scored_postprocessings,
)
from hear_aesthetics.evaluation.probes.grid import SEED, GridPoint
from hear_aesthetics.evaluation.probes.probe import build_probe, logit_loss, probabilities
from hear_aesthetics.evaluation.tasks.event_postprocessing import (
    Postprocessing,
    postprocessing_grid,
)
from hear_aesthetics.evaluation.tasks.task import EmbeddedTask, Run

__all__ = ["evaluate_officially"]

_SUMMARY_ROWS = 64


@dataclass(frozen=True)
class _Fit:
    selection: Selection
    probe: nn.Sequential  # at its best validation


def evaluate_officially(
    task: EmbeddedTask, points: Sequence[GridPoint], progress: ProgressCallback
) -> list[FoldResult]:
    """Search the grid on the first run, train the best point on the others, then test all.

    ``progress`` is called with the number of fits done and of all fits.

    Raises:
        TaskError: If the stored rows are faulty, or a fit cannot be trained or is never validated.
    """
    if task.prediction_type == "regression":
        raise TaskError(
            f"{task.folder}: heareval has no regression tasks; evaluate it with the robust protocol"
        )
    first, *others = task.runs
    count, total = itertools.count(1), len(points) + len(others)

    def fitted() -> None:
        progress(next(count), total)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        fits = [_search(task, first, points, fitted)]
        fits += [_search(task, run, [fits[0].selection.point], fitted) for run in others]
    return [_test(task, run, fit) for run, fit in zip(task.runs, fits, strict=True)]


def _search(
    task: EmbeddedTask, run: Run, points: Sequence[GridPoint], fitted: Callable[[], None]
) -> _Fit:
    """Fit every point; the first of the best validation scores wins."""
    targets = torch.from_numpy(read_rows(task, run.train).targets)
    valid = read_rows(task, (run.valid,), with_times=True)
    embeddings, valid_embeddings = (
        torch.from_numpy(read_embeddings(task, splits)) for splits in (run.train, (run.valid,))
    )
    sign = 1 if task.score_mode == "max" else -1
    best: _Fit | None = None
    count = len(embeddings)
    for point in points:
        if point.hidden_layers and count % point.batch_size == 1:
            raise TaskError(
                f"{task.folder}: {count} training rows leave one in the last batch of "
                f"{point.batch_size}, which BatchNorm refuses (heareval stops here too); "
                "use the robust protocol"
            )
        fit = _fit(task, point, (embeddings, targets), valid_embeddings, valid)
        if best is None or sign * fit.selection.score > sign * best.selection.score:
            best = fit
        fitted()
    assert best is not None, "a grid has points"
    return best


def _fit(
    task: EmbeddedTask,
    point: GridPoint,
    train: tuple[Tensor, Tensor],
    valid_embeddings: Tensor,
    valid: SplitRows,
) -> _Fit:
    start = time.perf_counter()
    features, labels = (tensor.shape[1] for tensor in train)
    probe = build_probe(features, labels, point)
    torch.rand(_SUMMARY_ROWS, features)
    optimizer = torch.optim.Adam(probe.parameters(), lr=point.lr)
    valid_targets = torch.from_numpy(valid.targets)
    sign = 1 if task.score_mode == "max" else -1
    best: Selection | None = None
    weights: dict[str, Tensor] = {}
    waited = 0
    for epoch in range(point.max_epochs):
        _draw_loader_seed()
        probe.train()
        for embeddings, targets in zip(*(_batches(t, point) for t in train), strict=True):
            optimizer.zero_grad()
            logit_loss(probe(embeddings), targets, task.prediction_type).backward()
            optimizer.step()
        if (epoch + 1) % point.check_val_every_n_epoch:
            continue
        _draw_loader_seed()
        logits = _forward(probe, valid_embeddings, point)
        score, postprocessing = _validate(task, valid, valid_targets, logits)
        waited += 1
        if best is None or sign * score > sign * best.score:
            waited = 0 if math.isfinite(score) else waited
            kept = -sign * math.inf if math.isnan(score) else score
            best = Selection(point, kept, epoch, postprocessing)
            weights = {name: value.clone() for name, value in probe.state_dict().items()}
        if not math.isfinite(score) or waited >= point.patience:
            break
    assert best is not None, "every grid point has a validation"
    probe.load_state_dict(weights)
    return _Fit(replace(best, seconds=time.perf_counter() - start), probe)


def _batches(rows: Tensor, point: GridPoint) -> Iterator[Tensor]:
    """Yield heareval's batches, each in its own memory: alignment may change the last bit."""
    return (batch.clone() for batch in rows.split(point.batch_size))


def _draw_loader_seed() -> None:
    """Draw the integer that every pass over a torch DataLoader takes from the global generator."""
    torch.empty((), dtype=torch.int64).random_()


@torch.no_grad()
def _forward(probe: nn.Sequential, embeddings: Tensor, point: GridPoint) -> Tensor:
    """Return logits in evaluation mode; heareval's batches, since their size changes rounding."""
    probe.eval()
    return torch.cat([probe(batch) for batch in _batches(embeddings, point)])


def _validate(
    task: EmbeddedTask, rows: SplitRows, targets: Tensor, logits: Tensor
) -> tuple[float, Postprocessing]:
    """Return the monitored value, as logged, and the best post-processing (events)."""
    if not task.use_scoring_for_early_stopping:
        first = postprocessing_grid(task.postprocessing_grid)[0] if task.is_event else ()
        return float(logit_loss(logits, targets, task.prediction_type)), first
    predictions = probabilities(logits, task.prediction_type).numpy()
    score, chosen = max(
        scored_postprocessings(task, rows, predictions),
        key=lambda entry: (0.0 if math.isnan(entry[0]) else entry[0], entry[1]),
    )
    return logged(task.scores[0].name, score), chosen


def _test(task: EmbeddedTask, run: Run, fit: _Fit) -> FoldResult:
    rows = read_rows(task, (run.test,), with_times=True)
    embeddings = torch.from_numpy(read_embeddings(task, (run.test,)))
    logits = _forward(fit.probe, embeddings, fit.selection.point)
    return fold_result(task, run.test, rows, logits, fit.selection, repetition=0)
