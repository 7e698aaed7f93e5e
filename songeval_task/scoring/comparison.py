"""Comparison of two sets of takes: differences, the probability that B is better, a conclusion.

Folders that hold the same names are compared pair by pair: the song, which is common to both takes,
then drops out of the difference. Other folders are compared by their means. Intervals are those of
Student's t over songs (pairs, where there are pairs), Welch's for two sides; what does not vary,
such as a single take, has none. Where the takes' prompts or systems are known, whole prompts and
systems are the observations (:mod:`songeval_task.uncertainty.resampling`). Of two single takes, the
probability is that of their ratings, by a calibration of the head.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hear_aesthetics.metrics.intervals import Array
from songeval_task.scoring.rows import SCORE_DECIMALS, Scores
from songeval_task.scoring.scorer_set import ScorerSet
from songeval_task.uncertainty.resampling import resample_difference

__all__ = ["Comparison", "Difference", "compare_takes", "probabilities_of_ratings", "take"]

METHOD = "Student's t"
CLUSTERINGS = ("prompt", "system")  # columns of rows whose takes are alike
CONFIDENCE = 0.95
FEW_TAKES = 10  # the shape of the distribution matters with fewer
SAME = 1e-9  # standard errors below are those of equal numbers
SURE = 0.95  # probability from which a side is called better
AUDIBLE_LU = 0.5  # a difference in loudness that is worth a word
LEVEL_REMEDY = "compare again with --loudness -14"


@dataclass(frozen=True)
class Difference:
    """One dimension: the means of both sides, and B minus A with its interval.

    Attributes:
        low: Lower end of the interval; None where nothing varies, such as a single take.
        high: Its upper end.
        probability: That B is better; None where nothing tells.
    """

    name: str
    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    probability: float | None = None

    @property
    def sure(self) -> bool:
        """Whether one side is better with a probability of 0.95 or more."""
        return self.probability is not None and not 1 - SURE < self.probability < SURE


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        paired: Whether takes were compared pair by pair.
        a_takes: Number of takes of A; the number of pairs if there are pairs.
        b_takes: Number of takes of B; likewise.
        differences: Differences per dimension, and of their mean.
        loudness: Difference in LUFS of the takes in the files; None if one side has none.
        loudness_normalized_to: LUFS that all takes were brought to before scoring, or None.
        demo: Whether the scores say nothing about music.
        clusters: Number of observations on the side with fewest, such as prompts; None: takes.
        may_be_calibrated: Whether there are heads that take a calibration.
        method: Name of the method of the intervals.
    """

    paired: bool
    a_takes: int
    b_takes: int
    differences: tuple[Difference, ...]
    loudness: Difference | None
    loudness_normalized_to: float | None = None
    demo: bool = False
    clusters: int | None = None
    may_be_calibrated: bool = True
    method: str = METHOD

    @property
    def sentence(self) -> str:
        """Conclusion in plain words."""
        return self.conclusion()

    def conclusion(self, level_remedy: str = LEVEL_REMEDY) -> str:
        """Return the conclusion in plain words.

        Args:
            level_remedy: What to do where one side is louder.
        """
        parts = [self._verdict(), self._unvaried(), self._caution(), self._loudness(level_remedy)]
        if self.demo:
            parts.insert(1, "These are demo scores, learned from no ratings by people.")
        return " ".join(part for part in parts if part)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values; ``levelled`` is ``loudness_normalized_to``."""
        values = asdict(self)
        del values["may_be_calibrated"]
        values["levelled"] = values.pop("loudness_normalized_to")
        return {**values, "sentence": self.sentence}

    def _verdict(self) -> str:
        higher, lower, open_, unvaried = (_listed(names) for names in self._sides())
        over = "" if self.a_takes == self.b_takes == 1 else f"Over {self._takes}, "
        if open_ and not (higher or lower or unvaried):
            return f"{over}this cannot tell which is better."
        clearly = "" if self._unsure else "clearly "
        sides = [(f"{clearly}higher", higher), (f"{clearly}lower", lower)]
        said = " and ".join(f"{word} in {names}" for word, names in sides if names)
        if not said:
            if self._unsure:
                return f"{over}B scores the same."
            return f"{over}this cannot tell in {open_}." if open_ else ""
        return f"{over}B scores {said}{f'; cannot tell in {open_}' if open_ else ''}."

    def _unvaried(self) -> str:
        names = _listed(self._sides()[3])
        if not names:
            return ""
        return (
            f"In {names} the difference is the same over {self._takes}: without spread nothing "
            "tells how sure it is."
        )

    def _sides(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """Return names of what is higher in B, lower, open, and differs without spread.

        Single takes without a calibration leave nothing open.
        """
        told = [d for d in self.differences if d.sure or self._unsure]
        rest = [d for d in self.differences if d not in told]
        unvaried = [d for d in rest if d.probability is None and abs(d.difference) > SAME]
        unvaried = unvaried if self._fewest > 1 else []
        return (
            [d.name for d in told if d.difference > 0],
            [d.name for d in told if d.difference < 0],
            [d.name for d in rest if d not in unvaried],
            [d.name for d in unvaried],
        )

    def _caution(self) -> str:
        if self.a_takes == self.b_takes == 1 and self._unsure:
            remedy = "folders of several takes do."
            if self.may_be_calibrated:
                remedy = "--calibration FILE does, made by `hear-aesthetics calibrate`."
            return f"Nothing tells how sure that is: {remedy}"
        if self._fewest == 1:
            return "A single take has no interval: this holds for these files and no others."
        few = self._fewest if self.clusters is None else self.clusters
        if few < FEW_TAKES:
            what = "" if self.clusters is None else " prompts or systems"
            return f"With {few}{what} on a side intervals and probabilities are rough."
        return ""

    def _loudness(self, remedy: str) -> str:
        if self.loudness_normalized_to is not None:
            return f"All takes were brought to {self.loudness_normalized_to:g} LUFS before scoring."
        if self.loudness is None or abs(self.loudness.difference) < AUDIBLE_LU:
            return ""
        louder = "louder" if self.loudness.difference > 0 else "quieter"
        return (
            f"B is {abs(self.loudness.difference):.1f} LU {louder}, and loudness alone moves such "
            f"scores: {remedy}."
        )

    @property
    def _takes(self) -> str:
        return f"{self.a_takes} {'pairs' if self.paired else f'takes against {self.b_takes}'}"

    @property
    def _fewest(self) -> int:
        return min(self.a_takes, self.b_takes)

    @property
    def _unsure(self) -> bool:
        """Whether a side is a single take, and no calibration tells how sure a difference is."""
        return self._fewest == 1 and all(d.probability is None for d in self.differences)


def take(scores: Scores, **labels: Any) -> dict[str, Any]:
    """Return what is compared of a song that was scored.

    Args:
        scores: Its scores.
        **labels: ``prompt`` and ``system``, where they are known.
    """
    numbers = {**scores.values, **scores.means}
    return {
        **{name: round(value, SCORE_DECIMALS) for name, value in numbers.items()},
        "loudness_lufs": scores.loudness_lufs,
        "distance": scores.distance,
        **labels,
    }


def probabilities_of_ratings(
    scorer_set: ScorerSet, columns: Sequence[str], first: dict[str, Any], second: dict[str, Any]
) -> list[float]:
    """Return the probability of each column that the second song's rating is the higher.

    Args:
        scorer_set: Scorers, of which those that are calibrated tell probabilities.
        columns: Columns, means included; NaN where nothing tells.
        first: From :func:`take`.
        second: Likewise.
    """
    known: dict[str, float] = {}
    for name, calibration in scorer_set.calibrated.items():
        scored = (*scorer_set.groups[name], scorer_set.means[name])
        ours, theirs = ([row[column] for column in scored] for row in (first, second))
        distance = np.array([row["distance"][name] for row in (first, second)])
        chances = calibration.probability_higher(ours, theirs, distance)
        known |= dict(zip(scored, chances.tolist(), strict=True))
    return [known.get(column, float("nan")) for column in columns]


def compare_takes(
    a: Sequence[dict[str, Any]],
    b: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    paired: bool,
    loudness_normalized_to: float | None = None,
    demo: bool = False,
    may_be_calibrated: bool = True,
    probabilities: Sequence[float] | None = None,
) -> Comparison:
    """Compare rows of two sides.

    Args:
        a: Rows of takes of A that were scored; where every take of both sides has a ``prompt`` or a
            ``system``, these are resampled.
        b: Likewise of B; in the order of their partners in ``a`` if ``paired``.
        columns: Columns to compare.
        paired: Whether ``a[i]`` and ``b[i]`` belong together.
        loudness_normalized_to: LUFS that all takes were brought to before scoring, or None.
        demo: Whether the scores say nothing about music.
        may_be_calibrated: Whether there are heads that take a calibration.
        probabilities: Of two single takes: that the rating of B is higher, per column.

    Raises:
        ValueError: If a side is empty, or pairs are not as many on both sides.
    """
    if not a or not b or (paired and len(a) != len(b)):
        raise ValueError(f"{len(a)} takes of A and {len(b)} of B; give at least one each")
    left, right = _table(a, columns), _table(b, columns)
    change = right.mean(axis=0) - left.mean(axis=0)
    both = (*a, *b)
    known = [n for n in CLUSTERINGS if all(row.get(n) not in (None, "") for row in both)]
    labels = [[tuple(str(row[name]) for name in known) for row in side] for side in (a, b)]
    if paired:
        joined = [tuple(map(" / ".join, zip(*p, strict=True))) for p in zip(*labels, strict=True)]
        found, reach = resample_difference(None, right - left, [], joined), _reach(right - left)
    else:
        found, reach = resample_difference(left, right, labels[0], labels[1]), _reach(left, right)
    if found and found.clusters:
        reach = np.where(found.error > SAME, _t(found.clusters - 1) * found.error, 0)
    chances = np.full(len(columns), np.nan) if probabilities is None else probabilities
    chances = found.probability if found else chances
    differences = tuple(
        Difference(
            name,
            a=float(left[:, i].mean()),
            b=float(right[:, i].mean()),
            difference=float(change[i]),
            low=float(change[i] - reach[i]) if reach[i] > 0 else None,
            high=float(change[i] + reach[i]) if reach[i] > 0 else None,
            probability=None if np.isnan(chances[i]) else float(chances[i]),
        )
        for i, name in enumerate(columns)
    )
    return Comparison(
        paired=paired,
        a_takes=len(a),
        b_takes=len(b),
        differences=differences,
        loudness=_loudness(a, b),
        loudness_normalized_to=loudness_normalized_to,
        demo=demo,
        may_be_calibrated=may_be_calibrated,
        clusters=found.clusters if found else None,
    )


def _reach(*sides: Array) -> Array:
    """Return the half-width of the interval per column; 0 where nothing varies."""
    if min(map(len, sides)) == 1:
        return np.zeros(sides[0].shape[1])
    parts = [side.var(axis=0, ddof=1) / len(side) for side in sides]
    error = np.sqrt(sum(parts))
    freedom = [part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = _t(error**4 / sum(freedom))
    return np.where(error > SAME, t * error, 0)


def _t(freedom: Any) -> Any:
    """Return the quantile of Student's t that intervals end at."""
    from scipy.special import stdtrit

    return stdtrit(freedom, (1 + CONFIDENCE) / 2)


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Array:
    return np.array([[row[name] for name in columns] for row in rows], dtype=np.float64)


def _loudness(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]) -> Difference | None:
    """Return the difference in mean loudness; takes that are silent do not count."""
    known = [[r["loudness_lufs"] for r in side] for side in (a, b)]
    sides = [[value for value in s if value is not None and np.isfinite(value)] for s in known]
    if not all(sides):
        return None
    left, right = (float(np.mean(side)) for side in sides)
    return Difference("loudness_lufs", left, right, right - left)


def _listed(names: Sequence[str]) -> str:
    """Return ``A, B and the mean``."""
    words = ["the mean" if name == "mean" else name for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
