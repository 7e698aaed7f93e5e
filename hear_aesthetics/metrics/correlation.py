"""Correlations, errors and top-tier F1 between predicted and mean listener scores.

Every metric takes ``preds, target`` of shape ``(songs, dimensions)`` (or ``(songs,)``: one
dimension), numpy arrays or tensors, computes in float64 and returns one value per dimension. A
column without spread on either side, or with a value that is not finite, has no correlation: it
counts 0, the challenge's rule.

With ``weights`` ``(replicates, songs)``, how often each song counts in each replicate, a metric
returns ``(replicates, dimensions)``: see :mod:`hear_aesthetics.metrics.intervals`.

Metrics: :func:`lcc`, :func:`srcc`, :func:`ktau`, :func:`mse`, :func:`top_tier_f1`. Source: the
rules of AudioMOS 2025 and of the SongEval challenge.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hear_aesthetics.metrics.intervals import Array

__all__ = ["ktau", "lcc", "mse", "srcc", "system_means", "top_tier_f1"]

_NO_SPREAD = 1e-13  # relative deviation that rounding alone leaves in equal values
_SYSTEM_DECIMALS = 6  # equal system means must tie in a ranking, whatever the order of summation


def lcc(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Return the linear (Pearson) correlation per dimension.

    Shape:
        - preds, target: ``(songs, dimensions)``, songs >= 2; weights: ``(replicates, songs)``
        - output: ``(dimensions,)`` or ``(replicates, dimensions)`` in [-1, 1]

    Raises:
        ValueError: If the shapes differ or there are fewer than two songs.

    >>> lcc([[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]])
    array([1.])
    """
    return _per_dimension(lambda p, t, w: _pearson(p[None], t[None], w), preds, target, weights)


