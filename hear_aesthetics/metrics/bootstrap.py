"""Bootstrap intervals of scores, alone and paired.

A resample of songs is a row of counts: how often each song was drawn. Given such ``weights``
``(resamples, songs)``, a :class:`Metric` returns ``(resamples, dimensions)``, all resamples in a
few matrix products. :func:`by_resampling` gives any other score the same interface. Source: Efron &
Tibshirani, "An Introduction to the Bootstrap", Sec. 13.3 (percentile interval).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Interval",
    "Metric",
    "bootstrap_interval",
    "by_resampling",
    "paired_bootstrap",
    "percentile_interval",
    "resample_counts",
]

Array = NDArray[np.float64]

_BLOCK = 2**22  # counts held at once


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
    blocks = [
        metric(preds, target, weights=w) for w in resample_counts(len(preds), resamples, seed)
    ]
    return percentile_interval(estimate, np.concatenate(blocks), confidence)


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
        for w in resample_counts(len(target), resamples, seed)
    ]
    return percentile_interval(estimate, np.concatenate(blocks), confidence)


def percentile_interval(estimate: Array, sample: Array, confidence: float) -> Interval:
    """The middle part of a bootstrap sample ``(resamples, dimensions)``, NaN left out.

    Raises:
        ValueError: If ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1; 0.95 is usual")
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(sample, [tail, 1 - tail], axis=0)
    return Interval(estimate, low, high, confidence)


def resample_counts(songs: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield blocks ``(<= resamples, songs)`` of how often each song is drawn.

    Raises:
        ValueError: If ``resamples`` is below one.
    """
    if resamples < 1:
        raise ValueError(f"{resamples} bootstrap resamples; ask for at least 1, 1000 is usual")
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // songs)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(songs, size=(size, songs)) + songs * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * songs)
        yield counts.reshape(size, songs).astype(np.float64)
