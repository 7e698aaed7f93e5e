"""Picture of an audit: a dot with its interval per variant, under the headings of its family.

The band is 0.1 points wide to each side. Variants that move the column by more than what is worth a
word on average, also where ups and downs cancel, have another colour.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hear_aesthetics.plotting.style import (
    ACCENT,
    BLUE,
    FAINT,
    INK,
    MARGIN,
    QUIET,
    SMALL,
    WIDTH,
    new_figure,
    place,
    save,
)
from songeval_task.audit.effects import LIMIT, Effect
from songeval_task.audit.variants import Variant

__all__ = ["draw_audit"]

ROW, FAMILY = 0.14, 0.24  # inches: a variant, and the heading above a family
NAMES, BOTTOM, LEFT = 0.62, 0.42, 1.36  # of panels, of the scale, of variants
LETTER = 0.072  # of the name of a panel: one that is wider than its panel leans to the right
LEANING = 0.3  # that the last name leans beyond its panel
NARROWEST, GAP = 0.4, 0.07  # of a panel, between panels
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
    leans = LETTER * max(map(len, panels.values())) > (WIDTH - LEFT) / len(panels) - GAP
    right = LEANING if leans else MARGIN
    width = max(WIDTH, LEFT + len(panels) * (NARROWEST + GAP) - GAP + right)
    side = (width - LEFT - right + GAP) / len(panels) - GAP
    body = NAMES + depth + BOTTOM
    figure, top = new_figure(width, body, "Changes that are not the music", subtitle)
    for index, (column, title) in enumerate(panels.items()):
        axes = place(figure, LEFT + index * (side + GAP), top + NAMES, side, depth)
        _frame(axes, title, 40 if leans else 0, reach, depth)
        for variant in variants:
            _draw(axes, by_place.get((column, variant.name)), places[variant.name], reach)
        axes.set_yticks([])
        if index == 0:
            names = {y: name for name, y in places.items()}
            axes.set_yticks(list(names), list(names.values()))
            axes.tick_params(axis="y", length=0)
            unit = axes.text(-0.03 / side, -0.04 / depth, "points", transform=axes.transAxes)
            unit.set(size=SMALL, color=INK, ha="right", va="top")
            for family, y in headings.items():
                label = axes.text(-0.03 / side, y, family, transform=axes.get_yaxis_transform())
                label.set(size=SMALL, weight="bold", color=QUIET, ha="right", va="center")
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


def _frame(axes: Axes, title: str, angle: float, reach: float, depth: float) -> None:
    axes.set(xlim=(-reach, reach), ylim=(depth, 0))
    axes.axvspan(-LIMIT, LIMIT, color=FAINT, alpha=0.55, lw=0)
    axes.axvline(0, color=QUIET, lw=0.6)
    axes.annotate(
        title,
        *((0, 1), (2, 4), "axes fraction"),
        textcoords="offset points",
        rotation=angle,
        rotation_mode="anchor",
        size=SMALL,
        weight="bold",
        color=INK,
    )
    tick = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(0, reach)
    ends = max(t for t in tick if t <= 0.7 * reach)
    low = "" if angle else f"{-ends:g}"  # there is no room for both
    axes.set_xticks([-ends, 0, ends], [low, "", f"+{ends:g}"])  # the line says 0
    axes.grid(axis="x", color=FAINT, lw=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw(axes: Axes, effect: Effect | None, y: float, reach: float) -> None:
    if effect is None or effect.change is None:
        axes.text(0.03 * reach, y, "not measured", size=7, color=QUIET, va="center")
        return
    colour = ACCENT if effect.size > 1 else BLUE
    if effect.low is not None and effect.high is not None:
        axes.plot([effect.low, effect.high], [y, y], color=colour, lw=2, alpha=0.35)
    axes.scatter(effect.change, y, s=7, color=colour, lw=0, zorder=3)
