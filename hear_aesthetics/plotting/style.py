"""Style of all pictures: colours, figures with a title, panels placed in inches, PNG files.

Pictures are ``WIDTH`` wide where their content lets them: printed in a column of 3.3 inches their
smallest text has 5 points. Figures are made without pyplot: they need no display and leave the
caller's figures and settings alone.
"""

import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hear_aesthetics.files import atomic_file

__all__ = [
    *("ACCENT", "BLUE", "COLD", "COLOURS", "DIVERGING", "FAINT", "INK", "LIGHT", "QUIET"),
    *("MARGIN", "NAME", "SMALL", "TEXT", "WIDTH"),
    *("literal", "new_figure", "place", "png", "save"),
]

DPI = 300
WIDTH, MARGIN = 4.6, 0.12  # inches: of a picture, and around what is in it
NAME, TEXT, SMALL = 9.5, 8.5, 7.5  # points: names of panels, labels of axes, all else
INK, QUIET, FAINT = "#20242c", "#6a7180", "#dde0e6"  # text, axes, grids
BLUE, ACCENT, LIGHT = "#2f5d8a", "#c8642b", "#6f9fc8"
# Any two differ also for those who see no red, no green or no blue; those of the page are the same.
COLOURS = (
    *(BLUE, ACCENT, "#6aa37a", "#9078d0"),
    *("#cf9a12", "#5f5a55", "#49b4d8", "#431f10"),
)
COLD = ("#f6f3ee", "#9dc3e0", "#2f6aa8", "#0f2747")  # stops of a scale from nothing to all
DIVERGING = (*reversed(COLD), "#f2b98a", ACCENT, "#641e0b")
TITLE = 11  # points
TITLE_LINE, LINE, LETTER = 0.24, 0.145, 0.058  # inches: a title, small text, a letter of it


def new_figure(width: float, body: float, title: str, subtitle: str = "") -> tuple[Figure, float]:
    """Return a white figure, and how far below its upper edge its body begins.

    Args:
        width: Inches.
        body: Inches below the title.
        title: First line; none if empty.
        subtitle: Small text below it, broken into lines.
    """
    lines = textwrap.wrap(subtitle, max(20, int((width - 2 * MARGIN) / LETTER)))
    top = MARGIN + TITLE_LINE * bool(title) + LINE * len(lines) + MARGIN
    height = top + body
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    left, above = MARGIN / width, 1 - MARGIN / height
    figure.text(left, above, title, size=TITLE, weight="bold", color=INK, va="top")
    for number, line in enumerate(lines):
        down = (TITLE_LINE * bool(title) + LINE * number) / height
        figure.text(left, above - down, line, size=SMALL, color=QUIET, va="top")
    return figure, top


def place(
    figure: Figure, left: float, top: float, width: float, height: float, **kind: Any
) -> Axes:
    """Return new axes, placed in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    box = (left / across, 1 - (top + height) / down, width / across, height / down)
    axes: Axes = figure.add_axes(box, **kind)
    axes.tick_params(color=QUIET, labelcolor=INK, labelsize=SMALL, length=2.5, width=0.6, pad=2)
    for spine in axes.spines.values():
        spine.set(color=QUIET, linewidth=0.6)
    return axes


def literal(text: str) -> str:
    """Return text that matplotlib writes as it is: dollar signs begin no formula."""
    return text.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """Return a PNG, equal for equal figures."""
    picture = BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": "hear-aesthetics"})
    return picture.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write :func:`png` to a file."""
    with atomic_file(path) as file:
        file.write(png(figure))
