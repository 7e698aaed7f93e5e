"""Calibrated intervals of the audited songs, against which changes are measured."""

from collections.abc import Sequence

from hear_aesthetics.metrics.intervals import Array
from songeval_task.audit.run import pooled_vectors
from songeval_task.scoring.rows import ScoreRow
from songeval_task.scoring.scorer_set import ScorerSet

__all__ = ["half_widths"]


def half_widths(scorer_set: ScorerSet, rows: Sequence[ScoreRow]) -> dict[str, Array]:
    """Return the half widths of the intervals of songs by column, ``(songs,)`` each.

    Args:
        scorer_set: Scorers; only columns of calibrated heads are told.
        rows: Rows of the songs as they are.
    """
    found: dict[str, Array] = {}
    for head, calibration in scorer_set.calibrated.items():
        columns = (*scorer_set.groups[head], scorer_set.means[head])
        preds = [[row[column] for column in columns] for row in rows]
        distance = calibration.reference.distance(pooled_vectors(rows, head))
        low, high = calibration.intervals(preds, distance, scorer_set.coverage)
        found |= dict(zip(columns, (high - low).T / 2, strict=True))
    return found
