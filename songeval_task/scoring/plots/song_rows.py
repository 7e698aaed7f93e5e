"""What pictures take from rows of scores: names, ends of intervals, windows, limits of an axis."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from songeval_task.scoring.rows import ScoreRow
from songeval_task.scoring.scorer_set import HIGH, LOW

__all__ = ["MAX_SONGS", "axis_limits", "interval_ends", "short_names", "windows_of"]

MAX_SONGS = 8  # of one picture: as many as there are colours
NAME_LENGTH = 26  # characters that fit above a radar


def short_names(paths: Sequence[str]) -> list[str]:
    """Return names short enough for a label: the file's, with its folder where two share one.

    >>> short_names(["a/take.wav", "b/take.wav", "c/other.wav"])
    ['a/take', 'b/take', 'other']
    """
    parts = [Path(path).with_suffix("").parts for path in paths]
    names = [part[-1] for part in parts]
    for depth in range(2, 1 + max(map(len, parts), default=0)):
        names = [
            "/".join(part[-depth:]) if names.count(name) > 1 else name
            for part, name in zip(parts, names, strict=True)
        ]
    half = (NAME_LENGTH - 1) // 2
    return [n if len(n) <= NAME_LENGTH else f"{n[:half]}…{n[-half:]}" for n in names]


def axis_limits(values: np.ndarray) -> tuple[float, float]:
    """Return whole half points around all values, at least one point apart.

    They are moved apart within the scale, which begins at 1 and may end at the highest value.
    """
    low, high = np.floor(2 * np.nanmin(values)) / 2, np.ceil(2 * np.nanmax(values)) / 2
    if high - low >= 1:
        return low, high
    return (high - 1, high) if high >= 2 else (low, low + 1)


def interval_ends(row: ScoreRow, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the ends of the intervals of a song's scores; None where it has none."""
    low, high = ([row.get(name + end) for name in columns] for end in (LOW, HIGH))
    if None in low or None in high:
        return None
    return np.array(low, dtype=float), np.array(high, dtype=float)


def windows_of(row: ScoreRow, columns: Sequence[str]) -> list[ScoreRow]:
    """Return the windows of a song that have these scores; other packages' scorers have none."""
    return [window for window in row.get("timeline") or [] if columns[0] in window]
