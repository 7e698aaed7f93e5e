"""Curves of scores over time, below the other panels of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hear_aesthetics.plotting.style import COLOURS, FAINT, INK, SMALL, place
from songeval_task.scoring.plots.song_rows import axis_limits, interval_ends, windows_of
from songeval_task.scoring.rows import ScoreRow

__all__ = ["Curve", "curves_height", "draw_curves"]

MAX_BANDS = 2  # songs whose bands over time can be told apart
HEIGHT, GAP, FOOTER = 0.86, 0.1, 0.66  # inches: of a panel with its gap, of the gap, below all


@dataclass(frozen=True)
class Curve:
    """What one panel shows over time.

    Attributes:
        label: Text beside the panel.
        columns: Scores whose mean is drawn.
        whole: Column of the same score of the whole song, whose interval is a band.
    """

    label: str
    columns: Sequence[str]
    whole: str

    def drawn_in(self, rows: Sequence[ScoreRow]) -> bool:
        """Return whether a song has windows with these scores."""
        return any(windows_of(row, self.columns) for row in rows)

    def scores(self, row: ScoreRow) -> np.ndarray:
        """Return the score of each window of a song, NaN where it has none."""
        table = [[window[c] for c in self.columns] for window in windows_of(row, self.columns)]
        return np.array(table, dtype=float).reshape(-1, len(self.columns)).mean(axis=1)


def curves_height(count: int) -> float:
    """Return the inches that so many panels take, the label of the time below them included."""
    return count * HEIGHT + FOOTER if count else 0.0


def draw_curves(
    figure: Figure,
    rows: Sequence[ScoreRow],
    curves: Sequence[Curve],
    *,
    left: float,
    right: float,
    one_scale: bool,
) -> None:
    """Draw a panel per curve at the lower end: a bar over each window, a line through them.

    Args:
        figure: Figure with room for :func:`curves_height`.
        rows: Songs, in the order of their colours.
        curves: Panels from top to bottom, each drawn in a song at least.
        left: Inches to the left of the panels.
        right: Inches to the right of them.
        one_scale: Whether all share one scale, so that a change without weight does not look like
            one; scores of different scorers have scales of their own.
    """
    width, height = figure.get_size_inches()
    top = height - curves_height(len(curves)) + GAP
    ends = [window["end"] for row in rows for c in curves for window in windows_of(row, c.columns)]
    reached = [_reached(rows, curve) for curve in curves]
    shared = axis_limits(np.concatenate(reached)) if one_scale else None
    has_bands = False
    for index, curve in enumerate(curves):
        box = (left, top + index * HEIGHT, width - left - right, HEIGHT - GAP)
        axes = place(figure, *box)
        for row, colour in zip(rows, COLOURS, strict=False):
            scores, windows = curve.scores(row), windows_of(row, curve.columns)
            begin, end = (
                np.array([w[key] for w in windows], dtype=float) for key in ("start", "end")
            )
            axes.hlines(scores, begin, end, color=colour, linewidth=2, alpha=0.3)
            axes.plot((begin + end) / 2, scores, color=colour, linewidth=1.1)
            if (band := _band(rows, row, curve)) is not None:
                axes.axhspan(*np.concatenate(band), color=colour, alpha=0.1, linewidth=0)
                has_bands = True
        axes.grid(color=FAINT, linewidth=0.5)
        low, high = shared or axis_limits(reached[index])
        margin = 0.06 * (high - low)
        axes.set(ylim=(low - margin, high + margin), xlim=(0, max(ends)))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.yaxis.set_label_coords(-0.34 / (width - left - right), 0.5)
        axes.set_ylabel(curve.label, size=SMALL, color=INK)
        axes.tick_params(labelbottom=index == len(curves) - 1)
    label = "time (s)\nbar: the window that a score is of, line: through their middles"
    if has_bands:
        label += "\nband: the interval of the whole song"
    axes.set_xlabel(label, size=SMALL, color=INK)


def _band(
    rows: Sequence[ScoreRow], row: ScoreRow, curve: Curve
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the ends of the whole song's interval, where few enough songs are drawn."""
    return interval_ends(row, [curve.whole]) if len(rows) <= MAX_BANDS else None


def _reached(rows: Sequence[ScoreRow], curve: Curve) -> np.ndarray:
    """Return all scores and ends of intervals that a panel shows."""
    parts = [curve.scores(row) for row in rows]
    parts += [end for row in rows for end in _band(rows, row, curve) or ()]
    return np.concatenate(parts)
