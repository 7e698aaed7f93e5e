"""Charts: they show the numbers they are given, escape names, and take what scorers leave out."""

import re

import numpy as np
import pytest

from songeval_task.service.page.charts import PEAKS, peaks, radar, song_view
from songeval_task.service.page.inside_charts import neighbours
from songeval_task.service.page.songs import Song, line_html

FIVE = ("Coherence", "Musicality", "Memorability", "Clarity", "Naturalness")
HOSTILE = '<script>alert("1")</script>.wav'


def song(name: str = "song.wav", dimensions: tuple[str, ...] = FIVE, **more) -> Song:
    scores = {dimension: 2.0 + index / 2 for index, dimension in enumerate(dimensions)}
    row = {"path": name, "status": "ok", "duration": 40.0, "mean": 3.0, **scores, **more}
    return Song("id-1", name, row, peaks(np.sin(np.linspace(0, 99, 9000), dtype="f4")))


def windows(*spans: tuple[float, float, float]) -> list[dict]:
    return [{"start": a, "end": b, **dict.fromkeys(FIVE, value)} for a, b, value in spans]


@pytest.mark.parametrize("samples", [1, 599, 601, 100_000])
def test_peaks_hold_the_extremes_of_waveforms_of_any_length(samples: int) -> None:
    waveform = np.random.default_rng(0).normal(size=samples).astype("f4")
    low, high = peaks(waveform)
    assert low.shape == high.shape == (PEAKS,)
    assert low.min() == waveform.min()
    assert high.max() == waveform.max()


@pytest.mark.parametrize("draw", [lambda s: radar([s], FIVE), lambda s: song_view(s, FIVE)])
def test_names_are_escaped(draw) -> None:
    drawn = draw(song(HOSTILE))
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn


@pytest.mark.parametrize("name", ["jpg.\u202evaw", "\u05e9\u05dc\u05d5\u05dd"])
def test_a_name_from_right_to_left_turns_no_number(name) -> None:
    embeddings = np.eye(3)[:, :2]
    drawn = [radar([song(name)], FIVE), neighbours([name, "b", "c"], embeddings)]
    drawn.append(line_html(f"{name}: no audio"))
    for text in drawn:
        shown = re.sub(r'(aria-label|title)="[^"]*"', "", text)
        assert name in shown
        assert shown.count(name) == shown.count(f"<bdi>{name}</bdi>")


def test_a_radar_has_a_corner_per_dimension_and_says_its_numbers() -> None:
    drawn = radar([song(), song("other.wav")], FIVE)
    corners = [len(points.split()) for points in re.findall(r'points="([^"]+)"', drawn)]
    assert corners == [5] * 4  # each song and, in grey, the other
    assert "Coherence 2.00, Musicality 2.50" in drawn


@pytest.mark.parametrize("span", [0.4, 2.0, 4.0, 8.5, 10.0])
def test_rings_are_few_and_every_name_is_inside_the_picture(span: float) -> None:
    names = ("CE", "CU", "PC", "PQ")  # of four, one is at the bottom
    scores = dict(zip(names, (2.0, 2.0, 2.0, 2.0 + span), strict=True))
    drawn = radar([song(dimensions=names, **scores)], names)
    assert 1 <= drawn.count("<circle") <= 6
    height = float(re.search(r'viewBox="0 0 \d+ (\d+)"', drawn)[1])
    assert all(float(y) <= height - 4 for y in re.findall(r'<text x="[^"]+" y="([^"]+)"', drawn))


def test_two_dimensions_become_scales() -> None:
    drawn = radar([song(dimensions=FIVE[:2])], FIVE[:2])
    assert drawn.count('class="dot"') == 2
    assert "<polygon" not in drawn


def test_intervals_are_bands_in_radar_and_curves() -> None:
    ends = {f"{name}{end}": 2.0 + up for name in FIVE for end, up in (("_low", 0), ("_high", 1))}
    calibrated = song(**ends)
    assert 'class="band"' in radar([calibrated], FIVE)
    view = song_view(calibrated, FIVE)
    assert view.count('class="band"') == len(FIVE)
    assert "2.00 to 3.00" in view
    assert "band" not in song_view(song(), FIVE)


def test_curves_lie_over_their_windows_on_the_axis_of_the_waveform() -> None:
    view = song_view(song(timeline=windows((0, 30, 2.0), (10, 40, 4.0))), FIVE)
    bars = re.findall(r'class="bar" x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)"', view)
    assert bars[:2] == [("0.0", "96.0", "750.0"), ("250.0", "4.0", "1000.0")]
    assert view.count('class="curve"') == len(FIVE)


def test_strips_say_what_a_stretch_adds() -> None:
    parts = windows((0, 10, -0.25), (10, 40, 0.5))  # changes of the score without it
    view = song_view(song(explain=parts), FIVE)
    assert 'class="up" style="left: 0.00%; width: 25.00%; --strength: 0.50"' in view
    assert 'title="Clarity, 0:00 to 0:10: +0.25"' in view
    assert 'title="Clarity, 0:10 to 0:40: -0.50"' in view


def test_a_song_whose_scorer_has_no_windows_is_drawn_without_curves() -> None:
    nothing = [{"start": 0.0, "end": 10.0, **dict.fromkeys(FIVE)}]
    for more in ({}, {"timeline": [], "explain": []}, {"explain": nothing}):
        view = song_view(song(**more), FIVE)
        assert 'class="curve"' not in view
        assert "ha-strip" not in view
        assert view.count("ha-label") == 1 + len(FIVE)
