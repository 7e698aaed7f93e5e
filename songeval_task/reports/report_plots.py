"""Plots of an evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import confusion_matrix

from hear_aesthetics.metrics.intervals import Array
from hear_aesthetics.plotting.style import (
    ACCENT,
    BLUE,
    COLOURS,
    FAINT,
    INK,
    QUIET,
    new_figure,
    place,
    save,
)
from songeval_task.dimensions import Dimension
from songeval_task.protocol import METRICS, SongPredictions

__all__ = ["draw_bars", "draw_confusion", "draw_residuals", "draw_scatter"]

CELL = 2.75  # inches, of a panel and its margins
LEFT, RIGHT, BOTTOM, HEADER = 0.75, 0.25, 0.65, 1.05
SCORES = (1.0, 5.0)
LIMITS = (0.85, 5.15)  # of axes: marks at the ends of the scale stay whole


def draw_scatter(path: Path, found: SongPredictions, figures: Mapping[str, Any]) -> None:
    """Draw predicted against rated scores, a panel per dimension, with top-tier thresholds."""
    with _panels(path, found, "Predicted against rated", y="predicted", x="rated") as panels:
        for axes, dimension, predicted, rated in panels:
            axes.plot(SCORES, SCORES, color=QUIET, lw=0.8, ls=(0, (4, 3)))
            axes.axvline(dimension.top_tier, color=ACCENT, lw=0.8, alpha=0.7)
            axes.axhline(dimension.top_tier, color=ACCENT, lw=0.8, alpha=0.7)
            axes.scatter(rated, predicted, s=13, color=BLUE, alpha=0.55, lw=0)
            ticks = range(1, 6)
            axes.set(xlim=LIMITS, ylim=LIMITS, xticks=ticks, yticks=ticks, aspect="equal")
            lcc, srcc = (figures[dimension.name][name][0] for name in ("lcc", "srcc"))
            _caption(axes, dimension.name, f"LCC {lcc:.2f}  SRCC {srcc:.2f}")


def draw_residuals(path: Path, found: SongPredictions) -> None:
    """Draw residuals over rated scores: a slope is shrinkage towards the mean."""
    reach = max(1.0, float(np.abs(found.preds - found.target).max()) * 1.08)
    title, note = "Residuals: predicted minus rated", "; line: least squares; below 0: rated higher"
    with _panels(path, found, title, note, y="predicted - rated", x="rated") as panels:
        for axes, dimension, predicted, rated in panels:
            residual = predicted - rated
            axes.axhline(0, color=QUIET, lw=0.8, ls=(0, (4, 3)))
            axes.scatter(rated, residual, s=13, color=BLUE, alpha=0.55, lw=0)
            if np.ptp(rated) > 0:
                ends = np.array([rated.min(), rated.max()])
                line = np.polyval(np.polyfit(rated, residual, 1), ends)
                axes.plot(ends, line, color=ACCENT, lw=1.6)
            axes.set(xlim=LIMITS, ylim=(-reach, reach), xticks=range(1, 6))
            error = np.sqrt(np.mean(residual**2))
            _caption(axes, dimension.name, f"mean {residual.mean():+.2f}  RMS {error:.2f}")


def draw_confusion(path: Path, found: SongPredictions, figures: Mapping[str, Any]) -> None:
    """Draw counts of songs in and below the top tier, by rating and by prediction."""
    with _panels(path, found, "Top tier, rated and predicted", y="rated", x="predicted") as panels:
        for axes, dimension, predicted, rated in panels:
            top = dimension.top_tier
            counts = confusion_matrix(rated >= top, predicted >= top, labels=[True, False])
            shares = counts / len(rated)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.1)
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.55 else INK
                axes.text(column, row, str(count), ha="center", va="center", size=13, color=colour)
            axes.set_xticks([0, 1], ["top", "below"])
            axes.set_yticks([0, 1], ["top", "below"], rotation=90, va="center")
            tta = figures[dimension.name]["tta"][0]
            _caption(axes, dimension.name, f"top from {top:g}  F1 {tta:.2f}")


def draw_bars(path: Path, figures: Mapping[str, Any]) -> None:
    """Draw the four metrics per dimension with their intervals; a row per level."""
    levels = [level for level in ("utterance", "system") if level in figures]
    names = [name for name in figures["utterance"] if name != "count"]
    width, height = 10.0, 2.6
    figure = new_figure(
        width,
        HEADER + len(levels) * (height + 0.55) + 0.1,
        "Figures with 95 % intervals",
        f"{figures['predictions']}, {figures['track']}, {figures['split']} songs",
    )
    for row, level in enumerate(levels):
        top = HEADER + row * (height + 0.55)
        axes = place(figure, 0.75, top, width - 0.75 - 0.25, height)
        _bars(axes, figures[level], names)
        noun = "songs" if level == "utterance" else "systems"
        label = f"{level} level, {figures[level]['count']} {noun}"
        axes.set_title(label, size=10.5, color=INK, loc="left", weight="bold")
        if row == 0:
            corner: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1)}
            axes.legend(ncols=4, fontsize=9, frameon=False, borderaxespad=0.1, **corner)
    save(figure, path)


def _bars(axes: Axes, figures: Mapping[str, Any], names: Sequence[str]) -> None:
    ends = [figures[name][metric][1] for name in names for metric in METRICS]
    lowest = np.nanmin([0.0, *ends])  # some ends may not be estimable
    for place_, metric in enumerate(METRICS):
        values, lows, highs = np.array([figures[name][metric] for name in names]).T
        x = np.arange(len(names)) + (place_ - 1.5) * 0.2
        axes.bar(x, values, width=0.18, color=COLOURS[place_], label=metric.upper())
        reach = np.maximum([values - lows, highs - values], 0)
        axes.errorbar(x, values, yerr=reach, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2)
        for at, value, top in zip(x, values, np.fmax(values, highs), strict=True):
            axes.text(at, top + 0.02, f"{value:.2f}", ha="center", size=7.5, color=INK)
    axes.set_xticks(range(len(names)), names, size=10)
    ticks = np.arange(np.ceil(4 * lowest) / 4, 1.01, 0.25)
    axes.set(ylim=(lowest - 0.1, 1.15), xlim=(-0.55, len(names) - 0.45), yticks=ticks)
    axes.grid(axis="y", color=FAINT, lw=0.8)
    axes.axhline(0, color=QUIET, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0)


@contextmanager
def _panels(
    path: Path, found: SongPredictions, title: str, note: str = "", *, y: str, x: str
) -> Iterator[list[tuple[Axes, Dimension, Array, Array]]]:
    """Yield a row of square panels, each with its dimension, predictions and ratings.

    The PNG is written when the panels are drawn; ``y`` labels the first alone.
    """
    side, dimensions = CELL - 0.45, found.track.dimensions
    width = max(LEFT + len(dimensions) * CELL - 0.45 + RIGHT, 4.4)
    subtitle = f"{len(found.songs)} songs, {found.track.name}{note}"
    figure = new_figure(width, HEADER + side + BOTTOM + 0.25, title, subtitle)
    lefts = [LEFT + i * CELL for i in range(len(dimensions))]
    panels = [place(figure, left, HEADER + 0.25, side, side) for left in lefts]
    yield list(zip(panels, dimensions, found.preds.T, found.target.T, strict=True))
    for axes in panels:
        axes.set_xlabel(x, size=9.5, color=INK)
    panels[0].set_ylabel(y, size=9.5, color=INK)
    save(figure, path)


def _caption(axes: Axes, name: str, figures: str) -> None:
    axes.text(0, 1.11, name, transform=axes.transAxes, size=11, weight="bold", color=INK)
    axes.text(0, 1.03, figures, transform=axes.transAxes, size=8.5, color=QUIET)
