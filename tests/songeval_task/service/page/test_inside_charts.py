"""Charts of embeddings: the map keeps distances, neighbours are the nearest, colours are themed."""

import re
from pathlib import Path

import numpy as np

from hear_aesthetics.plotting.style import COLOURS, INK
from songeval_task.service.page import inside_charts
from songeval_task.service.page.inside_charts import (
    neighbours,
    principal_components,
    song_map,
    song_svg,
)


def test_lines_of_the_page_have_the_colours_of_pictures() -> None:
    style = (Path(inside_charts.__file__).parent / "static/style.css").read_text()
    light, _, dark = style.partition(".dark {")
    for part in (light, dark):
        assert len(re.findall(r"--ha-line-\d: ", part)) == len(COLOURS)
    assert re.findall(r"--ha-line-\d: (#\w+);", light) == list(COLOURS)


def test_songs_in_a_plane_keep_their_distances() -> None:
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(16, 2)))[0]
    embeddings = rng.normal(size=(7, 2)) @ plane.T + 5
    points, shares = principal_components(embeddings)
    for array in (points, embeddings):
        array -= array.mean(axis=0)
    np.testing.assert_allclose(points @ points.T, embeddings @ embeddings.T, atol=1e-9)
    np.testing.assert_allclose(shares.sum(), 1)
    assert shares[0] > shares[1]


def test_songs_that_are_equal_have_a_map() -> None:
    drawn = song_map(["a", "b", "c"], np.ones((3, 4)))
    assert "nan" not in drawn
    assert drawn.count("<circle") == 3


def test_the_nearest_song_comes_first_and_names_are_escaped() -> None:
    names = ["<b>one</b>", "two", "three"]
    table = neighbours(names, np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
    first = re.search(r'<td class="text">(.*?)</td>', table)
    assert first
    assert first[1].startswith("<bdi>two</bdi> (0.995)<br><bdi>three</bdi> (0.000)")
    assert "<b>" not in table


def test_the_picture_of_a_song_takes_its_colours_from_the_page() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, 48_000).astype("f4")
    drawn = song_svg(waveform, rng.normal(size=(50, 8)).astype("f4"))
    assert "var(--ha-ink)" in drawn
    assert INK not in drawn
    assert "<style" not in drawn
    assert re.search(r"<text[^>]*>time \(s\)</text>", drawn)  # text, not outlines
