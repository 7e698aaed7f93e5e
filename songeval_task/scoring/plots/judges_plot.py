"""Plot of several scorers: a panel for each, with its dimensions on its own scale.

Scores of different scorers have different ranges and meanings, so that no axis holds two of them.
A dimension is a line with a dot per song, below the dimensions stands their mean; a song has one
colour and one marker in all panels. Intervals of calibrated scores are bars behind the dots. Below,
where there are windows, the mean of each scorer over time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hear_aesthetics.plotting.style import (
    COLOURS,
    FAINT,
    INK,
    MARGIN,
    NAME,
    QUIET,
    SMALL,
    WIDTH,
    literal,
    new_figure,
    place,
)
from songeval_task.scoring.plots.curves import Curve, curves_height, draw_curves
from songeval_task.scoring.plots.song_rows import (
    MAX_SONGS,
    axis_limits,
    interval_ends,
    short_names,
)
from songeval_task.scoring.rows import ScoreRow

__all__ = ["judges_figure"]

MARKERS = "oDs^vPX*"  # one per colour: songs differ without colours too
SIZES = (4.4, 4, 4, 4.8, 4.8, 5.2, 4.8, 6.2)  # that look alike, in points
LEGEND_COLUMNS = 2

# Inches.
LEFT, RIGHT = 0.95, 0.2
LEGEND_LINE, LEGEND_GAP = 0.165, 0.1
ABOVE, BELOW, GAP = 0.2, 0.22, 0.12  # above a panel, below it, and between two
LINE, PER_SONG = 0.14, 0.032  # of a dimension, and more for each song
SPREAD = 0.72  # share of a dimension's line over which its songs are spread


def judges_figure(
    rows: Sequence[ScoreRow],
    groups: Mapping[str, Sequence[str]],
    means: Mapping[str, str],
    *,
    demo: Collection[str] = (),
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """Return a figure of the scores of at most eight songs by several scorers.

    Args:
        rows: Rows of songs that were scored; where they have a ``timeline`` it is drawn too.
        groups: Scorer name -> its columns, as :attr:`ScorerSet.groups`.
        means: Scorer name -> the column of its mean.
        demo: Names of scorers whose scores say nothing, which their panels say.
        title: Title of the figure.
        subtitle: Small text below the title.
    """
    rows = rows[:MAX_SONGS]
    lines = {
        name: [*columns, *([means[name]] if len(columns) > 1 else [])]
        for name, columns in groups.items()
    }
    curves = [Curve(f"{name}\n(mean)", columns, means[name]) for name, columns in groups.items()]
    curves = [curve for curve in curves if curve.drawn_in(rows)]
    legend = -(-len(rows) // LEGEND_COLUMNS) * LEGEND_LINE + LEGEND_GAP
    line = LINE + PER_SONG * len(rows)
    panels = [ABOVE + line * len(columns) + BELOW for columns in lines.values()]
    body = legend + sum(panels) + GAP * len(panels) + curves_height(len(curves))
    figure, top = new_figure(WIDTH, body, title, subtitle)
    _draw_legend(figure, list(map(literal, short_names([str(row["path"]) for row in rows]))), top)
    top += legend
    for (name, columns), panel in zip(lines.items(), panels, strict=True):
        axes = _draw_panel(figure, rows, name, columns, means[name], top, line)
        said = "demo score: says nothing" if name in demo else "score"
        axes.set_title(said, loc="right", size=SMALL, color=QUIET, pad=4)
        top += panel + GAP
    if curves:
        draw_curves(figure, rows, curves, left=LEFT, right=RIGHT, one_scale=False)
    return figure


def _draw_legend(figure: Figure, names: Sequence[str], top: float) -> None:
    width, height = figure.get_size_inches()
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=size, label=name)
        for name, colour, marker, size in zip(names, COLOURS, MARKERS, SIZES, strict=False)
    ]
    lines = -(-len(names) // LEGEND_COLUMNS)
    # Matplotlib fills a legend column by column; songs read along the lines.
    order = [i for c in range(LEGEND_COLUMNS) for i in range(c, len(names), LEGEND_COLUMNS)]
    order = order if lines > 1 else list(range(len(names)))
    figure.legend(
        handles=[handles[i] for i in order],
        loc="upper left",
        bbox_to_anchor=(MARGIN / width, 1 - top / height),
        ncols=min(LEGEND_COLUMNS, len(names)),
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handlelength=1,
        handletextpad=0.3,
        columnspacing=1.2,
        borderpad=0,
        borderaxespad=0,
    )


def _draw_panel(
    figure: Figure,
    rows: Sequence[ScoreRow],
    name: str,
    columns: Sequence[str],
    mean: str,
    top: float,
    line: float,
) -> Axes:
    """Draw one scorer: its dimensions from top to bottom, then their mean."""
    axes = place(figure, LEFT, top + ABOVE, WIDTH - LEFT - RIGHT, line * len(columns))
    values = np.array([[row[column] for column in columns] for row in rows], dtype=float)
    bands = [interval_ends(row, columns) for row in rows]
    low, high = axis_limits(np.array([*values, *(end for band in bands if band for end in band)]))
    places = np.arange(len(columns))
    for index, (scores, band) in enumerate(zip(values, bands, strict=True)):
        at = places + SPREAD * ((index + 0.5) / len(rows) - 0.5)
        colour = COLOURS[index]
        if band is not None:
            axes.hlines(at, *band, color=colour, linewidth=1.6, alpha=0.35)
        style: dict[str, Any] = {"color": colour, "markersize": SIZES[index], "markeredgewidth": 0}
        axes.plot(scores, at, MARKERS[index], clip_on=False, **style)
    for between in places[1:]:
        is_mean = columns[between] == mean
        axes.axhline(between - 0.5, color=QUIET if is_mean else FAINT, linewidth=0.6)
    margin = 0.02 * (high - low)
    axes.set(xlim=(low - margin, high + margin), ylim=(len(columns) - 0.5, -0.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_yticks(places, [column.removeprefix(f"{name}:") for column in columns])
    axes.tick_params(axis="y", length=0)
    axes.set_title(name, loc="left", size=NAME, weight="bold", color=INK, pad=4)
    return axes
