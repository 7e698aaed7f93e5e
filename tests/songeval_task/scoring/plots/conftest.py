"""Check of a picture's layout, shared by the tests of all pictures of scores."""

from collections.abc import Callable
from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text


def drawn_texts(figure: Figure) -> list[Text]:
    """All text on the page; matplotlib also keeps tick labels beyond the ends of an axis."""
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        titles = axes.title, axes._left_title, axes._right_title
        texts += [*titles, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            places = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
            texts += [label for at, label in places if min(limits) <= at <= max(limits)]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


@pytest.fixture(scope="session")
def check_layout() -> Callable[[Figure], list[str]]:
    """Fails where a text leaves the page or overlaps another; returns all texts."""

    def check(figure: Figure) -> list[str]:
        figure.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
        page = figure.bbox
        for text, box in boxes:
            across = page.x0 <= box.x0 and box.x1 <= page.x1
            inside = across and page.y0 <= box.y0 <= box.y1 <= page.y1
            assert inside, f"{text!r} leaves the page"
        for (one, a), (other, b) in combinations(boxes, 2):
            assert not a.padded(-1).overlaps(b.padded(-1)), f"{one!r} overlaps {other!r}"
        return [text for text, _ in boxes]

    return check
