"""Calibration of a head: how far off its scores are, learned from rated songs it never saw.

A calibration is of one head and one model; for any other it is refused. It knows, for each
dimension and the mean of all, the errors of the calibration songs, their distance from the
reference songs, and what share of the errors a straight line through the scores explains.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.files import write_text
from hear_aesthetics.fingerprint import differences
from hear_aesthetics.metrics.intervals import Array
from hear_aesthetics.scorers import FUSED
from hear_aesthetics.text_files import read_json
from songeval_task.uncertainty.conformal import fit_scale, quantile, scale_of
from songeval_task.uncertainty.reference import ReferenceSongs

__all__ = [
    *("COVERAGE", "FILE_NAME", "LEAST_SONGS", "MEAN", "NOVEL"),
    *("Calibration", "check_songs", "fingerprint_of", "read_calibration", "songs_for"),
]

COVERAGE = 0.9
LEAST_SONGS = 50
MEAN = "mean"
FILE_NAME = "calibration.json"  # in the folder of a run
NOVEL = 99.0  # percentile of the distance above which a song is unlike the calibration songs
KIND = "hear-aesthetics calibration 1"
DIGITS = 6
ROUNDING = 1e-9
# Of a model's fingerprint, what decides a hidden state and what decides the fused feature.
STATE_KEY = "track_limit_seconds"
FEATURE_KEYS = (STATE_KEY, "sources", "views", "layer", "segment_seconds")


def fingerprint_of(
    head: Mapping[str, Any], reads: str, model: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a calibration is of: a head, and what its features are made by.

    The number format of the encoders is left out: it moves scores by a hundredth at most, far less
    than any interval.

    Args:
        head: Fingerprint of the head.
        reads: Features that it reads: ``"fused"`` or a hidden state.
        model: Fingerprint of a model or of stored features; None or without encoders: not known.
    """
    made: dict[str, Any] = {"head": dict(head), "reads": reads}
    encoders = (model or {}).get("encoders")
    if model is None or encoders is None:
        return made
    if reads == FUSED:
        return {**made, "model": {key: model[key] for key in (*FEATURE_KEYS, "encoders")}}
    source = HiddenState.parse(reads).source
    return {**made, "model": {STATE_KEY: model[STATE_KEY], source: encoders.get(source)}}


