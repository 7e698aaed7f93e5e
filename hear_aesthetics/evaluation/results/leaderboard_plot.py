"""Heat map of a leaderboard: tasks by models, coloured by normalised score."""

import math
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from hear_aesthetics.evaluation.results.leaderboard import Leaderboard
from hear_aesthetics.evaluation.results.leaderboard_text import NORMALISED
from hear_aesthetics.evaluation.results.task_result import HEAR, MTEB
from hear_aesthetics.plotting.style import (
    COLD,
    INK,
    MARGIN,
    QUIET,
    SMALL,
    WIDTH,
    new_figure,
    place,
    save,
)

__all__ = ["draw_leaderboard"]

ROW, WIDE, NARROW = 0.34, 0.92, 0.3  # inches: a task, one of our models, a submission
LETTER = 0.06  # inches of a letter at the size of the labels
GAP, BAR, BAR_LABELS = 0.08, 0.09, 0.28
LONGEST_NAME = 34  # letters
SCALE = LinearSegmentedColormap.from_list("scale", COLD)


def draw_leaderboard(path: Path, board: Leaderboard) -> None:
    """Write a PNG: our models on the left with score and interval, then the official ones."""
    ours, others = list(board.models), _submissions(board)
    names = ours + others
    values, texts = _cells(board, others)
    widths = np.array([WIDE] * len(ours) + [NARROW] * len(others))
    left = 2 * MARGIN + LETTER * max(map(len, board.tasks))
    # The names lean to the right, at 40 degrees.
    labels_height = LETTER * 0.65 * max(len(_short(name)) for name in names) + MARGIN
    grid_width, grid_height = float(widths.sum()), ROW * len(board.tasks)
    reach = left + max(grid_width, *_reaches(names, widths))
    width = max(WIDTH, reach + GAP + BAR + BAR_LABELS + MARGIN)
    note = f"colour: normalised score; {NORMALISED[bool(others)]}"
    title = " and ".join(f"{name} tasks" for name in (HEAR, MTEB) if board.tasks_of(name))
    figure, top = new_figure(width, labels_height + grid_height + MARGIN, title, note)
    top += labels_height
    axes = place(figure, left, top, grid_width, grid_height)
    mesh = _draw_cells(axes, widths, values, texts)
    if others:
        axes.axvline(WIDE * len(ours), color=INK, lw=1.5)
    centres = np.cumsum(widths) - widths / 2
    labels = [_short(name) for name in names]
    axes.set_xticks(centres, labels, rotation=40, ha="left", rotation_mode="anchor", size=SMALL)
    for label in axes.get_xticklabels()[: len(ours)]:
        label.set_fontweight("bold")
    axes.set_yticks(np.arange(len(board.tasks)) + 0.5, board.tasks, size=SMALL)
    bar = place(figure, left + grid_width + GAP, top, BAR, grid_height)
    figure.colorbar(mesh, cax=bar).outline.set_visible(False)  # type: ignore[operator]
    bar.yaxis.set_major_formatter("{x:.1f}")  # plain text, in the font of the labels
    bar.tick_params(labelsize=SMALL, labelcolor=INK, color=QUIET, length=2)
    save(figure, path)


def _reaches(names: list[str], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far to the right the name of each column reaches, in inches."""
    centres = np.cumsum(widths) - widths / 2
    return centres + np.array([LETTER * 0.78 * len(_short(name)) for name in names])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _submissions(board: Leaderboard) -> list[str]:
    """Return the official models with a score on any of our tasks, the best first."""
    found: dict[str, list[float]] = {}
    for task in board.tasks:
        for model, score in board.submitted(task).items():
            found.setdefault(model, []).append(board.normalized(task, score))
    return sorted(found, key=lambda model: -fmean(found[model]))


def _cells(board: Leaderboard, others: list[str]) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Return normalised scores ``(tasks, models)``, NaN where there is none, and their texts."""
    values = np.full((len(board.tasks), len(board.models) + len(others)), np.nan)
    texts = [[""] * values.shape[1] for _ in board.tasks]
    for row, task in enumerate(board.tasks):
        for column, model in enumerate(board.models):
            if result := board.results.get((task, model)):
                values[row, column] = board.normalized(
                    task, result.score, higher_is_better=result.higher_is_better
                )
                texts[row][column] = result.describe().replace(" ", "\n", 1)
        submitted = board.submitted(task)
        for column, model in enumerate(others, start=len(board.models)):
            if model in submitted:
                values[row, column] = board.normalized(task, submitted[model])
                texts[row][column] = f"{submitted[model]:.2f}"
    return values, texts


def _draw_cells(
    axes: Axes, widths: NDArray[np.float64], values: NDArray[np.float64], texts: list[list[str]]
) -> QuadMesh:
    borders = np.concatenate([[0], np.cumsum(widths)])
    rows = np.arange(len(values) + 1)
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(borders, rows, shown, cmap=SCALE, vmin=0, vmax=1, edgecolors="white")
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value) and not texts[row][column]:
            continue
        axes.text(
            (borders[column] + borders[column + 1]) / 2,
            row + 0.5,
            texts[row][column],
            ha="center",
            va="center_baseline",
            size=7,
            linespacing=1.1,
            color="white" if value > 0.55 else INK,
        )
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return mesh
