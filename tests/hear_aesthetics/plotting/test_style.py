"""The style of pictures: colours that differ for everyone, titles that keep within the page."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hear_aesthetics.plotting.style import COLOURS, WIDTH, new_figure

# What those see who lack the cones for red, green or blue, in linear RGB (Machado et al., 2009).
SEEN = {
    "all": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)
APART = 15  # in CIELAB; 2.3 is just noticeable side by side


def lab(colour: str, seen: object) -> np.ndarray:
    """Lightness and the two opponent colours as somebody sees a colour."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(TO_XYZ @ np.clip(np.array(seen) @ linear, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_any_two_colours_differ(seen) -> None:
    for one, other in combinations(COLOURS, 2):
        assert np.linalg.norm(lab(one, seen) - lab(other, seen)) > APART, (one, other)


def test_long_subtitles_are_broken_and_make_room(check_layout) -> None:
    subtitle = "model large, head track2; below each name: the mean; bands: 90 % intervals " * 2
    figure, top = new_figure(WIDTH, 1, "Song scores", subtitle)
    assert len(check_layout(figure)) > 2
    lowest = min(text.get_window_extent().y0 for text in figure.texts)
    assert lowest >= figure.dpi * (figure.get_figheight() - top)


def test_without_a_title_nothing_is_left_free_for_one() -> None:
    assert new_figure(WIDTH, 1, "")[1] < new_figure(WIDTH, 1, "Song scores")[1]
