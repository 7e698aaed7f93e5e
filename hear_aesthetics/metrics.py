"""Agreement between predicted and mean listener scores, and how far chance moves it.

Every metric takes ``preds, target`` of shape ``(songs, dimensions)`` (or ``(songs,)``: one
dimension), numpy arrays or tensors, computes in float64 and returns one value per dimension. A
column without spread on either side, or with a value that is not finite, has no correlation: it
counts 0, the challenge's rule.

A bootstrap resample of songs is a row of counts: how often each song was drawn. Given such
``weights`` ``(resamples, songs)``, a metric returns ``(resamples, dimensions)``, all resamples in
a few matrix products. :func:`by_resampling` gives any other score the same interface.

Metrics: :func:`lcc`, :func:`srcc`, :func:`ktau`, :func:`mse`, :func:`top_tier_f1`. Sources: the
rules of AudioMOS 2025 and of the SongEval challenge; Efron & Tibshirani, "An Introduction to the
Bootstrap", Sec. 13.3.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "Interval",
    "Metric",
    "bootstrap_interval",
    "by_resampling",
    "ktau",
    "lcc",
    "mse",
    "paired_bootstrap",
    "srcc",
    "system_means",
    "top_tier_f1",
]

Array = NDArray[np.float64]

_NO_SPREAD = 1e-13  # relative deviation that rounding alone leaves in equal values
_BLOCK = 2**22  # counts held at once while bootstrapping
_SYSTEM_DECIMALS = 6  # equal system means must tie in a ranking, whatever the order of summation


class Metric(Protocol):
    """A score per dimension, or per resample and dimension when ``weights`` are given."""

    def __call__(self, preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        """Return ``(dimensions,)``, or ``(resamples, dimensions)`` with ``weights``."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval, each ``(dimensions,)``."""

    estimate: Array
    low: Array
    high: Array
    confidence: float

    @property
    def excludes_zero(self) -> NDArray[np.bool_]:
        """``(dimensions,)``: True where the interval lies on one side of zero."""
        return (self.low > 0) | (self.high < 0)


