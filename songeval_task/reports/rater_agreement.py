"""Agreement of raters with each other, beside that of a model with them.

A song's rating is the mean of a few people, who do not agree. Two figures say how far that goes:

- Each rater against the mean of the others of the same song, by the metrics of the protocol,
  averaged over raters. SongEval's raters are anonymous: *rater i* is the i-th entry of each song's
  list, which need not be one person. Songs with fewer raters than most have are left out, and of
  more the first count, so that every column is full.
- The reliability of the mean of all raters: the share of its variance between songs that is not
  disagreement, ``ICC(1, k) = (MSB - MSW) / MSB`` from the mean squares between and within songs
  (Shrout & Fleiss, "Intraclass Correlations", 1979). It is the formula of Spearman (1910) and Brown
  (1910) applied to one rater's ``ICC(1, 1)``, and does not depend on the order of raters. A model
  that knew what all people think on average would reach an LCC of its square root (attenuation;
  Spearman, 1904): the ceiling.

A model is compared with the mean of all raters, a rater with that of the others, which is less
exact: a model may be above raters and still below the ceiling.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.metrics.intervals import (
    SCALES,
    Array,
    Interval,
    Metric,
    confidence_interval,
)
from songeval_task.data.prepared import read_prepared
from songeval_task.dimensions import DIMENSIONS, Track
from songeval_task.protocol import mean_over, metrics_of, triple

__all__ = ["CEILING", "RELIABILITY", "Ratings", "agreement", "ratings_of"]

CEILING, RELIABILITY = "lcc_ceiling", "reliability"
FEWEST_SONGS = 3


@dataclass(frozen=True)
class Ratings:
    """Ratings of some songs by as many raters each.

    Attributes:
        values: Ratings.
        left_out: Number of songs that have fewer raters.

    Shape:
        - values: ``(songs, raters, dimensions)``
    """

    values: Array
    left_out: int


def ratings_of(folder: Path | None, songs: Sequence[str], track: Track) -> Ratings | str:
    """Return the ratings of songs, or why there are none, as one line.

    Args:
        folder: Folder of ``songeval prepare``; None: not known.
        songs: Names of songs.
        track: Track of the dimensions.
    """
    if folder is None:
        return "name the folder of `songeval prepare` with --data"
    try:
        data = read_prepared(folder, need_audio=False)
    except InputError as error:
        return str(error)
    known = {song.name: song.ratings for song in data.songs}
    if not any(known.values()):
        return f"{folder} holds no single ratings; run `songeval prepare` on a SongEval copy again"
    counts = [len(known.get(song, ())) for song in songs]
    raters = Counter(counts).most_common(1)[0][0]
    if raters < 2:
        return f"{folder} has ratings of two or more raters for few of these songs"
    full = [song for song, count in zip(songs, counts, strict=True) if count >= raters]
    if len(full) < FEWEST_SONGS:
        return f"{folder} has ratings for {len(full)} of these songs"
    names = [dimension.name for dimension in DIMENSIONS]
    columns = [names.index(name) for name in track.names]
    values = np.array([known[song][:raters] for song in full])[:, :, columns]
    return Ratings(values, len(songs) - len(full))


def agreement(ratings: Ratings, track: Track) -> dict[str, Any]:
    """Return the figures of the raters.

    Returns:
        ``count`` of songs, ``left_out`` and ``raters``, then dimension or ``"mean"`` -> metric, or
        ``reliability`` or ``lcc_ceiling`` (not of the mean) -> ``[value, low, high]``.
    """
    values = ratings.values
    songs, raters, count = values.shape
    others = (values.sum(axis=1, keepdims=True) - values) / (raters - 1)
    own, rest = values.reshape(songs, -1), others.reshape(songs, -1)
    found: dict[str, Any] = {name: {} for name in (*track.names, "mean")}

    def take(metric: Metric, name: str, scale: str, preds: Any) -> None:
        each = confidence_interval(metric, preds, rest, scale=SCALES.get(scale, "plain"))
        mean = confidence_interval(mean_over(metric), preds, rest, scale=SCALES.get(scale, "plain"))
        _put(found, track, name, each, mean)

    for name, metric in metrics_of(track, track.top_tier_thresholds * raters).items():
        take(_over_raters(metric, count), name, name, own)
    take(_reliability, RELIABILITY, "lcc", values)  # its interval ends at 1, too
    take(_ceiling, CEILING, "lcc", values)
    facts = {"count": songs, "left_out": ratings.left_out, "raters": raters}
    return {**facts, **found}


def _put(found: dict[str, Any], track: Track, name: str, each: Interval, mean: Interval) -> None:
    for index, dimension in enumerate(track.names):
        found[dimension][name] = triple(each, index)
    found["mean"][name] = triple(mean)


def _over_raters(metric: Metric, dimensions: int) -> Metric:
    """Return the mean over raters of a metric whose columns are all dimensions, rater by rater."""

    def mean(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        scores = metric(preds, target, weights=weights)
        by_rater: Array = scores.reshape(*scores.shape[:-1], -1, dimensions)
        return by_rater.mean(axis=-2)

    return mean


def _reliability(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Return ICC(1, k) of the ratings ``preds``, 0 where songs differ no more than raters.

    As a metric: ``target`` is not used.
    """
    counts = np.ones((1, len(preds))) if weights is None else weights
    total, raters = counts.sum(axis=1, keepdims=True), preds.shape[1]
    means = preds.mean(axis=1)
    within = counts @ preds.var(axis=1, ddof=1) / total
    centre = counts @ means / total
    squares = counts @ np.square(means) - total * np.square(centre)
    between = raters * squares / (total - 1)
    shown = np.where(between > 0, 1 - within / np.where(between > 0, between, 1), 0).clip(0, 1)
    return shown[0] if weights is None else shown


def _ceiling(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    """Return the LCC of what all people think on average with the mean rating."""
    return np.sqrt(_reliability(preds, target, weights=weights))