def srcc(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Return Spearman's rank correlation per dimension, ties averaged; the rest as :func:`lcc`.

    >>> srcc([[1.0], [2.0], [30.0]], [[2.0], [4.0], [6.0]])
    array([1.])
    """

    def correlation(p: Array, t: Array, counts: Array) -> Array:
        return _pearson(_ranks(p, counts), _ranks(t, counts), counts)

    return _per_dimension(correlation, preds, target, weights)


def ktau(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Return Kendall's tau-b per dimension; the rest as :func:`lcc`.

    >>> ktau([[1.0], [2.0], [3.0]], [[1.0], [3.0], [2.0]]).round(4)
    array([0.3333])
    """
    return _per_dimension(_tau if weights is None else _weighted_tau, preds, target, weights)


def mse(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Return the mean squared error per dimension; the rest as :func:`lcc`.

    >>> mse([[1.0], [2.0]], [[1.0], [4.0]])
    array([2.])
    """
    preds, target = _matrices(preds, target)
    counts = _counts(weights, len(preds))
    errors = counts @ np.square(preds - target) / counts.sum(1, keepdims=True)
    return errors[0] if weights is None else errors


def top_tier_f1(
    preds: Any, target: Any, thresholds: Sequence[float] | float, *, weights: Array | None = None
) -> Array:
    """Return F1 of "in the top tier" (score >= threshold) per dimension; 0 without a hit.

    Args:
        preds: Predicted scores, in the units of the thresholds.
        target: Mean listener scores.
        thresholds: One inclusive threshold per dimension, or one for all.
        weights: How often each song counts, see the module.

    Shape:
        - as :func:`lcc`; output in [0, 1]

    Raises:
        ValueError: As :func:`lcc`, or if there are not as many thresholds as dimensions.

    >>> top_tier_f1([[4.0], [3.0], [4.5]], [[4.2], [4.0], [4.1]], thresholds=4.0)
    array([0.8])
    """
    preds, target = _matrices(preds, target)
    limits = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if limits.shape not in {(1,), (preds.shape[1],)}:
        raise ValueError(
            f"{limits.size} top-tier thresholds for {preds.shape[1]} dimensions; give one each"
        )
    counts = _counts(weights, len(preds))
    predicted, true = preds >= limits, target >= limits
    hits = counts @ (predicted & true).astype(np.float64)
    tagged = counts @ predicted.astype(np.float64) + counts @ true.astype(np.float64)
    scores = 2 * hits / np.maximum(tagged, 1)
    return scores[0] if weights is None else scores


def system_means(values: Any, systems: Sequence[str]) -> tuple[Array, list[str]]:
    """Return means per system (generator), rounded to 1e-6, and the sorted system names.

    The rounding makes equal means tie: left alone, the order of summation would rank them.

    Shape:
        - values: ``(songs, dimensions)``; systems: one name per song
        - output: ``(systems, dimensions)``

    Raises:
        ValueError: If there is not one system name per song.

    >>> system_means([[1.0], [2.0], [4.0]], ["b", "a", "b"])
    (array([[2. ],
           [2.5]]), ['a', 'b'])
    """
    matrix = _as_float64(values)
    if len(matrix) != len(systems):
        raise ValueError(f"{len(matrix)} songs but {len(systems)} system names; give one per song")
    names, index = np.unique(np.asarray(systems), return_inverse=True)
    members = np.equal(np.arange(len(names))[:, None], index).astype(np.float64)
    means = members @ matrix / members.sum(1, keepdims=True)
    return means.round(_SYSTEM_DECIMALS), [str(name) for name in names]


def _as_float64(values: Any) -> Array:
    if hasattr(values, "detach"):  # a tensor; double first, since numpy knows no bfloat16
        values = values.detach().double().cpu().numpy()
    matrix = np.asarray(values, dtype=np.float64)
    return matrix[:, None] if matrix.ndim == 1 else matrix


def _matrices(preds: Any, target: Any) -> tuple[Array, Array]:
    preds, target = _as_float64(preds), _as_float64(target)
    if preds.ndim != 2 or preds.shape != target.shape:
        raise ValueError(
            f"predictions {preds.shape} and targets {target.shape} must both be (songs, dimensions)"
        )
    if len(preds) < 2:
        raise ValueError(f"{len(preds)} song is not enough to compare scores; give at least 2")
    return preds, target


def _counts(weights: Array | None, songs: int) -> Array:
    return np.ones((1, songs)) if weights is None else weights


def _per_dimension(
    score: Callable[[Array, Array, Array], Array], preds: Any, target: Any, weights: Array | None
) -> Array:
    """Return ``score(preds, target, counts)`` of every dimension."""
    preds, target = _matrices(preds, target)
    counts = _counts(weights, len(preds))
    columns = [score(p, t, counts) for p, t in zip(preds.T, target.T, strict=True)]
    scores = np.stack(columns, axis=1)
    return scores[0] if weights is None else scores


def _pearson(x: Array, y: Array, counts: Array) -> Array:
    """Return the weighted correlation of rows of ``x`` and ``y``; one row may serve all counts."""
    with np.errstate(invalid="ignore"):  # columns that are not finite end as 0
        x, spread_x = _centre(x, counts)
        y, spread_y = _centre(y, counts)
        product = (counts * x * y).sum(1)
    defined = (spread_x > 0) & (spread_y > 0) & np.isfinite(product)
    bottom = np.sqrt(np.where(defined, spread_x, 1)) * np.sqrt(np.where(defined, spread_y, 1))
    return np.clip(np.where(defined, product, 0) / bottom, -1, 1)


def _centre(x: Array, counts: Array) -> tuple[Array, Array]:
    """Return deviations from the weighted mean, and their sum of squares (0 where constant)."""
    total = counts.sum(1)
    rounding = total * np.square(_NO_SPREAD * np.abs(x).max(1))
    x = x - ((counts * x).sum(1) / total)[:, None]
    spread = (counts * x * x).sum(1)
    return x, np.where(spread > rounding, spread, 0)


def _ranks(column: Array, counts: Array) -> Array:
    """Return average ranks ``(replicates, songs)`` where song i occurs ``counts[:, i]`` times."""
    if not np.isfinite(column).all():
        return np.full((1, len(column)), np.nan)
    values, index = np.unique(column, return_inverse=True)
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(len(values)))
    ties = np.add.reduceat(counts[:, order], starts, axis=1)
    return (np.cumsum(ties, axis=1) - (ties - 1) / 2)[:, index]


def _tau(preds: Array, target: Array, _: Array) -> Array:
    from scipy import stats  # slow to import, and needed here only

    finite = np.isfinite(preds).all() and np.isfinite(target).all()
    value = float(stats.kendalltau(preds, target)[0]) if finite else 0.0
    return np.array([value if np.isfinite(value) else 0.0])  # NaN: a constant column


def _weighted_tau(preds: Array, target: Array, counts: Array) -> Array:
    """Return tau-b of every replicate: a quadratic form of its counts in the signs of all pairs."""
    if not (np.isfinite(preds).all() and np.isfinite(target).all()):
        return np.zeros(len(counts))
    x = np.sign(preds[:, None] - preds)
    y = np.sign(target[:, None] - target)

    def form(pairs: Array) -> Array:
        return np.einsum("rs,rs->r", counts @ pairs, counts)

    bottom = np.sqrt(form(np.abs(x))) * np.sqrt(form(np.abs(y)))
    return form(x * y) / np.where(bottom > 0, bottom, 1)
