"""Confidence intervals of scores, alone and paired: a delete-a-group jackknife.

Songs fall into at most 200 random groups, and the score is taken without one group at a time. A
:class:`Metric` takes such ``weights`` ``(replicates, songs)``, how often each song counts, so all
replicates are a few matrix products; :func:`by_resampling` gives any other score the same
interface. Spread and bias of the replicates are the standard error, Student's t makes it an
interval, on the scale that suits the score (:data:`SCALES`). Nothing is resampled: the public names
``confidence_interval`` and ``paired_interval`` are older than the method. The scales:

- ``plain``: as it is, for differences and d-prime.
- ``fisher``: Fisher's z, for correlations.
- ``log``: the logarithm, for scores above 0 without a limit.
- ``proportion``: Wilson's interval of as many cases as the standard error stands for.
- ``ranking``: the same around the score less its bias, since few positives raise a mean AP.
- ``f_measure``: Wilson's interval of the Jaccard index J, where F1 = 2J / (1 + J).

The ends are NaN, not estimable, if the score rests on fewer than three cases (songs, positives of a
label, songs or files with something to find or found), if a replicate is undefined, or if all are
equal; a share of 0 or 1 then still has the interval of its cases. ``benchmarks.coverage`` holds all
this, and a percentile bootstrap, against simulated truth.

Sources: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 11; Kott, "The
Delete-a-Group Jackknife" (2001); Wilson, "Probable Inference" (1927).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GROUPS",
    "METHOD",
    "SCALES",
    "Array",
    "Interval",
    "Metric",
    "Scale",
    "by_resampling",
    "confidence_interval",
    "interval_of",
    "jackknife",
    "paired_interval",
]

Array = NDArray[np.float64]
Scale = Literal["plain", "fisher", "log", "proportion", "ranking", "f_measure"]

METHOD = "delete-a-group jackknife, Student's t"
GROUPS = 200
SCALES: Mapping[str, Scale] = {
    "lcc": "fisher",
    "srcc": "fisher",
    "ktau": "fisher",
    "mse": "log",
    "tta": "f_measure",
    "top1_acc": "proportion",
    "pitch_acc": "proportion",
    "chroma_acc": "proportion",
    "mAP": "ranking",
    "aucroc": "ranking",
    "d_prime": "plain",
    "event_onset_200ms_fms": "f_measure",
    "event_onset_50ms_fms": "f_measure",
    "event_onset_offset_50ms_20perc_fms": "f_measure",
    "segment_1s_er": "log",
}

_BLOCK = 2**22  # weights held at once
_FEWEST = 3  # cases that a standard error can be told from
_ROUNDING = 1e-12  # standard errors below are those of equal numbers


class Metric(Protocol):
    """A score per dimension, or per replicate and dimension when ``weights`` are given."""

    def __call__(self, preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        """Return ``(dimensions,)``, or ``(replicates, dimensions)`` with ``weights``."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, each ``(dimensions,)``; ends that cannot be told are NaN."""

    estimate: Array
    low: Array
    high: Array
    confidence: float
    method: str = METHOD

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


def confidence_interval(
    metric: Metric, preds: Any, target: Any, *, scale: Scale = "plain", confidence: float = 0.95
) -> Interval:
    """Return the interval of a metric over songs.

    Args:
        metric: One of :mod:`hear_aesthetics.metrics` (``partial(top_tier_f1, thresholds=...)``),
            or :func:`by_resampling` of any score.
        preds: Predictions, ``(songs, ...)``.
        target: Truth, ``(songs, ...)``.
        scale: Of the score; :data:`SCALES` has those of named ones.
        confidence: Coverage in (0, 1).

    Raises:
        ValueError: If ``confidence`` is out of range or the metric rejects its input.
    """
    replicates, cases = jackknife(metric, preds, target, len(preds), scale)
    return interval_of(metric(preds, target), replicates, cases, scale, confidence)


