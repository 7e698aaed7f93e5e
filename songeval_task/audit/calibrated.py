"""Calibrated intervals of the audited songs, against which changes are measured."""

from collections.abc import Sequence
from pathlib import Path

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import differences
from hear_aesthetics.metrics.intervals import Array
from songeval_task.audit.run import pooled_vectors
from songeval_task.scoring.rows import ScoreRow
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.uncertainty.calibration import Calibration

__all__ = ["half_widths", "head_of"]


def head_of(calibration: Calibration, place: Path, scorer: AestheticScorer) -> str:
    """Return the name of the head that a calibration is of.

    Raises:
        InputError: If it is of none of the scorer's heads, or of another model; names ``place``.
    """
    known = {
        name: {"model": scorer.fingerprint()["model"], "head": head.fingerprint()}
        for name, head in scorer.scorer_set.heads.items()
    }
    if not known:
        raise InputError(f"{place}: calibrates a head, {scorer.scorer_set.name} is none")
    fits = [name for name in known if not differences(calibration.fingerprint, known[name])]
    if not fits:
        calibration.check(place, next(iter(known.values())))
    return fits[0]


def half_widths(
    calibration: Calibration, head: str, scorer: AestheticScorer, rows: Sequence[ScoreRow]
) -> dict[str, Array]:
    """Return the half widths of the intervals of songs by column, ``(songs,)`` each.

    Args:
        calibration: Of the head.
        head: Its name.
        scorer: Its scorer.
        rows: Rows of the songs as they are.
    """
    scorer_set = scorer.scorer_set
    columns = (*scorer_set.groups[head], scorer_set.means[head])
    preds = [[row[column] for column in columns] for row in rows]
    distance = calibration.reference.distance(pooled_vectors(rows, head))
    low, high = calibration.intervals(preds, distance)
    return dict(zip(columns, (high - low).T / 2, strict=True))
