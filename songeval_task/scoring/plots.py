"""Pictures of scores: a radar per song, and below them the scores over time.

Up to eight songs are drawn, each with its own colour and its own radar, in which the others are
faint lines: eight polygons on top of each other cannot be read. Figures are made without pyplot, so
that they need no display.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from songeval_task.scoring.rows import Row

__all__ = ["MAX_SONGS", "draw_scores", "score_figure", "short_names"]

MAX_SONGS = 8
INK, QUIET, FAINT = "#20242c", "#6a7180", "#d5d9e0"
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#b8860b", "#56b4e9", "#7a4fb0", "#4d4d4d"),
)
NAME_LENGTH = 26  # characters that fit above a radar
MIN_RADAR = 3  # dimensions; fewer span no area and become dots
CURVE_SPAN = 0.5  # points that the axis of a curve shows at least

# Inches.
RADAR_WIDTH, RADAR_HEIGHT = 3.5, 3.1  # of a cell, names and labels included
RADAR, RADAR_TOP = 1.95, 0.72  # the circle, and where it begins in its cell
DOT_HEIGHT, DOT_LEFT = 0.34, 1.6
CURVE_HEIGHT, CURVE_GAP = 1.35, 0.16
SIDE, HEADER, FOOTER, GAP = 0.95, 0.95, 0.65, 0.8


def draw_scores(path: Path, rows: Sequence[Row], dimensions: Sequence[str], **texts: str) -> None:
    """Write :func:`score_figure` as a PNG."""
    figure = score_figure(rows, dimensions, **texts)
    figure.savefig(path, format="png", metadata={"Software": "hear-aesthetics"})


def score_figure(
    rows: Sequence[Row],
    dimensions: Sequence[str],
    *,
    title: str = "",
    subtitle: str = "",
    mean: str = "mean",
) -> Figure:
    """A picture of the scores of at most eight songs.

    Args:
        rows: Of songs that were scored; where they have a ``timeline`` it is drawn too.
        dimensions: Columns to draw, of one head.
        title: Large, above the picture.
        subtitle: Small, below the title.
        mean: Column of their mean, written beside each name.
    """
    rows = rows[:MAX_SONGS]
    radar = len(dimensions) >= MIN_RADAR
    columns = _grid_columns(len(rows))
    lines = -(-len(rows) // columns)
    top = RADAR_HEIGHT * lines if radar else DOT_HEIGHT * len(rows) + GAP
    curves = any(row.get("timeline") for row in rows)
    below = len(dimensions) * CURVE_HEIGHT + FOOTER if curves else 0.0
    size = (2 * SIDE + RADAR_WIDTH * max(columns, 2), HEADER + top + below)
    figure = _figure(size, title, subtitle)
    names = short_names([str(row["path"]) for row in rows])
    labels = [f"{name}  {row[mean]:.2f}" for name, row in zip(names, rows, strict=True)]
    if radar:
        _draw_radars(figure, rows, dimensions, labels, columns)
    else:
        _draw_dots(figure, rows, dimensions, names)
    if curves:
        _draw_curves(figure, rows, dimensions)
    return figure


def short_names(paths: Sequence[str]) -> list[str]:
    """Names short enough for a label: the file's, with its folder where two files share one.

    >>> short_names(["a/take.wav", "b/take.wav", "c/other.wav"])
    ['a/take', 'b/take', 'other']
    """
    stems = [Path(path).stem for path in paths]
    names = [
        f"{Path(path).parent.name}/{stem}" if stems.count(stem) > 1 else stem
        for path, stem in zip(paths, stems, strict=True)
    ]
    half = (NAME_LENGTH - 1) // 2
    return [n if len(n) <= NAME_LENGTH else f"{n[:half]}…{n[-half:]}" for n in names]


def _grid_columns(songs: int) -> int:
    return min(songs, 4) if songs != 5 and songs != 6 else 3


def _figure(size: tuple[float, float], title: str, subtitle: str) -> Figure:
    figure = Figure(figsize=size, dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    left = SIDE / size[0]
    figure.text(left, 1 - 0.40 / size[1], title, size=15, weight="bold", color=INK)
    figure.text(left, 1 - 0.66 / size[1], subtitle, size=9.5, color=QUIET)
    return figure


def _panel(
    figure: Figure, left: float, top: float, width: float, height: float, **kind: Any
) -> Axes:
    """Axes placed in inches, ``top`` counted from the upper edge."""
    across, up = figure.get_size_inches()
    box = (left / across, 1 - (top + height) / up, width / across, height / up)
    axes: Axes = figure.add_axes(box, **kind)
    axes.tick_params(colors=INK, labelsize=8.5, length=3)
    for spine in axes.spines.values():
        spine.set(color=QUIET, linewidth=0.8)
    return axes


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Whole half points around all values, at least one point apart."""
    low, high = np.floor(2 * values.min()) / 2, np.ceil(2 * values.max()) / 2
    return (low, high) if high - low >= 1 else (low - 0.5, high + 0.5)


