"""Plots of an evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from hear_aesthetics.metrics.intervals import Array
from hear_aesthetics.plotting.style import (
    ACCENT,
    BLUE,
    COLD,
    FAINT,
    INK,
    NAME,
    QUIET,
    SMALL,
    TEXT,
    WIDTH,
    new_figure,
    place,
    save,
)
from songeval_task.dimensions import Dimension
from songeval_task.protocol import METRICS, SongPredictions

__all__ = ["draw_bars", "draw_confusion", "draw_residuals", "draw_scatter"]

# Inches.
LEFT, RIGHT, ABOVE, BELOW, BETWEEN = 0.56, 0.12, 0.4, 0.38, 0.42
ALONE = 3.3  # width of a picture with one panel
COLUMNS = 2
NAMES, VALUES, ROW, HEADING = 0.85, 0.34, 0.17, 0.3  # of bars
SCORES = (1.0, 5.0)
LIMITS = (0.85, 5.15)  # of axes: marks at the ends of the scale stay whole
SHARE = LinearSegmentedColormap.from_list("share", COLD)
DOTS: dict[str, Any] = {"s": 9, "color": BLUE, "alpha": 0.55, "lw": 0}


def draw_scatter(path: Path, found: SongPredictions, figures: Mapping[str, Any]) -> None:
    """Draw predicted against rated scores, a panel per dimension, with top-tier thresholds."""
    note = "; orange: from there on top tier"
    with _panels(
        path, found, "Predicted against rated", note, y="predicted (1 to 5)", x="rated (1 to 5)"
    ) as panels:
        for axes, dimension, predicted, rated in panels:
            axes.plot(SCORES, SCORES, color=QUIET, lw=0.7, ls=(0, (4, 3)))
            axes.axvline(dimension.top_tier, color=ACCENT, lw=0.7, alpha=0.8)
            axes.axhline(dimension.top_tier, color=ACCENT, lw=0.7, alpha=0.8)
            axes.scatter(rated, predicted, **DOTS)
            ticks = range(1, 6)
            axes.set(xlim=LIMITS, ylim=LIMITS, xticks=ticks, yticks=ticks, aspect="equal")
            lcc, srcc = (figures[dimension.name][name][0] for name in ("lcc", "srcc"))
            _caption(axes, dimension.name, f"LCC {lcc:.2f}  SRCC {srcc:.2f}")


def draw_residuals(path: Path, found: SongPredictions) -> None:
    """Draw residuals over rated scores: a slope is shrinkage towards the mean."""
    reach = max(1.0, float(np.abs(found.preds - found.target).max()) * 1.08)
    title, note = "Residuals: predicted minus rated", "; line: least squares; below 0: rated higher"
    with _panels(
        path, found, title, note, y="predicted - rated (points)", x="rated (1 to 5)"
    ) as panels:
        for axes, dimension, predicted, rated in panels:
            residual = predicted - rated
            axes.axhline(0, color=QUIET, lw=0.7, ls=(0, (4, 3)))
            axes.scatter(rated, residual, **DOTS)
            if np.ptp(rated) > 0:
                ends = np.array([rated.min(), rated.max()])
                line = np.polyval(np.polyfit(rated, residual, 1), ends)
                axes.plot(ends, line, color=ACCENT, lw=1.4)
            axes.set(xlim=LIMITS, ylim=(-reach, reach), xticks=range(1, 6))
            error = np.sqrt(np.mean(residual**2))
            _caption(axes, dimension.name, f"mean {residual.mean():+.2f}  RMS {error:.2f}")


def draw_confusion(path: Path, found: SongPredictions, figures: Mapping[str, Any]) -> None:
    """Draw counts of songs in and below the top tier, by rating and by prediction."""
    note = "; colour: share of all songs"
    with _panels(
        path, found, "Top tier, rated and predicted", note, y="rated", x="predicted"
    ) as panels:
        for axes, dimension, predicted, rated in panels:
            top = dimension.top_tier
            tiers = [(part >= top, part < top) for part in (rated, predicted)]
            counts = np.array([[np.sum(r & p) for p in tiers[1]] for r in tiers[0]])
            shares = counts / len(rated)
            axes.imshow(shares, cmap=SHARE, vmin=0, vmax=1)
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.45 else INK
                share = f"{count}\n{shares[row, column]:.0%}"
                axes.text(column, row, share, ha="center", va="center", size=NAME, color=colour)
            axes.set_xticks([0, 1], ["top", "below"])
            axes.set_yticks([0, 1], ["top", "below"], rotation=90, va="center")
            axes.tick_params(length=0)
            tta = figures[dimension.name]["tta"][0]
            _caption(axes, dimension.name, f"top from {top:g}  F1 {tta:.2f}")


def draw_bars(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw the four metrics per dimension with their intervals, for each level."""
    levels = [level for level in ("utterance", "system") if level in figures]
    names = [name for name in figures["utterance"] if name != "count"]
    panel = ROW * len(names) + 0.1
    lines = -(-len(METRICS) // COLUMNS)
    level_height = HEADING + lines * (panel + HEADING + 0.12)
    subtitle = f"{figures['predictions']}, {figures['track']}, {figures['split']} songs"
    title = "Figures with 95 % intervals"
    figure, first = new_figure(WIDTH, len(levels) * level_height, title, subtitle)
    width = (WIDTH - NAMES - RIGHT) / COLUMNS - VALUES
    for index, level in enumerate(levels):
        top = first + index * level_height
        noun = "songs" if level == "utterance" else "systems"
        heading = place(figure, NAMES, top, WIDTH - NAMES, HEADING)
        heading.set_axis_off()
        label = f"{level} level, {figures[level]['count']} {noun}"
        heading.text(0, 1, label, size=TEXT, color=INK, weight="bold", va="top")
        # Some ends may not be estimable.
        low = np.nanmin(
            [0, *(v for name in names for m in METRICS for v in figures[level][name][m])]
        )
        for place_, metric in enumerate(METRICS):
            line, column = divmod(place_, COLUMNS)
            left = NAMES + column * (width + VALUES)
            down = top + 1.25 * HEADING + line * (panel + HEADING + 0.12)
            axes = place(figure, left, down, width, panel)
            _bars(axes, figures[level], names if column == 0 else [""] * len(names), metric, low)
    save(figure, path)


def _bars(
    axes: Axes, figures: Mapping[str, Any], names: Sequence[str], metric: str, lowest: float
) -> None:
    found = [figures[name] for name in figures if name != "count"]
    values, lows, highs = np.array([measures[metric] for measures in found]).T
    rows = np.arange(len(values))
    axes.barh(rows, values, height=0.62, color=BLUE, alpha=0.85)
    reach = np.maximum([values - lows, highs - values], 0)
    axes.errorbar(values, rows, xerr=reach, fmt="none", ecolor=INK, elinewidth=0.8, capsize=1.5)
    axes.set(xlim=(lowest, 1), ylim=(len(values) - 0.5, -0.5))
    for row, value in enumerate(values):
        beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
        axes.text(1.03, row, f"{value:.2f}", size=SMALL, color=INK, **beside)
    axes.set_yticks(rows, names)
    axes.set_xticks([tick for tick in (-1, -0.5, 0, 0.5, 1) if tick >= lowest])
    axes.grid(axis="x", color=FAINT, lw=0.5)
    axes.axvline(0, color=QUIET, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(metric.upper(), size=SMALL, color=INK, loc="left", weight="bold", pad=2)


@contextmanager
def _panels(
    path: Path, found: SongPredictions, title: str, note: str = "", *, y: str, x: str
) -> Iterator[list[tuple[Axes, Dimension, Array, Array]]]:
    """Yield square panels, two to a row, each with its dimension, predictions and ratings.

    The PNG is written when the panels are drawn; ``y`` labels the first of each row.
    """
    dimensions = found.track.dimensions
    columns = min(COLUMNS, len(dimensions))
    lines = -(-len(dimensions) // columns)
    width = WIDTH if columns > 1 else ALONE
    side = (width - LEFT - RIGHT - (columns - 1) * BETWEEN) / columns
    cell = ABOVE + side + BELOW
    subtitle = f"{len(found.songs)} songs, {found.track.name}{note}"
    figure, top = new_figure(width, lines * cell, title, subtitle)
    panels = []
    for index in range(len(dimensions)):
        line, column = divmod(index, columns)
        left = LEFT + column * (side + BETWEEN)
        panels.append(place(figure, left, top + line * cell + ABOVE, side, side))
    yield list(zip(panels, dimensions, found.preds.T, found.target.T, strict=True))
    for index, axes in enumerate(panels):
        axes.set_xlabel(x, size=TEXT, color=INK, labelpad=2)
        if index % columns == 0:
            axes.set_ylabel(y, size=TEXT, color=INK, labelpad=2)
    save(figure, path)


def _caption(axes: Axes, name: str, figures: str) -> None:
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(name, (0, 1), (0, 15), size=NAME, weight="bold", color=INK, **above)
    axes.annotate(figures, (0, 1), (0, 4), size=SMALL, color=QUIET, **above)
