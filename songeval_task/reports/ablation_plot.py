"""Plot of an ablation: a row of points with intervals per metric, published ones beside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.plotting.style import COLOURS, FAINT, INK, QUIET, new_figure, place, save
from songeval_task.protocol import METRICS

__all__ = ["draw_ablation"]

WIDTH, ROW, GAP, TOP, LEFT = 11.0, 0.3, 0.95, 1.35, 1.75


def draw_ablation(
    path: Path, figures: Mapping[str, Any], published: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write a PNG: a panel per track and metric, a line per row.

    Args:
        path: The file.
        figures: track -> row -> ``"value"``, ``"seeds"``, as ``summarize`` returns them.
        published: track -> row -> metric -> figure.
    """
    height = ROW * len(next(iter(figures.values()))) + 0.2
    total = TOP + len(figures) * (height + GAP)
    subtitle = "bar: 95 % interval over songs; dots: seeds; diamond: published, other songs"
    figure = new_figure(WIDTH, total, "Ablation", subtitle)
    side = (WIDTH - LEFT - 0.3) / len(METRICS)
    for line, (track, rows) in enumerate(figures.items()):
        top = TOP + line * (height + GAP)
        for column, metric in enumerate(METRICS):
            axes = place(figure, LEFT + column * side, top, side - 0.25, height)
            for position, (name, found) in enumerate(rows.items()):
                value, low, high = found["value"][metric]
                axes.plot([low, high], [position] * 2, color=COLOURS[column], lw=5, alpha=0.25)
                seeds = found["seeds"][metric]
                axes.scatter(seeds, [position] * len(seeds), s=9, color=COLOURS[column], lw=0)
                axes.plot([value] * 2, [position - 0.3, position + 0.3], color=INK, lw=1.6)
                reference = published[track][name][metric]
                axes.scatter(reference, position, marker="D", s=15, fc="white", ec=QUIET, lw=0.9)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_yticks(np.arange(len(rows)), list(rows) if column == 0 else [])
            axes.tick_params(axis="y", length=0)
            title = f"{track}   {metric.upper()}" if column == 0 else metric.upper()
            axes.set_title(title, size=10.5, weight="bold", color=INK, loc="left")
            axes.grid(axis="x", color=FAINT, lw=0.8)
            axes.set_axisbelow(True)
            axes.spines[["top", "right", "left"]].set_visible(False)
    save(figure, path)