def _draw_radars(
    figure: Figure,
    rows: Sequence[Row],
    dimensions: Sequence[str],
    labels: Sequence[str],
    columns: int,
) -> None:
    values = np.array([[row[name] for name in dimensions] for row in rows])
    low, high = _limits(values)
    rings = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    angles = np.linspace(0, 2 * np.pi, len(dimensions), endpoint=False)
    for index, label in enumerate(labels):
        line, column = divmod(index, columns)
        left = SIDE + column * RADAR_WIDTH + (RADAR_WIDTH - RADAR) / 2
        top = HEADER + line * RADAR_HEIGHT + RADAR_TOP
        axes = _panel(figure, left, top, RADAR, RADAR, projection="polar")
        axes.set_theta_zero_location("N")  # type: ignore[attr-defined]
        axes.set_theta_direction(-1)  # type: ignore[attr-defined]
        axes.set_ylim(low - 0.15 * (high - low), high)
        axes.set_yticks([ring for ring in rings if low <= ring <= high])
        axes.set_xticks(angles)
        _name_spokes(axes, angles, dimensions, high)
        axes.grid(color=FAINT, linewidth=0.7)
        axes.spines["polar"].set(color=FAINT)
        axes.tick_params(axis="y", labelsize=7, labelcolor=QUIET)
        for ring in axes.get_yticklabels():
            ring.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        axes.set_rlabel_position(180 / len(dimensions))  # type: ignore[attr-defined]
        for other in np.delete(values, index, axis=0):
            axes.plot(*_closed(angles, other), color="#b9bfca", linewidth=0.7)
        colour = COLOURS[index]
        axes.plot(*_closed(angles, values[index]), color=colour, linewidth=1.8)
        axes.fill(*_closed(angles, values[index]), color=colour, alpha=0.16)
        axes.set_title(label, size=9.5, weight="bold", color=colour, pad=24)


def _name_spokes(axes: Axes, angles: np.ndarray, dimensions: Sequence[str], high: float) -> None:
    """Names outside the circle, set to the side on which they stand."""
    axes.set_xticklabels([])
    low = axes.get_ylim()[0]
    for angle, name in zip(angles, dimensions, strict=True):
        side = np.sin(angle)
        alignment = "center" if abs(side) < 0.1 else ("left" if side > 0 else "right")
        radius = high + 0.12 * (high - low)
        axes.text(angle, radius, name, ha=alignment, va="center", size=8, color=INK, clip_on=False)


def _closed(angles: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.append(angles, angles[0]), np.append(values, values[0])


def _draw_dots(
    figure: Figure, rows: Sequence[Row], dimensions: Sequence[str], names: Sequence[str]
) -> None:
    """A line per song with a dot per dimension; not bars, whose length would start nowhere."""
    width = figure.get_size_inches()[0]
    left = SIDE + DOT_LEFT
    values = np.array([[row[name] for name in dimensions] for row in rows])
    axes = _panel(figure, left, HEADER, width - left - SIDE, DOT_HEIGHT * len(rows))
    for place, scores in enumerate(values):
        for score, marker in zip(scores, "oD", strict=False):
            axes.plot(score, place, marker, color=COLOURS[place], markersize=7)
            axes.annotate(
                f"{score:.2f}",
                (score, place),
                (8, 0),
                textcoords="offset points",
                va="center",
                size=8.5,
            )
    low, high = _limits(values)
    axes.set_xlim(low, high + 0.1 * (high - low))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), names)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_xlabel(f"{' (dot) and '.join(dimensions)}, score", size=9.5, color=INK)


def _widen(axes: Axes, span: float) -> None:
    """Show at least ``span``, so that a change without weight does not look like one."""
    axes.margins(y=0.15)
    low, high = axes.get_ylim()
    missing = max(span - (high - low), 0) / 2
    axes.set_ylim(low - missing, high + missing)


def _draw_curves(figure: Figure, rows: Sequence[Row], dimensions: Sequence[str]) -> None:
    """A panel per dimension, a line per song, on one time axis."""
    width, height = figure.get_size_inches()
    top = height - FOOTER - len(dimensions) * CURVE_HEIGHT + CURVE_GAP
    shared: Axes | None = None
    for index, name in enumerate(dimensions):
        place = (SIDE, top + index * CURVE_HEIGHT, width - 2 * SIDE, CURVE_HEIGHT - CURVE_GAP)
        axes = _panel(figure, *place, sharex=shared)
        shared = shared or axes
        for row, colour in zip(rows, COLOURS, strict=False):
            windows = row.get("timeline") or []
            middles = [(window["start"] + window["end"]) / 2 for window in windows]
            scores = [window[name] for window in windows]
            axes.plot(middles, scores, color=colour, linewidth=1.4, marker="o", markersize=2.6)
        axes.grid(color=FAINT, linewidth=0.6)
        _widen(axes, CURVE_SPAN)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.yaxis.set_label_coords(-0.5 / (width - 2 * SIDE), 0.5)
        axes.set_ylabel(f"{name}\n(score)", size=9, color=INK)
        axes.tick_params(labelbottom=index == len(dimensions) - 1)
    ends = [window["end"] for row in rows for window in row.get("timeline") or []]
    axes.set_xlim(0, max(ends))
    axes.set_xlabel("time (s), middle of each window", size=9.5, color=INK)
