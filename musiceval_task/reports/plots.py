"""Plots of a report: predicted against true scores, and the metrics of several runs."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hear_aesthetics.metrics.correlation import system_means
from hear_aesthetics.plotting.style import (
    ACCENT,
    FAINT,
    INK,
    LIGHT,
    MARGIN,
    NAME,
    QUIET,
    SMALL,
    TEXT,
    WIDTH,
    new_figure,
    place,
    save,
)
from musiceval_task.predictions import ClipPredictions
from musiceval_task.protocol import Measure, Measures
from musiceval_task.scale import HIGH, LOW, TARGETS

__all__ = ["draw_runs", "draw_scatter"]

CLIP, SYSTEM = LIGHT, ACCENT
CLIPS: Any = {"s": 7, "color": CLIP, "alpha": 0.55, "lw": 0, "label": "clip", "zorder": 2}
TITLES = {"overall": "Music impression", "textual": "Text alignment"}
# Inches.
SIDE, BETWEEN, ABOVE, BELOW = 0.45, 0.4, 0.46, 0.4
PANEL = (WIDTH - SIDE - BETWEEN - MARGIN) / 2
ROW, LETTER, VALUES, GAP = 0.2, 0.06, 0.38, 0.52  # a run, its name, its figures, between panels
ROOM = 0.15  # points around the scale
LABEL_WIDTH, LABEL_HEIGHT = 0.62, 0.24  # of a system's name, in points of the scale


def draw_scatter(
    path: Path, predictions: ClipPredictions, measures: Measures, *, title: str, subtitle: str = ""
) -> None:
    """Write a PNG of predicted against true scores of clips and systems, a panel for each target.

    The true scores of all clips are known.
    """
    figure, top = new_figure(WIDTH, ABOVE + PANEL + BELOW, title, subtitle)
    means, names = system_means(predictions.scores, predictions.systems)
    truth, _ = system_means(predictions.truth, predictions.systems)
    for column, target in enumerate(TARGETS):
        axes = _panel(figure, SIDE + column * (PANEL + BETWEEN), top + ABOVE, PANEL, PANEL)
        axes.plot([LOW, HIGH], [LOW, HIGH], color=QUIET, lw=0.7, ls=(0, (4, 3)), zorder=1)
        axes.scatter(predictions.truth[:, column], predictions.scores[:, column], **CLIPS)
        if len(names) > 1:
            _draw_systems(axes, truth[:, column], means[:, column], names)
        axes.set_xlim(LOW - ROOM, HIGH + ROOM)
        axes.set_ylim(LOW - ROOM, HIGH + ROOM)
        axes.set_xlabel(f"mean opinion ({LOW:g} to {HIGH:g})", size=TEXT, color=INK, labelpad=2)
        axes.set_title(TITLES[target], size=NAME, weight="bold", color=INK, loc="left", pad=24)
        axes.annotate(_figures_of(measures, target), (0, 1), (0, 4), xycoords="axes fraction",
                      textcoords="offset points", size=SMALL, color=QUIET)  # fmt: skip
        if column == 0:
            axes.set_ylabel("predicted", size=TEXT, color=INK, labelpad=2)
            axes.legend(loc="lower right", fontsize=SMALL, frameon=False, handletextpad=0.1,
                        borderaxespad=0)  # fmt: skip
    save(figure, path)


def draw_runs(path: Path, runs: dict[str, Measures], *, title: str, subtitle: str) -> None:
    """Write a PNG that compares runs by name: LCC of clips, SRCC of systems, and intervals."""
    shown = (("utterance", "LCC"), ("system", "SRCC"))
    height = ROW * len(runs)
    figure, first = new_figure(WIDTH, 2 * (height + GAP), title, subtitle)
    names = 2 * MARGIN + LETTER * max(map(len, runs))
    side = (WIDTH - names - 2 * VALUES) / 2
    for line, target in enumerate(TARGETS):
        for column, (level, metric) in enumerate(shown):
            left, top = names + column * (side + VALUES), first + 0.22 + line * (height + GAP)
            axes = _panel(figure, left, top, side, height)
            for row, measures in enumerate(runs.values()):
                _draw_interval(axes, row, measures.get((target, level, metric)))
            axes.set_ylim(len(runs) - 0.5, -0.5)
            axes.set_yticks(range(len(runs)), list(runs) if column == 0 else [""] * len(runs))
            axes.grid(axis="x", color=FAINT, lw=0.5)
            axes.locator_params(axis="x", nbins=4)
            axes.set_axisbelow(True)
            of = "clips" if level == "utterance" else "systems"
            said = f"{TITLES[target].split()[-1].capitalize()}: {metric} of {of}"
            axes.set_title(said, size=SMALL, weight="bold", color=INK, loc="left", pad=3)
    save(figure, path)


def _draw_systems(axes: Axes, truth: np.ndarray, means: np.ndarray, names: list[str]) -> None:
    axes.scatter(truth, means, s=17, color=SYSTEM, lw=0.5, ec="white", label="system", zorder=3)
    named: list[tuple[float, float]] = []
    for x, y, name in zip(truth, means, names, strict=True):
        if any(abs(x - left) < LABEL_WIDTH and abs(y - low) < LABEL_HEIGHT for left, low in named):
            continue  # it would cover another name
        named.append((x, y))
        axes.annotate(name, (x, y), (2.5, 2), textcoords="offset points", size=7, color=INK)


def _draw_interval(axes: Axes, row: float, measure: Measure | None) -> None:
    if measure is None:
        return
    axes.plot([measure.low, measure.high], [row, row], color=CLIP, lw=2, zorder=2)
    axes.scatter([measure.value], [row], s=14, color=SYSTEM, zorder=3)
    axes.text(1.03, row, f"{measure.value:.3f}", size=SMALL, color=INK, va="center",
              transform=axes.get_yaxis_transform())  # fmt: skip


def _figures_of(measures: Measures, target: str) -> str:
    parts = [f"clips: LCC {measures[target, 'utterance', 'LCC'].value:.3f}"]
    if system := measures.get((target, "system", "SRCC")):
        parts.append(f"systems: SRCC {system.value:.3f}")
    return "\n".join(parts)


def _panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes with spines at the left and below."""
    axes = place(figure, left, top, width, height)
    axes.spines[["top", "right"]].set_visible(False)
    return axes
