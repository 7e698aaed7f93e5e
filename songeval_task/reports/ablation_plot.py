"""Plot of an ablation: a row of points with intervals per metric, published ones beside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.plotting.style import (
    ACCENT,
    BLUE,
    FAINT,
    INK,
    MARGIN,
    NAME,
    SMALL,
    WIDTH,
    new_figure,
    place,
    save,
)
from songeval_task.protocol import METRICS

__all__ = ["draw_ablation"]

# Inches.
ROW, HEADING, ABOVE, BELOW = 0.165, 0.24, 0.2, 0.24
LEFT, BETWEEN = 1.08, 0.16
COLUMNS = 2


def draw_ablation(
    path: Path, figures: Mapping[str, Any], published: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write a PNG: a panel per track and metric, a line per row.

    Args:
        path: The file.
        figures: track -> row -> ``"value"``, ``"seeds"``, as ``summarize`` returns them.
        published: track -> row -> metric -> figure.
    """
    height = ROW * len(next(iter(figures.values()))) + 0.1
    line_height = ABOVE + height + BELOW
    track_height = HEADING + -(-len(METRICS) // COLUMNS) * line_height
    subtitle = (
        "stroke: mean over seeds; bar: its 95 % interval over songs; dots: seeds; "
        "diamond: published, on other songs"
    )
    figure, first = new_figure(WIDTH, len(figures) * track_height, "Ablation", subtitle)
    side = (WIDTH - LEFT - MARGIN - (COLUMNS - 1) * BETWEEN) / COLUMNS
    for number, (track, rows) in enumerate(figures.items()):
        top = first + number * track_height
        heading = place(figure, MARGIN, top, WIDTH - 2 * MARGIN, HEADING)
        heading.set_axis_off()
        heading.text(0, 0.5, track, size=NAME, weight="bold", color=INK, va="center")
        for index, metric in enumerate(METRICS):
            line, column = divmod(index, COLUMNS)
            down = top + HEADING + ABOVE + line * line_height
            axes = place(figure, LEFT + column * (side + BETWEEN), down, side, height)
            for position, (name, found) in enumerate(rows.items()):
                value, low, high = found["value"][metric]
                axes.plot([low, high], [position] * 2, color=BLUE, lw=3.5, alpha=0.3)
                seeds = found["seeds"][metric]
                axes.scatter(seeds, [position] * len(seeds), s=6, color=BLUE, lw=0)
                axes.plot([value] * 2, [position - 0.3, position + 0.3], color=INK, lw=1.3)
                reference = published[track][name][metric]
                axes.scatter(reference, position, marker="D", s=11, fc="white", ec=ACCENT, lw=0.9)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_yticks(np.arange(len(rows)), list(rows) if column == 0 else [])
            axes.tick_params(axis="y", length=0)
            axes.locator_params(axis="x", nbins=5)
            axes.set_title(metric.upper(), size=SMALL, weight="bold", color=INK, loc="left", pad=3)
            axes.grid(axis="x", color=FAINT, lw=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right", "left"]].set_visible(False)
    save(figure, path)
