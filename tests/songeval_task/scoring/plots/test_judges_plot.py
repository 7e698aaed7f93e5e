"""The picture of several scorers: a panel and a scale for each, songs told apart, nothing lost."""

import numpy as np
import pytest

from songeval_task.scoring.plots.judges_plot import judges_figure

GROUPS = {
    "track2": ["Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"],
    "audiobox": ["audiobox:CE", "audiobox:CU", "audiobox:PC", "audiobox:PQ"],
    "muq-eval": ["muq-eval:MI", "muq-eval:TA"],
    "track1": ["track1:Musicality"],
}
MEANS = {"track2": "mean"} | {name: f"{name}:mean" for name in list(GROUPS)[1:]}


def rows(count: int, windows: int = 0, *, bands: bool = False) -> list[dict]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        row = {"path": f"{index}/a_title_as_song_generators_like_to_write_them_{index}.mp3"}
        for name, columns in GROUPS.items():
            row |= {
                column: rng.uniform(*(4, 9) if name == "audiobox" else (2, 4)) for column in columns
            }
            row[MEANS[name]] = float(np.mean([row[column] for column in columns]))
        if bands:
            for column in [*GROUPS["track2"], "mean"]:
                row |= {f"{column}_low": row[column] - 1, f"{column}_high": row[column] + 0.7}
        if windows:
            row["timeline"] = [
                {"start": 10.0 * w, "end": 10.0 * w + 30}
                | {c: row[c] + 0.1 * w for columns in GROUPS.values() for c in columns}
                for w in range(windows + index)
            ]
        made.append(row)
    return made


def panels(figure) -> dict:
    """Name of a scorer -> its panel."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("windows", [0, 9])
@pytest.mark.parametrize("bands", [False, True])
def test_no_text_overlaps_another_or_leaves_the_page(check_layout, count, windows, bands) -> None:
    made = rows(count, windows, bands=bands)
    figure = judges_figure(made, GROUPS, MEANS, title="Song scores", subtitle="each on its scale")
    texts = check_layout(figure)
    assert set(GROUPS) | {"CE", "TA", "Musicality"} <= set(texts)
    assert len([text for text in texts if text.startswith("a_title")]) == count


def test_every_scorer_has_a_panel_with_all_its_scores() -> None:
    """`--plot` with two heads once drew the first alone."""
    songs = rows(3)
    drawn = panels(judges_figure(songs, GROUPS, MEANS))
    assert list(drawn) == list(GROUPS)
    for name, axes in drawn.items():
        columns = [*GROUPS[name], *([MEANS[name]] if len(GROUPS[name]) > 1 else [])]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == [column.removeprefix(f"{name}:") for column in columns]
        dots = [line for line in axes.lines if line.get_marker() not in ("None", "")]
        for song, line in zip(songs, dots, strict=True):
            np.testing.assert_allclose(line.get_xdata(), [song[column] for column in columns])
            low, high = axes.get_xlim()
            assert low < min(line.get_xdata()) <= max(line.get_xdata()) < high


def test_scales_are_those_of_each_scorer() -> None:
    drawn = panels(judges_figure(rows(8), GROUPS, MEANS))
    assert drawn["audiobox"].get_xlim()[1] > 8
    assert drawn["muq-eval"].get_xlim()[1] < 5


def test_songs_differ_in_colour_and_in_marker_and_not_in_place_by_panel() -> None:
    for axes in panels(judges_figure(rows(8), GROUPS, MEANS)).values():
        dots = [line for line in axes.lines if line.get_marker() not in ("None", "")]
        assert len({line.get_color() for line in dots}) == 8
        assert len({line.get_marker() for line in dots}) == 8


def test_the_mean_of_each_scorer_is_drawn_over_time_on_a_scale_of_its_own() -> None:
    songs = rows(1, windows=3)
    figure = judges_figure(songs, GROUPS, MEANS)
    curves = {axes.get_ylabel(): axes for axes in figure.axes if axes.get_ylabel()}
    assert list(curves) == [f"{name}\n(mean)" for name in GROUPS]
    for name, axes in zip(GROUPS, curves.values(), strict=True):
        expected = [songs[0][MEANS[name]] + 0.1 * w for w in range(3)]
        np.testing.assert_allclose(axes.lines[-1].get_ydata(), expected)
    assert len({axes.get_ylim() for axes in curves.values()}) > 1


def test_a_scorer_without_windows_has_no_curve() -> None:
    (song,) = rows(1, windows=2)
    for window in song["timeline"]:
        for column in GROUPS["audiobox"]:
            del window[column]
    figure = judges_figure([song], GROUPS, MEANS)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["track2\n(mean)", "muq-eval\n(mean)", "track1\n(mean)"]


def test_only_eight_songs_are_drawn() -> None:
    figure = judges_figure(rows(11), GROUPS, MEANS)
    assert len(figure.legends[0].get_texts()) == 8