@dataclass(frozen=True)
class Calibration:
    """Errors of a head on the calibration songs.

    Attributes:
        dimensions: Names of the head's dimensions; the last column of every table is their mean.
        preds: Predicted scores.
        target: Mean ratings.
        distance: Distance of each song from the reference songs.
        systems: System of each song; empty where that is not known.
        reference: The reference songs.
        fingerprint: What decides the scores: model and head.
        provenance: Where the songs come from, and how many there are.

    Shape:
        - preds, target: ``(songs, dimensions + 1)``; distance: ``(songs,)``

    Raises:
        InputError: If there are fewer than 50 songs, or a dimension does not vary.
    """

    dimensions: tuple[str, ...]
    preds: Array
    target: Array
    distance: Array
    systems: tuple[str, ...]
    reference: ReferenceSongs
    fingerprint: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_songs(self.dimensions, self.target)
        check_songs(self.dimensions, self.preds, "score")

    @classmethod
    def of(
        cls,
        dimensions: Sequence[str],
        preds: Any,
        target: Any,
        distance: Array,
        systems: Sequence[str],
        reference: ReferenceSongs,
        fingerprint: Mapping[str, Any],
        provenance: Mapping[str, Any] | None = None,
    ) -> "Calibration":
        """Return a calibration from tables ``(songs, dimensions)``; their means are added.

        Raises:
            InputError: As the class.
        """
        predicted, rated = _with_mean(preds), _with_mean(target)
        made = {"songs": len(distance), **(provenance or {})}
        names, of = tuple(dimensions), tuple(systems)
        return cls(names, predicted, rated, distance, of, reference, fingerprint, made)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the dimensions, and their mean."""
        return (*self.dimensions, MEAN)

    @cached_property
    def sha256(self) -> str:
        """Hash of all that it holds."""
        return hashlib.sha256(self._text().encode()).hexdigest()

    @cached_property
    def errors(self) -> Array:
        """Rated minus predicted scores, ``(songs, columns)``."""
        return self.target - self.preds

    @cached_property
    def scale(self) -> Array:
        """Constant and slope of the error scale over the distance, ``(2, columns)``."""
        return fit_scale(self.errors, self.distance)

    @cached_property
    def line(self) -> Array:
        """Constant and slope of the expected rating over the score, ``(2, columns)``.

        Head scores are often spread less than ratings, or more; a line of least squares through the
        calibration songs mends that.
        """
        centred = self.preds - self.preds.mean(axis=0)
        slope = (centred * self.target).sum(axis=0) / np.square(centred).sum(axis=0)
        slope = np.maximum(slope, 0)
        return np.stack((self.target.mean(axis=0) - slope * self.preds.mean(axis=0), slope))

    @cached_property
    def residuals(self) -> Array:
        """Errors about :attr:`line` in units of the error scale, sorted per column."""
        about = self.target - (self.line[0] + self.line[1] * self.preds)
        return np.sort(about / scale_of(self.scale, self.distance), axis=0)

    def intervals(
        self,
        preds: Any,
        distance: Array,
        coverage: float = COVERAGE,
        systems: Sequence[str] | None = None,
    ) -> tuple[Array, Array]:
        """Return the ends of intervals that hold the ratings of a share of new songs.

        Args:
            preds: Scores of the columns.
            distance: Distances of the songs from :attr:`reference`.
            coverage: The share.
            systems: System of each song: one that has enough calibration songs gets the quantile of
                its own errors (Mondrian conformal prediction; Vovk et al., 2005, Sec. 4.5).

        Shape:
            - preds: ``(songs, columns)``; output: twice ``(songs, columns)``; infinite where the
              calibration songs are too few for the coverage
        """
        preds = np.asarray(preds, dtype=np.float64)
        scaled = np.abs(self.errors) / scale_of(self.scale, self.distance)
        reach = np.tile(quantile(scaled, coverage), (len(preds), 1))
        known = np.array(self.systems)
        for system in set(systems or ()) & set(self.systems) - {""}:
            own = quantile(scaled[known == system], coverage)
            if np.isfinite(own).all():
                reach[np.array(systems) == system] = own
        reach *= scale_of(self.scale, distance)
        return preds - reach, preds + reach

    def novelty(self, distance: Array) -> Array:
        """Return the percentile of distances among the calibration songs, 0 to 100."""
        ordered = np.sort(self.distance)
        below = np.searchsorted(ordered, distance, "left")
        upto = np.searchsorted(ordered, distance, "right")
        percentile: Array = 50 * (below + upto) / len(ordered)
        return percentile

    def probability_higher(self, first: Any, second: Any, distance: Array) -> Array:
        """Return the probability that the second song's rating is the higher, per column.

        Ratings are the expected ones of :attr:`line` and an error each, drawn from those of the
        calibration songs: the share of all pairs of errors in which the second is higher.

        Args:
            first: Scores of the columns, ``(columns,)``.
            second: Likewise.
            distance: Distances of both songs, ``(2,)``.
        """
        change = self.line[1] * (np.asarray(second) - np.asarray(first))
        scales = scale_of(self.scale, distance)
        found = []
        for index, residuals in enumerate(self.residuals.T):
            ours, theirs = scales[1, index] * residuals, scales[0, index] * residuals
            bounds = theirs - change[index]
            above = len(ours) - np.searchsorted(ours, bounds, "right")
            equal = np.searchsorted(ours, bounds, "right") - np.searchsorted(ours, bounds, "left")
            found.append((above + equal / 2).mean() / len(ours))
        return np.array(found)

    def check(self, place: str | Path, fingerprint: Mapping[str, Any]) -> None:
        """Raise an error unless the calibration is of the same head, and model where both know it.

        Args:
            place: Its file.
            fingerprint: From :func:`fingerprint_of`.

        Raises:
            InputError: Says what differs.
        """
        shared = self.fingerprint.keys() & fingerprint.keys()
        known, wanted = ({k: m[k] for k in shared} for m in (self.fingerprint, fingerprint))
        changed = differences(known, wanted)
        if changed:
            raise InputError(
                f"{place}: of another model or head ({changed[0]}); make it again with "
                "`hear-aesthetics calibrate`"
            )

    def write(self, path: Path) -> None:
        """Write a file that :func:`read_calibration` reads."""
        write_text(path, self._text())

    def _text(self) -> str:
        tables = {"preds": self.preds, "target": self.target, "distance": self.distance}
        values = {
            "kind": KIND,
            "dimensions": self.dimensions,
            "fingerprint": self.fingerprint,
            "provenance": self.provenance,
            "systems": self.systems,
            **{name: np.round(table, DIGITS).tolist() for name, table in tables.items()},
            "reference": self.reference.as_json(),
        }
        return json.dumps(values, default=str) + "\n"


def _with_mean(table: Any) -> Array:
    table = np.asarray(table, dtype=np.float64)
    joined: Array = np.column_stack((table, table.mean(axis=1)))
    return joined


def check_songs(dimensions: Sequence[str], table: Any, what: str = "rating") -> None:
    """Check that songs can calibrate, by their values ``(songs, dimensions or more)``.

    Raises:
        InputError: If there are fewer than 50, or a dimension does not vary.
    """
    if len(table) < LEAST_SONGS:
        raise InputError(f"{len(table)} rated songs calibrate nothing; give {LEAST_SONGS} or more")
    for name, column in zip(dimensions, np.asarray(table).T, strict=False):
        if np.ptp(column) == 0:
            raise InputError(
                f"every song has the {name} {what} {column[0]:g}, which calibrates nothing; give "
                "songs that differ"
            )


def songs_for(coverage: float) -> int:
    """Return the fewest calibration songs that promise a coverage."""
    return math.ceil(coverage / (1 - coverage) - ROUNDING)


def read_calibration(path: str | Path) -> Calibration:
    """Return the calibration of a file.

    Raises:
        InputError: If it is missing, torn, or something else.
    """
    remedy = "make it with `hear-aesthetics calibrate`"
    values = read_json(Path(path), remedy=remedy)
    if values.get("kind") != KIND:
        raise InputError(f"{path}: no calibration of this version; {remedy}")
    try:
        dimensions = tuple(map(str, values["dimensions"]))
        preds, target = (np.array(values[name], np.float64) for name in ("preds", "target"))
        distance = np.array(values["distance"], np.float64)
        systems = tuple(map(str, values["systems"]))
        shape = len(systems), len(dimensions) + 1
        whole = preds.shape == target.shape == shape and distance.shape == shape[:1]
        if not whole or not all(np.isfinite(table).all() for table in (preds, target, distance)):
            raise ValueError("its tables do not fit together")
        reference = ReferenceSongs.from_json(values["reference"])
        known = dict(values["fingerprint"]), dict(values["provenance"])
        if not known[0].keys() >= {"head", "reads"}:
            raise ValueError("it does not say of which head it is")
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); {remedy}") from error
    return Calibration(dimensions, preds, target, distance, systems, reference, *known)
