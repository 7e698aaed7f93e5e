"""Average precision and ROC AUC per label, ties counted once, also of parts of the rows.

Both follow scikit-learn's definitions: average precision is the sum over distinct thresholds of the
recall gained times the precision there, AUC counts a tied pair one half. Given ``weights``
``(replicates, rows)`` they return ``(replicates, labels)``: one sort serves all replicates.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.metrics.intervals import Array

__all__ = ["average_precision", "roc_auc"]


def average_precision(
    predictions: NDArray[np.floating], targets: NDArray[np.floating], weights: Array | None = None
) -> Array:
    """Average precision per label; NaN for a label without positives.

    Shape:
        - predictions, targets: ``(rows, labels)``; weights: ``(replicates, rows)`` counts
        - output: ``(labels,)`` or ``(replicates, labels)`` in [0, 1]
    """

    def score(ranked: _Ranked) -> Array:
        found = ranked.cumulated(ranked.positives)[:, ranked.group_end]
        seen = ranked.cumulated(ranked.weights)[:, ranked.group_end]
        gained = (ranked.positives * found / np.maximum(seen, 1)).sum(1)
        total = ranked.positives.sum(1)
        return np.where(total > 0, gained / np.maximum(total, 1), np.nan)

    columns = [score(ranked) for ranked in _rankings(-predictions, targets, weights)]
    return _stack(columns, weights)


def roc_auc(
    predictions: NDArray[np.floating], targets: NDArray[np.floating], weights: Array | None = None
) -> Array:
    """Area under the ROC curve per label; NaN for a label that has one class only.

    Shape:
        - as :func:`average_precision`
    """

    def score(ranked: _Ranked) -> Array:
        negatives = ranked.weights - ranked.positives
        below = ranked.cumulated(negatives)
        wins = ranked.positives * (below[:, ranked.group_start] + below[:, ranked.group_end]) / 2
        pairs = ranked.positives.sum(1) * negatives.sum(1)
        return np.where(pairs > 0, wins.sum(1) / np.maximum(pairs, 1), np.nan)

    columns = [score(ranked) for ranked in _rankings(predictions, targets, weights)]
    return _stack(columns, weights)


@dataclass(frozen=True)
class _Ranked:
    """One label's rows in rising order, and where each row's group of tied scores lies.

    Shape:
        - weights, positives: ``(replicates, rows)``; group_start, group_end: ``(rows,)``
    """

    weights: Array
    positives: Array
    group_start: NDArray[np.int64]
    group_end: NDArray[np.int64]

    @staticmethod
    def cumulated(weights: Array) -> Array:
        """``(replicates, rows + 1)``: total weight before each position."""
        total = np.zeros((len(weights), weights.shape[1] + 1))
        np.cumsum(weights, axis=1, out=total[:, 1:])
        return total


def _rankings(
    scores: NDArray[np.floating], targets: NDArray[np.floating], weights: Array | None
) -> Iterator[_Ranked]:
    counts = np.ones((1, len(targets))) if weights is None else weights
    for column, target in zip(scores.T, targets.T, strict=True):
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        group = np.cumsum(new) - 1
        borders = np.append(np.nonzero(new)[0], len(ordered))
        drawn = counts[:, order]
        positives = drawn * (target[order] > 0)
        yield _Ranked(drawn, positives, borders[group], borders[group + 1])


def _stack(columns: list[Array], weights: Array | None) -> Array:
    scores = np.stack(columns, axis=1)
    return scores[0] if weights is None else scores
