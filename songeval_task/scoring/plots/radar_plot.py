"""Plot of one scorer: a radar per song, and below them the scores over time.

Up to eight songs are drawn, each with its own colour and its own radar, in which the others are
faint lines: eight polygons on top of each other cannot be read. Intervals of calibrated scores are
bands; over time, of at most two songs, and of the whole song, since windows have none.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from hear_aesthetics.plotting.style import (
    COLOURS,
    FAINT,
    INK,
    MARGIN,
    QUIET,
    SMALL,
    TEXT,
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

__all__ = ["MIN_RADAR", "score_figure"]

MIN_RADAR = 3  # dimensions; fewer span no area and become dots

# Inches.
COLUMNS = 2  # of radars
RADAR, ALONE = 1.0, 1.7  # the circle, one of several or the only one
RADAR_TOP, RADAR_BELOW = 0.56, 0.22  # names and labels above and below it
DOT_HEIGHT, DOT_LEFT, DOT_BELOW = 0.24, 1.65, 0.5
SIDE = 0.74  # of curves
OTHERS, RING = "#b9bfca", 7  # colour of other songs, points of the numbers of a scale


def score_figure(
    rows: Sequence[ScoreRow], dimensions: Sequence[str], *, title: str = "", subtitle: str = ""
) -> Figure:
    """Return a figure of the scores of at most eight songs.

    Args:
        rows: Rows of songs that were scored; where they have a ``timeline`` it is drawn too.
        dimensions: Columns to draw, of the first head, whose mean is written beside each name.
        title: Title of the figure.
        subtitle: Small text below the title.
    """
    rows = rows[:MAX_SONGS]
    radar = len(dimensions) >= MIN_RADAR
    lines = -(-len(rows) // COLUMNS)
    circle = RADAR if len(rows) > 1 else ALONE
    cell = RADAR_TOP + circle + RADAR_BELOW
    panels = cell * lines if radar else DOT_HEIGHT * len(rows) + DOT_BELOW
    curves = [Curve(f"{name}\n(score)", [name], name) for name in dimensions]
    curves = [curve for curve in curves if curve.drawn_in(rows)]
    figure, top = new_figure(WIDTH, panels + curves_height(len(curves)), title, subtitle)
    names = [literal(name) for name in short_names([str(row["path"]) for row in rows])]
    labels = [f"{name}\nmean {row['mean']:.2f}" for name, row in zip(names, rows, strict=True)]
    if radar:
        _draw_radars(figure, rows, dimensions, labels, top, circle)
    else:
        _draw_dots(figure, rows, dimensions, names, top)
    if curves:
        draw_curves(figure, rows, curves, left=SIDE, right=MARGIN, one_scale=True)
    return figure


def _draw_radars(
    figure: Figure,
    rows: Sequence[ScoreRow],
    dimensions: Sequence[str],
    labels: Sequence[str],
    first: float,
    circle: float,
) -> None:
    values = np.array([[row[name] for name in dimensions] for row in rows])
    bands = [interval_ends(row, dimensions) for row in rows]
    low, high = axis_limits(np.array([*values, *(end for band in bands if band for end in band)]))
    rings = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    angles = np.linspace(0, 2 * np.pi, len(dimensions), endpoint=False)
    for index, label in enumerate(labels):
        line, column = divmod(index, COLUMNS)
        width = WIDTH / min(COLUMNS, len(labels))
        left = column * width + (width - circle) / 2
        top = first + line * (RADAR_TOP + circle + RADAR_BELOW) + RADAR_TOP
        axes = place(figure, left, top, circle, circle, projection="polar")
        axes.set_theta_zero_location("N")  # type: ignore[attr-defined]
        axes.set_theta_direction(-1)  # type: ignore[attr-defined]
        axes.set_ylim(low - 0.15 * (high - low), high)
        axes.set_yticks([ring for ring in rings if low <= ring <= high])
        axes.set_xticks(angles)
        _name_spokes(axes, angles, dimensions, high)
        axes.grid(color=FAINT, linewidth=0.5)
        axes.spines["polar"].set(color=FAINT)
        axes.tick_params(axis="y", labelsize=RING, labelcolor=QUIET)
        for ring in axes.get_yticklabels():
            ring.set_path_effects([withStroke(linewidth=1.8, foreground="white")])
        axes.set_rlabel_position(180 / len(dimensions))  # type: ignore[attr-defined]
        for other in np.delete(values, index, axis=0):
            axes.plot(*_closed(angles, other), color=OTHERS, linewidth=0.6)
        colour = COLOURS[index]
        axes.plot(*_closed(angles, values[index]), color=colour, linewidth=1.5)
        band = bands[index]
        area = _closed(angles, values[index]) if band is None else _ring(angles, *band)
        axes.fill(*area, color=colour, alpha=0.16, linewidth=0)
        axes.set_title(label, size=TEXT, weight="bold", color=INK, pad=13 * circle)


def _name_spokes(axes: Axes, angles: np.ndarray, dimensions: Sequence[str], high: float) -> None:
    """Write the names outside the circle, aligned to their side."""
    axes.set_xticklabels([])
    low = axes.get_ylim()[0]
    for angle, name in zip(angles, dimensions, strict=True):
        side = np.sin(angle)
        alignment = "center" if abs(side) < 0.1 else ("left" if side > 0 else "right")
        radius = high + 0.12 * (high - low)
        axes.text(
            angle, radius, name, ha=alignment, va="center", size=RING, color=INK, clip_on=False
        )


def _closed(angles: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.append(angles, angles[0]), np.append(values, values[0])


def _ring(angles: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> list[np.ndarray]:
    """Return the outline of what lies between two polygons."""
    there, back = _closed(angles, outer), _closed(angles, inner)
    return [np.concatenate((out, home[::-1])) for out, home in zip(there, back, strict=True)]


def _draw_dots(
    figure: Figure,
    rows: Sequence[ScoreRow],
    dimensions: Sequence[str],
    names: Sequence[str],
    top: float,
) -> None:
    """Draw a line per song with a dot per dimension; a bar would need a zero to start from."""
    values = np.array([[row[name] for name in dimensions] for row in rows])
    axes = place(figure, DOT_LEFT, top, WIDTH - DOT_LEFT - MARGIN, DOT_HEIGHT * len(rows))
    for line, scores in enumerate(values):
        if (band := interval_ends(rows[line], dimensions)) is not None:
            axes.hlines([line] * len(scores), *band, color=COLOURS[line], linewidth=4.5, alpha=0.16)
        for score, marker in zip(scores, "oD", strict=False):
            axes.plot(score, line, marker, color=COLOURS[line], markersize=5)
            beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": SMALL}
            axes.annotate(f"{score:.2f}", (score, line), (5, 0), **beside)
    bands = [band for row in rows if (band := interval_ends(row, dimensions)) is not None]
    low, high = axis_limits(np.array([*values, *(end for band in bands for end in band)]))
    axes.set_xlim(low, high + 0.1 * (high - low))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), names)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_xlabel(f"{' (dot) and '.join(dimensions)}, score", size=TEXT, color=INK)
