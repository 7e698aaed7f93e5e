"""Average precision and ROC AUC per label, ties counted once, also of parts of the rows.

Both follow scikit-learn's definitions: average precision is the sum over distinct thresholds of the
recall gained times the precision there, AUC counts a tied pair one half. Given ``weights``
``(replicates, rows)`` they return ``(replicates, labels)``: one sort serves all replicates.
"""

from collections.abc import Callable

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

    def score(counts: Array, positives: Array, _: NDArray, end: NDArray) -> Array:
        found, seen = _cumulated(positives)[:, end], _cumulated(counts)[:, end]
        gained = (positives * found / np.maximum(seen, 1)).sum(1)
        total = positives.sum(1)
        return np.where(total > 0, gained / np.maximum(total, 1), np.nan)

    return _per_label(score, -predictions, targets, weights)


def roc_auc(
    predictions: NDArray[np.floating], targets: NDArray[np.floating], weights: Array | None = None
) -> Array:
    """Return the area under the ROC curve per label; NaN for a label that has one class only.

    Shape:
        - as :func:`average_precision`
    """

    def score(counts: Array, positives: Array, start: NDArray, end: NDArray) -> Array:
        negatives = counts - positives
        below = _cumulated(negatives)
        wins = positives * (below[:, start] + below[:, end]) / 2
        pairs = positives.sum(1) * negatives.sum(1)
        return np.where(pairs > 0, wins.sum(1) / np.maximum(pairs, 1), np.nan)

    return _per_label(score, predictions, targets, weights)


def _per_label(
    score: Callable[[Array, Array, NDArray, NDArray], Array],
    predictions: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: Array | None,
) -> Array:
    """Return a score of every label, given its rows in rising order of the predictions.

    ``score`` takes the counts of all rows and of positive rows, ``(replicates, rows)``, and start
    and end of each row's group of tied predictions, ``(rows,)``.
    """
    counts = np.ones((1, len(targets))) if weights is None else weights
    columns = []
    for column, target in zip(predictions.T, targets.T, strict=True):
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        group = np.cumsum(new) - 1
        borders = np.append(np.nonzero(new)[0], len(ordered))
        drawn = counts[:, order]
        positives = drawn * (target[order] > 0)
        columns.append(score(drawn, positives, borders[group], borders[group + 1]))
    scores = np.stack(columns, axis=1)
    return scores[0] if weights is None else scores


def _cumulated(counts: Array) -> Array:
    """Return the total before each position, ``(replicates, rows + 1)``."""
    total = np.zeros((len(counts), counts.shape[1] + 1))
    np.cumsum(counts, axis=1, out=total[:, 1:])
    return total
