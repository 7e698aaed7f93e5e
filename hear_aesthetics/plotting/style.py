"""Style of all pictures: colours, figures with a title, panels placed in inches, PNG files.

Figures are made without pyplot: they need no display and leave the caller's figures and settings
alone.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hear_aesthetics.files import atomic_file

__all__ = [
    *("ACCENT", "BLUE", "COLD", "COLOURS", "DIVERGING", "FAINT", "INK", "LIGHT", "QUIET"),
    *("literal", "new_figure", "place", "png", "save"),
]

DPI = 150
INK, QUIET, FAINT = "#20242c", "#6a7180", "#dde0e6"  # text, axes, grids
BLUE, ACCENT, LIGHT = "#2f5d8a", "#c8642b", "#6f9fc8"
COLOURS = (
    *(BLUE, ACCENT, "#3f8f73", "#8a5a9e"),
    *("#b08a2e", "#5d6b7a", "#56a5d6", "#b5476f"),
)
COLD = ("#f6f3ee", "#9dc3e0", "#2f6aa8", "#0f2747")  # stops of a scale from nothing to all
DIVERGING = (*reversed(COLD), "#f2b98a", ACCENT, "#641e0b")
MARGIN = 0.25  # inches, left of a title
TITLE, SUBTITLE = 0.42, 0.68  # inches from the upper edge


def new_figure(
    width: float, height: float, title: str, subtitle: str = "", *, left: float = MARGIN
) -> Figure:
    """Return a white figure, in inches, with a title that begins ``left`` of the edge."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    across = left / width
    figure.text(across, 1 - TITLE / height, title, size=15, weight="bold", color=INK)
    figure.text(across, 1 - SUBTITLE / height, subtitle, size=9.5, color=QUIET)
    return figure


def place(
    figure: Figure, left: float, top: float, width: float, height: float, **kind: Any
) -> Axes:
    """Return new axes, placed in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    box = (left / across, 1 - (top + height) / down, width / across, height / down)
    axes: Axes = figure.add_axes(box, **kind)
    axes.tick_params(color=QUIET, labelcolor=INK, labelsize=9, length=3, width=0.8)
    for spine in axes.spines.values():
        spine.set(color=QUIET, linewidth=0.8)
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