def lcc(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Linear (Pearson) correlation per dimension.

    Shape:
        - preds, target: ``(songs, dimensions)``, songs >= 2; weights: ``(resamples, songs)`` counts
        - output: ``(dimensions,)`` or ``(resamples, dimensions)`` in [-1, 1]

    Raises:
        ValueError: If the shapes differ or there are fewer than two songs.

    >>> lcc([[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]])
    array([1.])
    """
    preds, target = _matrices(preds, target)
    counts = _counts(weights, len(preds))
    columns = [_pearson(p[None], t[None], counts) for p, t in zip(preds.T, target.T, strict=True)]
    return _stack(columns, weights)


def srcc(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Spearman rank correlation per dimension, ties averaged; shapes and errors as :func:`lcc`.

    >>> srcc([[1.0], [2.0], [30.0]], [[2.0], [4.0], [6.0]])
    array([1.])
    """
    preds, target = _matrices(preds, target)
    counts = _counts(weights, len(preds))
    columns = [
        _pearson(_ranks(p, counts), _ranks(t, counts), counts)
        for p, t in zip(preds.T, target.T, strict=True)
    ]
    return _stack(columns, weights)


def ktau(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Kendall's tau-b per dimension; shapes and errors as :func:`lcc`.

    >>> ktau([[1.0], [2.0], [3.0]], [[1.0], [3.0], [2.0]]).round(4)
    array([0.3333])
    """
    preds, target = _matrices(preds, target)
    pairs = list(zip(preds.T, target.T, strict=True))
    if weights is None:
        return np.array([_tau(p, t) for p, t in pairs])
    return np.stack([_weighted_tau(p, t, weights) for p, t in pairs], axis=1)


def mse(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Mean squared error per dimension; shapes and errors as :func:`lcc`.

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
    """F1 of "in the top tier" (score >= threshold) per dimension; 0 without a true positive.

    Args:
        preds: Predicted scores, in the units of the thresholds.
        target: Mean listener scores.
        thresholds: One inclusive threshold per dimension, or one for all.
        weights: Bootstrap counts, see the module.

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
    """Mean per system (generator), in float64 rounded to 1e-6, and the sorted system names.

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


def by_resampling(score: Callable[[Any, Any], Any]) -> Metric:
    """Give a score of ``(preds, target)`` the ``weights`` of a :class:`Metric`, one by one."""

    def metric(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        if weights is None:
            return np.atleast_1d(np.asarray(score(preds, target), dtype=np.float64))
        preds, target = np.asarray(preds), np.asarray(target)
        drawn = (np.repeat(np.arange(len(row)), row.astype(np.int64)) for row in weights)
        return np.stack([metric(preds[rows], target[rows]) for rows in drawn])

    return metric


def bootstrap_interval(
    metric: Metric,
    preds: Any,
    target: Any,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a metric over songs.

    Args:
        metric: One of this module (``partial(top_tier_f1, thresholds=...)``), or
            :func:`by_resampling` of any score.
        preds: Predictions, ``(songs, ...)``.
        target: Truth, ``(songs, ...)``.
        resamples: Number of bootstrap samples.
        confidence: Coverage in (0, 1).
        seed: Of the resampling; the same seed draws the same songs for every metric and model.

    Raises:
        ValueError: If an option is out of range or the metric rejects its input.
    """
    estimate = metric(preds, target)
    blocks = [metric(preds, target, weights=w) for w in _draw(len(preds), resamples, seed)]
    return _interval(estimate, np.concatenate(blocks), confidence)


def paired_bootstrap(
    metric: Metric,
    preds: Any,
    baseline: Any,
    target: Any,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of ``metric(preds) - metric(baseline)``, both on the same resampled songs.

    Pairing removes the luck of the songs, which is common to both and much larger than the
    difference of two good models. Arguments and errors as :func:`bootstrap_interval`.
    """
    estimate = metric(preds, target) - metric(baseline, target)
    blocks = [
        metric(preds, target, weights=w) - metric(baseline, target, weights=w)
        for w in _draw(len(target), resamples, seed)
    ]
    return _interval(estimate, np.concatenate(blocks), confidence)


def _interval(estimate: Array, sample: Array, confidence: float) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1; 0.95 is usual")
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(sample, [tail, 1 - tail], axis=0)
    return Interval(estimate, low, high, confidence)


def _draw(songs: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield blocks ``(<= resamples, songs)`` of how often each song is drawn."""
    if resamples < 1:
        raise ValueError(f"{resamples} bootstrap resamples; ask for at least 1, 1000 is usual")
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // songs)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(songs, size=(size, songs)) + songs * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * songs)
        yield counts.reshape(size, songs).astype(np.float64)


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


def _stack(columns: list[Array], weights: Array | None) -> Array:
    scores = np.stack(columns, axis=1)
    return scores[0] if weights is None else scores


def _pearson(x: Array, y: Array, counts: Array) -> Array:
    """Weighted correlation of the rows of ``x`` and ``y``; one row may serve all counts."""
    with np.errstate(invalid="ignore"):  # columns that are not finite end as 0
        x, spread_x = _centre(x, counts)
        y, spread_y = _centre(y, counts)
        product = (counts * x * y).sum(1)
    defined = (spread_x > 0) & (spread_y > 0) & np.isfinite(product)
    bottom = np.sqrt(np.where(defined, spread_x, 1)) * np.sqrt(np.where(defined, spread_y, 1))
    return np.clip(np.where(defined, product, 0) / bottom, -1, 1)


def _centre(x: Array, counts: Array) -> tuple[Array, Array]:
    """Deviations from the weighted mean, and their weighted sum of squares (0 where constant)."""
    total = counts.sum(1)
    rounding = total * np.square(_NO_SPREAD * np.abs(x).max(1))
    x = x - ((counts * x).sum(1) / total)[:, None]
    spread = (counts * x * x).sum(1)
    return x, np.where(spread > rounding, spread, 0)


def _ranks(column: Array, counts: Array) -> Array:
    """Average ranks ``(resamples, songs)`` where song i occurs ``counts[:, i]`` times."""
    if not np.isfinite(column).all():
        return np.full((1, len(column)), np.nan)
    values, index = np.unique(column, return_inverse=True)
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(len(values)))
    ties = np.add.reduceat(counts[:, order], starts, axis=1)
    return (np.cumsum(ties, axis=1) - (ties - 1) / 2)[:, index]


def _tau(preds: Array, target: Array) -> float:
    if not (np.isfinite(preds).all() and np.isfinite(target).all()):
        return 0.0
    value = float(stats.kendalltau(preds, target)[0])
    return value if np.isfinite(value) else 0.0  # NaN: a constant column


def _weighted_tau(preds: Array, target: Array, counts: Array) -> Array:
    """Tau-b of every resample: a quadratic form of its counts in the signs of all pairs."""
    if not (np.isfinite(preds).all() and np.isfinite(target).all()):
        return np.zeros(len(counts))
    x = np.sign(preds[:, None] - preds)
    y = np.sign(target[:, None] - target)

    def form(pairs: Array) -> Array:
        return np.einsum("rs,rs->r", counts @ pairs, counts)

    bottom = np.sqrt(form(np.abs(x))) * np.sqrt(form(np.abs(y)))
    return form(x * y) / np.where(bottom > 0, bottom, 1)
