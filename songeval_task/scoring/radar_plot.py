"""Plots of scores: a radar per song, and below them the scores over time.

Up to eight songs are drawn, each with its own colour and its own radar, in which the others are
faint lines: eight polygons on top of each other cannot be read. Intervals of calibrated scores are
bands; over time, of at most two songs, and of the whole song, since windows have none.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from hear_aesthetics.plotting.style import COLOURS, FAINT, INK, QUIET, new_figure, place
from songeval_task.scoring.rows import ScoreRow
from songeval_task.scoring.scorer_set import HIGH, LOW

__all__ = ["MAX_SONGS", "score_figure", "short_names"]

MAX_SONGS = 8
NAME_LENGTH = 26  # characters that fit above a radar
MIN_RADAR = 3  # dimensions; fewer span no area and become dots
MAX_BANDS = 2  # songs whose bands over time can be told apart

# Inches.
RADAR_WIDTH, RADAR_HEIGHT = 3.5, 3.1  # of a cell, names and labels included
RADAR, RADAR_TOP = 1.95, 0.72  # the circle, and where it begins in its cell
DOT_HEIGHT, DOT_LEFT = 0.34, 1.6
CURVE_HEIGHT, CURVE_GAP = 1.35, 0.16
SIDE, HEADER, FOOTER, GAP = 0.95, 0.95, 0.65, 0.8


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
    columns = 3 if len(rows) in (5, 6) else min(len(rows), 4)
    lines = -(-len(rows) // columns)
    top = RADAR_HEIGHT * lines if radar else DOT_HEIGHT * len(rows) + GAP
    curves = any(_windows(row, dimensions) for row in rows)
    below = len(dimensions) * CURVE_HEIGHT + FOOTER if curves else 0.0
    size = (2 * SIDE + RADAR_WIDTH * max(columns, 2), HEADER + top + below)
    figure = new_figure(*size, title, subtitle, left=SIDE)
    names = short_names([str(row["path"]) for row in rows])
    labels = [f"{name}: mean {row['mean']:.2f}" for name, row in zip(names, rows, strict=True)]
    if radar:
        _draw_radars(figure, rows, dimensions, labels, columns)
    else:
        _draw_dots(figure, rows, dimensions, names)
    if curves:
        _draw_curves(figure, rows, dimensions)
    return figure


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


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return whole half points around all values, at least one point apart."""
    low, high = np.floor(2 * np.nanmin(values)) / 2, np.ceil(2 * np.nanmax(values)) / 2
    return (low, high) if high - low >= 1 else (low - 0.5, high + 0.5)


def _draw_radars(
    figure: Figure,
    rows: Sequence[ScoreRow],
    dimensions: Sequence[str],
    labels: Sequence[str],
    columns: int,
) -> None:
    values = np.array([[row[name] for name in dimensions] for row in rows])
    bands = [_band(row, dimensions) for row in rows]
    low, high = _limits(np.array([*values, *(end for band in bands if band for end in band)]))
    rings = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    angles = np.linspace(0, 2 * np.pi, len(dimensions), endpoint=False)
    for index, label in enumerate(labels):
        line, column = divmod(index, columns)
        left = SIDE + column * RADAR_WIDTH + (RADAR_WIDTH - RADAR) / 2
        top = HEADER + line * RADAR_HEIGHT + RADAR_TOP
        axes = place(figure, left, top, RADAR, RADAR, projection="polar")
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
        band = bands[index]
        area = _closed(angles, values[index]) if band is None else _ring(angles, *band)
        axes.fill(*area, color=colour, alpha=0.16, linewidth=0)
        axes.set_title(label, size=9.5, weight="bold", color=colour, pad=24)


def _name_spokes(axes: Axes, angles: np.ndarray, dimensions: Sequence[str], high: float) -> None:
    """Write the names outside the circle, aligned to their side."""
    axes.set_xticklabels([])
    low = axes.get_ylim()[0]
    for angle, name in zip(angles, dimensions, strict=True):
        side = np.sin(angle)
        alignment = "center" if abs(side) < 0.1 else ("left" if side > 0 else "right")
        radius = high + 0.12 * (high - low)
        axes.text(angle, radius, name, ha=alignment, va="center", size=8, color=INK, clip_on=False)


