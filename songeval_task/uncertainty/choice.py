"""Best of several takes: the winner of each group, and its score without the luck of the choice.

The highest of several scores is the highest in part because its error is high, so that the winner's
score promises too much. On the calibration songs ``score = c + k * rating + u`` (least squares of
scores on ratings), with errors ``u`` of variance ``var_u``. Within groups of takes, scores vary by
``V`` (the pooled variance), of which ratings explain ``k^2 tau^2 = max(0, V - var_u)``, so that
``tau`` is the spread of ratings in a group. With ``slope = k tau^2 / V``, a take is expected to be
rated ::

    line(mean score of its group) + slope * (its score - mean score of its group)

where ``line`` is that of the calibration. A mean over the posterior of each take holds for the
winner too, whatever chose it. Given both scores, the ratings of two takes differ by
``slope * (difference of the scores)`` and a normal error of variance
``2 tau^2 (1 - k^2 tau^2 / V)``, which gives the probability that the winner is better than the
second.

Sources: Efron & Morris, "Data Analysis Using Stein's Estimator and its Generalizations" (1975);
Efron, "Tweedie's Formula and Selection Bias" (2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from hear_aesthetics.metrics.intervals import Array
from songeval_task.uncertainty.calibration import Calibration

__all__ = ["EXPECTED", "ROUGH", "Shrinkage", "best_takes"]

EXPECTED = "_expected"  # ends the names of columns
ROUGH = 20  # degrees of freedom below which the spread within groups is hardly known


@dataclass(frozen=True)
class Shrinkage:
    """What the spread of scores within groups says about ratings, per column.

    Attributes:
        line: Constant and slope of the expected rating over the score: that of the calibration.
        slope: Expected change of the rating per point of score, within a group.
        spread: Standard deviation of ratings within a group.
        error: Standard deviation of the rating of a take whose score and group are known.
        freedom: Takes less groups: what the spread was learned from.

    Shape:
        - line: ``(2, columns)``; slope, spread, error: ``(columns,)``
    """

    line: Array
    slope: Array
    spread: Array
    error: Array
    freedom: int

    @classmethod
    def of(cls, calibration: Calibration, groups: Sequence[Array]) -> "Shrinkage":
        """Learn it from the scores of all groups.

        Args:
            calibration: Of the head.
            groups: Scores of the takes of each group, ``(takes, columns)``.
        """
        ratings = calibration.target - calibration.target.mean(axis=0)
        scores = calibration.preds - calibration.preds.mean(axis=0)
        gain = (ratings * scores).sum(axis=0) / np.square(ratings).sum(axis=0)
        noise = np.square(scores - gain * ratings).sum(axis=0) / (len(scores) - 2)
        freedom = sum(map(len, groups)) - len(groups)
        squares = sum(np.square(part - part.mean(axis=0)).sum(axis=0) for part in groups)
        within = squares / max(1, freedom)
        with np.errstate(divide="ignore", invalid="ignore"):  # no spread, or a useless head
            real = np.nan_to_num(np.maximum(0, within - noise) / within)
            spread = np.sqrt(real * within) / gain
        spread = np.where((gain > 0) & (real > 0), spread, 0)
        slope = np.where(spread > 0, real / np.where(spread > 0, gain, 1), 0)
        return cls(calibration.line, slope, spread, spread * np.sqrt(1 - real), freedom)

    def expected(self, group: Array) -> Array:
        """Return the expected ratings of the takes of a group, from their scores.

        Shape:
            - group, output: ``(takes, columns)``
        """
        mean = group.mean(axis=0)
        return self.line[0] + self.line[1] * mean + self.slope * (group - mean)

    def probability_higher(self, lead: Array) -> Array:
        """Return the probability that a take is better than one of its group, per column.

        Args:
            lead: Its score less that of the other.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = ndtr(self.slope * lead / (np.sqrt(2) * self.error))
        return np.where(np.isnan(chance), 0.5, chance)


def best_takes(
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str | None],
    columns: Sequence[str],
    calibration: Calibration | None = None,
) -> tuple[list[dict[str, Any]], Shrinkage | None]:
    """Return the best take of each group, by its mean score; equal means by path.

    Args:
        rows: Rows of scores; those with an error are left out.
        labels: Group of each row; None: in no group.
        columns: Columns of one head, of which the last is the mean.
        calibration: Of that head; None: nothing tells how much of a lead is luck.

    Returns:
        A record per group, in the order of their first takes: ``group, takes, path, start, end``,
        the winner's scores, each with its ``<column>_expected``; ``second``, the path of the second
        best take, ``lead``, by how much its mean is lower, and ``probability``, that the winner is
        the better of the two. What is not known is None. Then what was learned of the spread.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row, label in zip(rows, labels, strict=True):
        if label is not None and row["error"] is None:
            groups.setdefault(label, []).append(row)
    mean = columns[-1]
    found: list[dict[str, Any]] = []
    tables = []
    for takes in groups.values():
        takes.sort(key=lambda row: (-row[mean], row["path"]))
        tables.append(np.array([[row[name] for name in columns] for row in takes], np.float64))
    learned = Shrinkage.of(calibration, tables) if calibration and tables else None
    for (label, takes), scores in zip(groups.items(), tables, strict=True):
        winner, second = takes[0], takes[1] if len(takes) > 1 else None
        lead = None if second is None else scores[0] - scores[1]
        expected = learned.expected(scores)[0].tolist() if learned else [None] * len(columns)
        better = learned.probability_higher(lead)[-1] if learned and lead is not None else None
        found.append(
            {
                "group": label,
                "takes": len(takes),
                **{name: winner[name] for name in ("path", "start", "end")},
                **{name: winner[name] for name in columns},
                **{f"{n}{EXPECTED}": v for n, v in zip(columns, expected, strict=True)},
                "second": second and second["path"],
                "lead": None if lead is None else float(lead[-1]),
                "probability": None if better is None else float(better),
            }
        )
    return found, learned
