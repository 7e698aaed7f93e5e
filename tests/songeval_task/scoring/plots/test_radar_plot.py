"""Pictures: nothing overlaps or leaves the page, axes are named, eight songs are eight colours."""

import numpy as np
import pytest

from hear_aesthetics.plotting.style import save
from songeval_task.scoring.plots.radar_plot import score_figure
from songeval_task.scoring.plots.song_rows import MAX_SONGS, axis_limits, short_names

FIVE = ["Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"]
SEVEN = ["Melody", "Arrangement", "Musicality", "Vocal", "Instrumental", "Mixing", "Structure"]


def rows(count: int, dimensions: list[str], windows: int = 0) -> list[dict]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        scores = dict(zip(dimensions, rng.uniform(2.2, 4.3, len(dimensions)), strict=True))
        name = "a_title_of_the_length_that_song_generators_like_to_write" if index % 3 else "take"
        row = {"path": f"{index}/{name}_{index}.mp3", **scores, "mean": 3.0}
        if windows:
            times = [{"start": 10.0 * w, "end": 10.0 * w + 30} for w in range(windows + index)]
            row["timeline"] = [
                t | {d: scores[d] + rng.normal(0, 0.1) for d in dimensions} for t in times
            ]
        made.append(row)
    return made


@pytest.mark.parametrize("dimensions", [FIVE, SEVEN, ["Musicality"]], ids=["five", "seven", "one"])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("windows", [0, 9])
def test_no_text_overlaps_another_or_leaves_the_page(
    check_layout, dimensions, count, windows
) -> None:
    figure = score_figure(
        rows(count, dimensions, windows),
        dimensions,
        title="Song scores",
        subtitle="model large, head track2; after each name: the mean",
    )
    assert len(check_layout(figure)) > count


def test_curves_name_their_axes_with_units() -> None:
    figure = score_figure(rows(2, FIVE, windows=5), FIVE)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == [f"{name}\n(score)" for name in FIVE]
    assert "time (s)" in figure.axes[-1].get_xlabel()


def test_curves_share_a_scale_and_windows_cover_their_time() -> None:
    song = rows(1, FIVE)[0] | dict.fromkeys(FIVE, 3.0)
    windows = ((0.0, 30.0, 3.01), (10.0, 31.0, 2.99))
    song["timeline"] = [{"start": s, "end": e} | dict.fromkeys(FIVE, v) for s, e, v in windows]
    curves = score_figure([song], FIVE).axes[1:]
    assert len({axes.get_ylim() for axes in curves}) == 1
    low, high = curves[0].get_ylim()
    assert high - low >= 1
    for axes in curves:
        assert axes.get_xlim() == (0, 31)
        (bars,) = axes.collections
        drawn = [(*segment[:, 0], *segment[:, 1]) for segment in bars.get_segments()]
        assert drawn == [(s, e, v, v) for s, e, v in windows]


def test_windows_without_the_scores_of_the_picture_are_no_curves() -> None:
    song = rows(1, FIVE)[0] | {"timeline": [{"start": 0.0, "end": 30.0, "other:Clarity": 3.0}]}
    assert len(score_figure([song], FIVE).axes) == 1


def test_a_radar_shows_the_scores_where_they_belong() -> None:
    songs = rows(3, FIVE)
    figure = score_figure(songs, FIVE)
    for song, axes in zip(songs, figure.axes, strict=True):
        own = axes.lines[-1]
        np.testing.assert_allclose(own.get_ydata(), [song[d] for d in [*FIVE, FIVE[0]]])
        low, high = axes.get_ylim()
        assert low < min(own.get_ydata())
        assert max(own.get_ydata()) <= high
    assert len({axes.lines[-1].get_color() for axes in figure.axes}) == 3
    assert len({axes.get_ylim() for axes in figure.axes}) == 1  # one scale for all


def test_only_eight_songs_are_drawn() -> None:
    assert len(score_figure(rows(12, FIVE), FIVE).axes) == MAX_SONGS


def test_songs_without_timeline_are_drawn_beside_those_with_one() -> None:
    songs = rows(2, FIVE, windows=4)
    del songs[0]["timeline"]
    assert len(score_figure(songs, FIVE).axes) == 2 + len(FIVE)


def test_the_picture_is_a_png_of_readable_size(tmp_path) -> None:
    save(score_figure(rows(1, FIVE), FIVE, title="Song score"), tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    assert data[1:4] == b"PNG"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert 400 < height <= width < 2000


def test_names_are_short_and_tell_songs_apart() -> None:
    assert short_names(["a/take.wav", "b/take.wav", "c/" + "x" * 60 + "1.wav"])[:2] == [
        "a/take",
        "b/take",
    ]
    paths = ["x/1/mix.wav", "y/1/mix.wav", "x/2/mix.wav"]
    assert short_names(paths) == ["x/1/mix", "y/1/mix", "2/mix"]
    assert all(len(n) <= 26 for n in short_names(["y" * 90]))


@pytest.mark.parametrize("dimensions", [FIVE, ["Musicality"]], ids=["five", "one"])
@pytest.mark.parametrize("windows", [0, 9])
def test_intervals_are_bands_that_fit_the_axes(dimensions, windows) -> None:
    songs = rows(2, dimensions, windows)
    for song in songs:
        song |= {f"{d}_low": song[d] - 1 for d in dimensions}
        song |= {f"{d}_high": song[d] + 0.7 for d in dimensions}
    with_bands, without = (
        score_figure(part, dimensions, title="Song scores") for part in (songs, rows(2, dimensions))
    )
    low = min(song[f"{d}_low"] for song in songs for d in dimensions)
    scales = [
        axes.get_xlim() if len(dimensions) == 1 else axes.get_ylim()
        for axes in (with_bands.axes[0], without.axes[0])
    ]
    assert scales[0][0] <= low
    assert np.ptp(scales[0]) > np.ptp(scales[1])
    if windows:
        label = with_bands.axes[-1].xaxis.label.get_text()
        assert label.endswith("band: the interval of the whole song")


def test_names_with_dollar_signs_are_no_formulas(tmp_path) -> None:
    songs = rows(1, FIVE)
    songs[0]["path"] = r"$\frac$ and $x$.wav"
    save(score_figure(songs, FIVE), tmp_path / "radar.png")  # a formula so wrong would raise
    assert (tmp_path / "radar.png").is_file()


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([4.6, 4.9], (4, 5)),
        ([1.1, 1.2], (1, 2)),
        ([2.3, 4.1], (2, 4.5)),
        ([-0.2, 0.3], (-0.5, 0.5)),
    ],
)
def test_the_axis_of_near_scores_stays_within_their_scale(values, limits) -> None:
    assert axis_limits(np.array(values)) == limits
