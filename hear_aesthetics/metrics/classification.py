"""Average precision and ROC AUC per label, ties counted once, also of parts of the rows.

Both follow scikit-learn's definitions: average precision is the sum over distinct thresholds of the
recall gained times the precision there, AUC counts a tied pair one half. Given ``weights``
``(replicates, rows)`` they return ``(replicates, labels)``: one sort serves all replicates.
"""

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.metrics.intervals import Array

__all__ = ["average_precision", "roc_auc"]


def average_precision(
    predictions: NDArray[np.floating], targets: NDArray[np.floating], weights: Array | None = None
) -> Array:
    """Return average precision per label; NaN for a label without positives.

    Shape:
        - predictions, targets: ``(rows, labels)``; weights: ``(replicates, rows)`` counts
        - output: ``(labels,)`` or ``(replicates, labels)`` in [0, 1]
    """
    counts = np.ones((len(targets), 1)) if weights is None else np.ascontiguousarray(weights.T)
    scores = np.full((targets.shape[1], counts.shape[1]), np.nan)
    for label, (column, target) in enumerate(zip(-predictions.T, targets.T, strict=True)):
        order, _, end = _tied(column)
        positive = np.nonzero(target[order] > 0)[0]
        if not len(positive):
            continue
        # precision is needed at the ends of the groups of ties that hold a positive
        ends, first = np.unique(end[positive], return_index=True)
        seen = np.add.reduceat(counts[order[: ends[-1]]], np.append(0, ends[:-1])).cumsum(0)
        gained = np.add.reduceat(counts[order[positive]], first)
        found = gained.cumsum(0)
        share = (gained * found / np.maximum(seen, 1)).sum(0)
        scores[label] = np.where(found[-1] > 0, share / np.maximum(found[-1], 1), np.nan)
    return scores[:, 0] if weights is None else scores.T


def roc_auc(
    predictions: NDArray[np.floating], targets: NDArray[np.floating], weights: Array | None = None
) -> Array:
    """Return the area under the ROC curve per label; NaN for a label that has one class only.

    Shape:
        - as :func:`average_precision`
    """
    counts = np.ones((1, len(targets))) if weights is None else weights
    columns = []
    for column, target in zip(predictions.T, targets.T, strict=True):
        order, start, end = _tied(column)
        drawn = counts[:, order]
        positives = drawn * (target[order] > 0)
        negatives = drawn - positives
        below = _cumulated(negatives)
        wins = positives * (below[:, start] + below[:, end]) / 2
        pairs = positives.sum(1) * negatives.sum(1)
        columns.append(np.where(pairs > 0, wins.sum(1) / np.maximum(pairs, 1), np.nan))
    scores = np.stack(columns, axis=1)
    return scores[0] if weights is None else scores


def _tied(column: NDArray[np.floating]) -> tuple[NDArray[np.int64], ...]:
    """Return the rising order of the rows, and start and end of each one's group of ties there."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.cumsum(new) - 1
    borders = np.append(np.nonzero(new)[0], len(ordered))
    return order, borders[group], borders[group + 1]


def _cumulated(counts: Array) -> Array:
    """Return the total before each position, ``(replicates, rows + 1)``."""
    total = np.zeros((len(counts), counts.shape[1] + 1))
    np.cumsum(counts, axis=1, out=total[:, 1:])
    return total