def _closed(angles: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.append(angles, angles[0]), np.append(values, values[0])


def _ring(angles: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> list[np.ndarray]:
    """Return the outline of what lies between two polygons."""
    there, back = _closed(angles, outer), _closed(angles, inner)
    return [np.concatenate((out, home[::-1])) for out, home in zip(there, back, strict=True)]


def _band(row: ScoreRow, dimensions: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the ends of the intervals of a song's scores; None where it has none."""
    low, high = ([row.get(name + end) for name in dimensions] for end in (LOW, HIGH))
    if None in low or None in high:
        return None
    return np.array(low, dtype=float), np.array(high, dtype=float)


def _draw_dots(
    figure: Figure, rows: Sequence[ScoreRow], dimensions: Sequence[str], names: Sequence[str]
) -> None:
    """Draw a line per song with a dot per dimension; a bar would need a zero to start from."""
    width = figure.get_size_inches()[0]
    left = SIDE + DOT_LEFT
    values = np.array([[row[name] for name in dimensions] for row in rows])
    axes = place(figure, left, HEADER, width - left - SIDE, DOT_HEIGHT * len(rows))
    for line, scores in enumerate(values):
        if (band := _band(rows[line], dimensions)) is not None:
            axes.hlines([line] * len(scores), *band, color=COLOURS[line], linewidth=6, alpha=0.16)
        for score, marker in zip(scores, "oD", strict=False):
            axes.plot(score, line, marker, color=COLOURS[line], markersize=7)
            beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 8.5}
            axes.annotate(f"{score:.2f}", (score, line), (8, 0), **beside)
    bands = [band for row in rows if (band := _band(row, dimensions)) is not None]
    low, high = _limits(np.array([*values, *(end for band in bands for end in band)]))
    axes.set_xlim(low, high + 0.1 * (high - low))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), names)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_xlabel(f"{' (dot) and '.join(dimensions)}, score", size=9.5, color=INK)


def _windows(row: ScoreRow, dimensions: Sequence[str]) -> list[ScoreRow]:
    """Return the windows of a song that have these scores; other packages' scorers have none."""
    return [window for window in row.get("timeline") or [] if dimensions[0] in window]


def _draw_curves(figure: Figure, rows: Sequence[ScoreRow], dimensions: Sequence[str]) -> None:
    """Draw a panel per dimension on one scale: a bar over each window, a line through them.

    One scale for all, so that a change without weight does not look like one.
    """
    width, height = figure.get_size_inches()
    top = height - FOOTER - len(dimensions) * CURVE_HEIGHT + CURVE_GAP
    songs = [_windows(row, dimensions) for row in rows]
    windows = [window for song in songs for window in song]
    values = [[window[name] for name in dimensions] for window in windows]
    bands = [_band(row, dimensions) for row in rows if len(rows) <= MAX_BANDS]
    reached = [end for band in bands if band for end in band]
    low, high = _limits(np.array([*values, *reached], dtype=float))
    for index, name in enumerate(dimensions):
        box = (SIDE, top + index * CURVE_HEIGHT, width - 2 * SIDE, CURVE_HEIGHT - CURVE_GAP)
        axes = place(figure, *box)
        for song, colour in zip(songs, COLOURS, strict=False):
            starts, ends, scores = (
                np.array([window[key] for window in song], dtype=float)
                for key in ("start", "end", name)
            )
            axes.hlines(scores, starts, ends, color=colour, linewidth=3, alpha=0.3)
            axes.plot((starts + ends) / 2, scores, color=colour, linewidth=1.4)
        for band, colour in zip(bands, COLOURS, strict=False):
            if band is not None:
                axes.axhspan(band[0][index], band[1][index], color=colour, alpha=0.1, linewidth=0)
        axes.grid(color=FAINT, linewidth=0.6)
        margin = 0.06 * (high - low)
        axes.set(ylim=(low - margin, high + margin), xlim=(0, max(w["end"] for w in windows)))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.yaxis.set_label_coords(-0.5 / (width - 2 * SIDE), 0.5)
        axes.set_ylabel(f"{name}\n(score)", size=9, color=INK)
        axes.tick_params(labelbottom=index == len(dimensions) - 1)
    label = "time (s); bar: the window that a score is of, line: through their middles"
    if reached:
        label += "; band: the interval of the whole song"
    axes.set_xlabel(label, size=9.5, color=INK)
