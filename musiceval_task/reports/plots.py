"""Plots of a report: predicted against true scores, and the metrics of several runs."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hear_aesthetics.metrics.correlation import system_means
from hear_aesthetics.plotting.style import ACCENT, FAINT, INK, LIGHT, QUIET, new_figure, place, save
from musiceval_task.predictions import ClipPredictions
from musiceval_task.protocol import Measure, Measures
from musiceval_task.scale import HIGH, LOW, TARGETS

__all__ = ["draw_runs", "draw_scatter"]

CLIP, SYSTEM = LIGHT, ACCENT
CLIPS: Any = {"s": 13, "color": CLIP, "alpha": 0.55, "lw": 0, "label": "clip", "zorder": 2}
TITLES = {"overall": "Music impression", "textual": "Text alignment"}
PANEL, SIDE, HEADER, FOOTER, GAP = 4.0, 0.75, 1.35, 0.65, 0.95  # inches
ROW = 0.34  # of a run in the picture of all runs
NAMES = 2.4  # room for the names of runs
MARGIN = 0.15  # points around the scale
LABEL_WIDTH, LABEL_HEIGHT = 0.32, 0.1  # of a system's name, in points of the scale


def draw_scatter(
    path: Path, predictions: ClipPredictions, measures: Measures, *, title: str, subtitle: str = ""
) -> None:
    """Write a PNG of predicted against true scores of clips and systems, a panel for each target.

    The true scores of all clips are known.
    """
    width, height = 2 * PANEL + SIDE + GAP + 0.35, PANEL + HEADER + FOOTER
    figure = new_figure(width, height, title, subtitle, left=SIDE)
    means, names = system_means(predictions.scores, predictions.systems)
    truth, _ = system_means(predictions.truth, predictions.systems)
    for column, target in enumerate(TARGETS):
        axes = _panel(figure, SIDE + column * (PANEL + GAP), HEADER, PANEL, PANEL)
        axes.plot([LOW, HIGH], [LOW, HIGH], color=FAINT, lw=1.2, zorder=1)
        axes.scatter(predictions.truth[:, column], predictions.scores[:, column], **CLIPS)
        if len(names) > 1:
            _draw_systems(axes, truth[:, column], means[:, column], names)
        axes.set_xlim(LOW - MARGIN, HIGH + MARGIN)
        axes.set_ylim(LOW - MARGIN, HIGH + MARGIN)
        axes.set_xlabel("mean opinion of the listeners", size=10, color=INK)
        axes.set_ylabel("predicted", size=10, color=INK)
        axes.set_title(f"{TITLES[target]}\n", size=12, weight="bold", color=INK, loc="left")
        axes.text(0, 1.02, _figures_of(measures, target), transform=axes.transAxes, size=8.5,
                  color=QUIET)  # fmt: skip
        axes.legend(loc="lower right", fontsize=8.5, frameon=False)
    save(figure, path)


def draw_runs(path: Path, runs: dict[str, Measures], *, title: str, subtitle: str) -> None:
    """Write a PNG that compares runs by name: LCC of clips, SRCC of systems, and intervals."""
    shown = (("utterance", "LCC"), ("system", "SRCC"))
    height = ROW * (len(runs) + 1)
    size = (NAMES + 2 * PANEL + GAP, HEADER + 2 * (height + GAP))
    figure = new_figure(*size, title, subtitle, left=SIDE)
    for line, target in enumerate(TARGETS):
        for column, (level, metric) in enumerate(shown):
            left, top = NAMES + column * (PANEL + GAP / 2), HEADER + line * (height + GAP)
            axes = _panel(figure, left, top, PANEL, height)
            for row, measures in enumerate(runs.values()):
                _draw_interval(axes, row, measures.get((target, level, metric)))
            axes.set_ylim(len(runs) - 0.5, -0.5)
            axes.set_yticks(range(len(runs)), list(runs) if column == 0 else [""] * len(runs))
            axes.grid(axis="x", color=FAINT, lw=0.7)
            axes.set_axisbelow(True)
            name = f"{TITLES[target]}: {metric} of {'clips' if level == 'utterance' else 'systems'}"
            axes.set_title(name, size=10.5, weight="bold", color=INK, loc="left")
    save(figure, path)


def _draw_systems(axes: Axes, truth: np.ndarray, means: np.ndarray, names: list[str]) -> None:
    axes.scatter(truth, means, s=34, color=SYSTEM, lw=0.8, ec="white", label="system", zorder=3)
    named: list[tuple[float, float]] = []
    for x, y, name in zip(truth, means, names, strict=True):
        if any(abs(x - left) < LABEL_WIDTH and abs(y - low) < LABEL_HEIGHT for left, low in named):
            continue  # it would cover another name
        named.append((x, y))
        axes.annotate(name, (x, y), (4, 3), textcoords="offset points", size=6.5, color=INK)


def _draw_interval(axes: Axes, row: float, measure: Measure | None) -> None:
    if measure is None:
        return
    axes.plot([measure.low, measure.high], [row, row], color=CLIP, lw=2.5, zorder=2)
    axes.scatter([measure.value], [row], s=30, color=SYSTEM, zorder=3)
    axes.annotate(f"{measure.value:.3f}", (measure.value, row), (0, 6), size=7.5, color=INK,
                  textcoords="offset points", ha="center")  # fmt: skip


def _figures_of(measures: Measures, target: str) -> str:
    parts = [f"clips: LCC {measures[target, 'utterance', 'LCC'].value:.3f}"]
    if system := measures.get((target, "system", "SRCC")):
        parts.append(f"systems: SRCC {system.value:.3f}")
    return "   ".join(parts)


def _panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes with spines at the left and below."""
    axes = place(figure, left, top, width, height)
    axes.spines[["top", "right"]].set_visible(False)
    return axes
