"""The protocol's figures: LCC, SRCC, KTAU and TTA, per dimension and mean, per song and per system.

Every figure comes with an interval over songs (or systems), and the difference of two models with a
paired one: a few thousandths on 200 songs are usually luck. Ends that cannot be estimated are NaN.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import write_text
from hear_aesthetics.metrics.correlation import ktau, lcc, srcc, system_means, top_tier_f1
from hear_aesthetics.metrics.intervals import (
    SCALES,
    Array,
    Interval,
    Metric,
    confidence_interval,
    paired_interval,
)
from songeval_task.dimensions import Track

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "METRICS",
    "SongPredictions",
    "compare",
    "evaluate",
    "mean_over",
    "metrics_of",
    "scp_text",
    "selection_score",
    "triple",
    "write_scp",
]

METRICS = ("lcc", "srcc", "ktau", "tta")  # in the order of the published table
PUBLISHED_DECIMALS = 3  # to which the released code rounded before it chose
PREDICTED, RATED = "predicted ", "rated "  # begin the score columns of a predictions table


@dataclass(frozen=True)
class SongPredictions:
    """Predicted scores of some songs beside their ratings.

    Attributes:
        songs: Names of the songs.
        systems: Generator of each song; empty where that is not known.
        preds: Predicted scores.
        target: Mean ratings.
        track: Track of the dimensions.

    Shape:
        - preds, target: ``(songs, dimensions)`` float64
    """

    songs: tuple[str, ...]
    systems: tuple[str, ...]
    preds: Array
    target: Array
    track: Track

    def by_system(self) -> "SongPredictions | None":
        """Return means per system; None unless every song has one and there are two or more."""
        if not all(self.systems) or len(set(self.systems)) < 2:
            return None
        preds, names = system_means(self.preds, self.systems)
        target, _ = system_means(self.target, self.systems)
        return SongPredictions(tuple(names), tuple(names), preds, target, self.track)

    def table(self) -> "pd.DataFrame":
        """Return one row per song: name, system, and both scores of every dimension."""
        import pandas as pd

        columns: dict[str, Any] = {"name": self.songs, "system": self.systems}
        for index, name in enumerate(self.track.names):
            columns[PREDICTED + name] = self.preds[:, index]
            columns[RATED + name] = self.target[:, index]
        return pd.DataFrame(columns)


def metrics_of(track: Track, thresholds: Sequence[float] = ()) -> dict[str, Metric]:
    """Return the four metrics by name.

    Args:
        track: Track of the dimensions.
        thresholds: Top-tier thresholds, where columns are not the track's dimensions once.
    """
    tta = partial(top_tier_f1, thresholds=thresholds or track.top_tier_thresholds)
    return {"lcc": lcc, "srcc": srcc, "ktau": ktau, "tta": tta}


def mean_over(metric: Metric) -> Metric:
    """Return the mean of a metric over all columns, as a metric with one column."""

    def mean(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        return metric(preds, target, weights=weights).mean(axis=-1, keepdims=True)

    return mean


def selection_score(preds: Any, target: Any, track: Track, *, rounded: bool = False) -> float:
    """Return the mean of the four metrics, each over dimensions, which selects the best head.

    Args:
        preds: Predicted scores.
        target: Mean ratings.
        track: Track of the dimensions.
        rounded: Whether metrics are rounded before they are added, as in the released code.
    """
    values = [float(metric(preds, target).mean()) for metric in metrics_of(track).values()]
    if rounded:
        values = [round(value, PUBLISHED_DECIMALS) for value in values]
    return math.fsum(values) / len(values)


def evaluate(predictions: SongPredictions) -> dict[str, dict[str, Any]]:
    """Return all metrics with intervals, at utterance and, where systems are known, system level.

    Returns:
        level -> ``"songs"`` (or systems) count and dimension -> metric -> ``[value, low, high]``.
    """
    levels = {"utterance": predictions, "system": predictions.by_system()}
    return {
        level: _figures(part)
        for level, part in levels.items()
        if part is not None and len(part.songs) > 1
    }


def compare(first: SongPredictions, second: SongPredictions) -> dict[str, dict[str, list[float]]]:
    """Return how much better the first is, on the same songs.

    Returns:
        dimension or ``"mean"`` -> metric -> ``[difference, low, high]``.

    Raises:
        InputError: If the two do not hold the same songs.
    """
    if set(first.songs) != set(second.songs):
        differing = sorted(set(first.songs) ^ set(second.songs))[0]
        raise InputError(f"{differing}: scored by one of the two models only; score the same songs")
    order = [second.songs.index(song) for song in first.songs]

    def interval(metric: Metric, _: str) -> Interval:
        return paired_interval(metric, first.preds, second.preds[order], first.target)

    return _by_dimension(first.track, interval)


def scp_text(rows: Iterable[tuple[str, Iterable[float]]]) -> str:
    """Return an answer file of the challenge: ``utt score`` or ``utt s1 ... s5`` per song.

    Args:
        rows: Path of each song, whose stem is its utterance id, and its scores.
    """
    lines = ([Path(path).stem, *(f"{value:.6f}" for value in scores)] for path, scores in rows)
    return "".join(" ".join(line) + "\n" for line in lines)


def write_scp(path: Path, predictions: SongPredictions) -> None:
    """Write the answer file of some predictions.

    Raises:
        InputError: If two songs have one utterance id (their file's stem).
    """
    stems = [Path(song).stem for song in predictions.songs]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise InputError(f"{path}: two songs have the utterance id {twice[0]!r}; rename one")
    write_text(path, scp_text(zip(predictions.songs, predictions.preds, strict=True)))


def _figures(part: SongPredictions) -> dict[str, Any]:
    def interval(metric: Metric, name: str) -> Interval:
        return confidence_interval(metric, part.preds, part.target, scale=SCALES[name])

    return {"count": len(part.songs), **_by_dimension(part.track, interval)}


def _by_dimension(track: Track, interval: Any) -> dict[str, dict[str, list[float]]]:
    """Return, by dimension and ``"mean"``, metric -> value, low, high."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in (*track.names, "mean")}
    for name, metric in metrics_of(track).items():
        each, mean = interval(metric, name), interval(mean_over(metric), name)
        for index, dimension in enumerate(track.names):
            found[dimension][name] = triple(each, index)
        found["mean"][name] = triple(mean, 0)
    return found


def triple(interval: Interval, index: int = 0) -> list[float]:
    """Return value, low and high of a column."""
    return [float(part[index]) for part in (interval.estimate, interval.low, interval.high)]
