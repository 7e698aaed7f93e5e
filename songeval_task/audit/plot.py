"""Picture of an audit: a dot with its interval per variant, under the headings of its family.

The band is 0.1 points wide to each side. Variants that move the column by more than what is worth a
word on average, also where ups and downs cancel, have another colour.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from hear_aesthetics.plotting.style import (
    ACCENT,
    BLUE,
    FAINT,
    INK,
    QUIET,
    new_figure,
    place,
    save,
)
from songeval_task.audit.effects import LIMIT, Effect
from songeval_task.audit.variants import Variant

__all__ = ["draw_audit"]

ROW, FAMILY = 0.19, 0.3  # inches: a variant, and the heading above a family
TOP, BOTTOM, LEFT, RIGHT = 1.25, 0.55, 1.75, 0.2
WIDTH, NARROWEST, GAP = 10.7, 1.2, 0.17  # of the figure, of a panel, between panels
ROOM = 1.08  # of an axis over what it shows


def draw_audit(
    path: Path,
    effects: Sequence[Effect],
    variants: Sequence[Variant],
    panels: Mapping[str, str],
    subtitle: str,
) -> None:
    """Write a PNG: a panel per column, on one scale, a line per variant.

    Args:
        path: The file.
        effects: Effects; those of other columns are left out.
        variants: Variants in their order.
        panels: Column -> title of its panel.
        subtitle: Line below the title.
    """
    by_place = {(effect.column, effect.variant): effect for effect in effects}
    shown = [e for e in effects if e.column in panels and e.change is not None]
    ends = [x for e in shown for x in (e.change, e.low, e.high) if x is not None]
    reach = ROOM * max([LIMIT, *map(abs, ends)])
    places, headings, depth = _lines(variants)
    side = max((WIDTH - LEFT - RIGHT + GAP) / len(panels) - GAP, NARROWEST)
    width = LEFT + len(panels) * (side + GAP) - GAP + RIGHT
    figure = new_figure(width, TOP + depth + BOTTOM, "Changes that are not the music", subtitle)
    for index, (column, title) in enumerate(panels.items()):
        axes = place(figure, LEFT + index * (side + GAP), TOP, side, depth)
        _frame(axes, title, reach, depth)
        for variant in variants:
            _draw(axes, by_place.get((column, variant.name)), places[variant.name], reach)
        axes.set_yticks([])
        if index == 0:
            names = {y: name for name, y in places.items()}
            axes.set_yticks(list(names), list(names.values()), fontsize=8)
            axes.tick_params(axis="y", length=0)
            for family, y in headings.items():
                label = axes.text(-0.07 / side, y, family, transform=axes.get_yaxis_transform())
                label.set(size=8, weight="bold", color=QUIET, ha="right", va="center")
    save(figure, path)


def _lines(variants: Sequence[Variant]) -> tuple[dict[str, float], dict[str, float], float]:
    """Return the depths of variants and of headings in inches, and the depth of all."""
    places: dict[str, float] = {}
    headings: dict[str, float] = {}
    depth = 0.0
    for variant in variants:
        if variant.family not in headings:
            headings[variant.family] = depth + FAMILY - ROW / 2
            depth += FAMILY
        places[variant.name] = depth + ROW / 2
        depth += ROW
    return places, headings, depth + ROW / 2


def _frame(axes: Axes, title: str, reach: float, depth: float) -> None:
    axes.set(xlim=(-reach, reach), ylim=(depth, 0))
    axes.axvspan(-LIMIT, LIMIT, color=FAINT, alpha=0.55, lw=0)
    axes.axvline(0, color=QUIET, lw=0.8)
    axes.set_title(title, size=9.5, weight="bold", color=INK, loc="left")
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw(axes: Axes, effect: Effect | None, y: float, reach: float) -> None:
    if effect is None or effect.change is None:
        axes.text(0.03 * reach, y, "not measured", size=6.5, color=QUIET, va="center")
        return
    colour = ACCENT if effect.size > 1 else BLUE
    if effect.low is not None and effect.high is not None:
        axes.plot([effect.low, effect.high], [y, y], color=colour, lw=3, alpha=0.35)
    axes.scatter(effect.change, y, s=14, color=colour, lw=0, zorder=3)