def paired_interval(
    metric: Metric, preds: Any, baseline: Any, target: Any, *, confidence: float = 0.95
) -> Interval:
    """Return the interval of ``metric(preds) - metric(baseline)``, paired by song.

    Pairing removes the luck of the songs, which is common to both and much larger than the
    difference of two good models. Arguments and errors as :func:`confidence_interval`.
    """
    estimate = metric(preds, target) - metric(baseline, target)
    ours, cases = jackknife(metric, preds, target, len(target))
    theirs, _ = jackknife(metric, baseline, target, len(target))
    return interval_of(estimate, ours - theirs, cases, confidence=confidence)


def jackknife(
    metric: Callable[..., Array],
    preds: Any,
    target: Any,
    songs: int,
    scale: Scale = "plain",
    most: int = GROUPS,
) -> tuple[Array, Array]:
    """Compute scores without each of at most ``most`` groups, and count the cases of the score.

    Shape:
        - output: ``(groups, dimensions)``; ``(dimensions,)`` or ``()``, NaN if there are too few
    """
    groups = min(most, songs)
    group = np.random.default_rng(0).permutation(np.arange(songs) % groups)
    members = group == np.arange(groups)[:, None]
    blocks = np.array_split(members.astype(np.float64), 1 + members.size // _BLOCK)
    cases: Any = float(songs)
    with np.errstate(divide="ignore", invalid="ignore"):  # a score of some songs may be undefined
        replicates = np.concatenate([metric(preds, target, weights=1 - m) for m in blocks])
        if scale == "f_measure":  # 1 for a group that holds something predicted or true
            parts = [[metric(x, x, weights=m) for m in blocks] for x in (preds, target)]
            cases = np.nansum(np.fmax(*map(np.concatenate, parts)), axis=0)
    if scale == "ranking":
        rarer = np.minimum((target > 0).sum(axis=0), (target <= 0).sum(axis=0))
        cases = np.median(rarer[rarer > 0]) if rarer.any() else 0
    return replicates, np.where(np.asarray(cases) >= _FEWEST, cases, np.nan)


def interval_of(
    estimate: Array,
    replicates: Array,
    cases: Array,
    scale: Scale = "plain",
    confidence: float = 0.95,
) -> Interval:
    """Return the interval that the outputs of :func:`jackknife` give.

    Raises:
        ValueError: If ``confidence`` is not between 0 and 1.
    """
    from scipy.special import stdtrit  # quantiles of Student's t

    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1; 0.95 is usual")
    groups = len(replicates)
    t = float(stdtrit(groups - 1, (1 + confidence) / 2))
    with np.errstate(all="ignore"):  # what is not estimable ends as NaN
        mean = replicates.mean(axis=0)
        spread = np.sqrt((groups - 1) / groups * np.square(replicates - mean).sum(axis=0))
        bias = (groups - 1) * (mean - estimate)
        error = np.hypot(spread, bias) * (spread > _ROUNDING) + 0 * cases
        reach = [[-t], [t]] * np.where(error > 0, error, np.nan)
        if scale == "plain":
            ends = estimate + reach
        elif scale == "fisher":
            ends = np.tanh(np.arctanh(estimate) + reach / (1 - estimate**2))
        elif scale == "log":
            ends = estimate * np.exp(reach / estimate)
        elif scale == "f_measure":
            ends = estimate / (2 - estimate)
            ends = _wilson(ends, ends, error * 2 / (2 - estimate) ** 2, cases, t)
            ends = 2 * ends / (1 + ends)
        else:
            centre = np.clip(estimate - bias, 0, 1) if scale == "ranking" else estimate
            ends = _wilson(estimate, centre, error, cases, t)
    low, high = np.minimum(ends[0], estimate), np.maximum(ends[1], estimate)
    return Interval(estimate, low, high, confidence, f"{METHOD}, {scale} scale")


def _wilson(share: Array, centre: Array, error: Array, cases: Array, t: float) -> Array:
    """Return Wilson's interval around ``centre``, of the cases the error gives, or ``cases``."""
    count = np.where(error == 0, cases, share * (1 - share) / error**2)
    middle = (centre + t**2 / (2 * count)) / (1 + t**2 / count)
    half = np.sqrt(centre * (1 - centre) / count + (t / (2 * count)) ** 2) * t / (1 + t**2 / count)
    return np.stack([middle - half, middle + half])
