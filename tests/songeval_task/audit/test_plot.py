"""Picture: every variant has its line, inside the figure, whatever was measured."""

import numpy as np
import pytest
from matplotlib.image import imread

from hear_aesthetics.plotting.style import WIDTH
from songeval_task.audit import plot
from songeval_task.audit.effects import Effect
from songeval_task.audit.variants import VARIANTS


def effects(columns, change=0.3):
    return [
        Effect("h", column, v.name, v.group, 9, change, change - 0.1, change + 0.1, abs(change))
        for column in columns
        for v in VARIANTS
    ]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws, and returns the figure and its picture."""

    def draw(found, columns):
        figures = []
        save = plot.save
        monkeypatch.setattr(plot, "save", lambda fig, path: (figures.append(fig), save(fig, path)))
        panels = {column: column for column in columns}
        plot.draw_audit(tmp_path / "a.png", found, VARIANTS, panels, "subtitle")
        return figures[0], imread(tmp_path / "a.png")

    return draw


@pytest.mark.parametrize("count", [1, 2, 6, 8])
def test_nothing_reaches_the_edge_of_the_picture(drawn, count) -> None:
    columns = [f"Dimension {number}" for number in range(count)]
    figure, image = drawn(effects(columns), columns)
    assert len(figure.axes) == count
    edge = np.concatenate([image[:3].ravel(), image[-3:].ravel(), image[:, :3].ravel()])
    assert edge.min() == 1.0
    assert image[:, -3:].min() == 1.0
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == [v.name for v in VARIANTS]


def test_no_text_covers_another(drawn, check_layout) -> None:
    columns = ["mean", "Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"]
    figure, _ = drawn(effects(columns), columns)
    assert figure.get_figwidth() <= WIDTH
    assert set(columns) <= set(check_layout(figure))


def test_dots_lie_where_the_changes_are(drawn) -> None:
    figure, _ = drawn(effects(["mean"], change=-0.25), ["mean"])
    (axes,) = figure.axes
    places = [dots.get_offsets()[0] for dots in axes.collections if len(dots.get_offsets()) == 1]
    assert len(places) == len(VARIANTS)
    np.testing.assert_allclose([x for x, _ in places], -0.25)
    assert axes.get_xlim()[0] < -0.35


def test_a_variant_that_was_not_measured_says_so(drawn) -> None:
    figure, _ = drawn(effects(["mean"])[1:], ["mean"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("not measured") == 1
