"""The protocol's figures: golden values, means, intervals, systems, answer files."""

import numpy as np
import pytest

from hear_aesthetics.errors import InputError
from hear_aesthetics.metrics.correlation import ktau, lcc, srcc, top_tier_f1
from songeval_task.dimensions import TRACKS
from songeval_task.protocol import (
    METRICS,
    SongPredictions,
    compare,
    evaluate,
    selection_score,
    write_scp,
)

SONGS = 30


def make(noise=0.5, seed=0, track="track2"):
    rng = np.random.default_rng(0)
    width = len(TRACKS[track].names)
    target = rng.uniform(1, 5, (SONGS, width))
    preds = target + np.random.default_rng(seed).normal(size=target.shape) * noise
    names = tuple(f"mp3/{i}.mp3" for i in range(SONGS))
    return SongPredictions(
        names, tuple(f"S{i % 5}" for i in range(SONGS)), preds, target, TRACKS[track]
    )


def test_figures_are_the_metrics_per_dimension_and_their_mean():
    found = make()
    figures = evaluate(found)["utterance"]
    expected = {
        "lcc": lcc(found.preds, found.target),
        "srcc": srcc(found.preds, found.target),
        "ktau": ktau(found.preds, found.target),
        "tta": top_tier_f1(found.preds, found.target, found.track.top_tier_thresholds),
    }
    for metric, values in expected.items():
        found_values = [figures[name][metric][0] for name in found.track.names]
        assert found_values == pytest.approx(values.tolist())
        assert figures["mean"][metric][0] == pytest.approx(values.mean())


def test_every_interval_holds_its_estimate():
    for level, figures in evaluate(make()).items():
        for name in (*TRACKS["track2"].names, "mean"):
            for metric in ("lcc", "srcc"):
                value, low, high = figures[name][metric]
                if np.isfinite([low, high]).all():
                    assert low <= value <= high
                else:
                    assert level == "system"  # equal ranks of five
                    assert value == pytest.approx(1)


def test_figures_at_the_edge_are_not_called_certain():
    found = make(track="track1")
    preds = np.repeat([[5.0], [1.0]], 6, axis=0)
    songs = found.songs[:12], found.systems[:12]
    perfect = evaluate(SongPredictions(*songs, preds, preds, found.track))["utterance"]
    wrong = evaluate(SongPredictions(*songs, 6 - preds, preds, found.track))["utterance"]
    assert perfect["mean"]["tta"][::2] == [1.0, 1.0]
    assert 0.6 < perfect["mean"]["tta"][1] < 0.8  # 6 cases
    assert wrong["mean"]["tta"][:2] == [0.0, 0.0]
    assert 0.3 < wrong["mean"]["tta"][2] < 0.5  # 12 cases
    assert np.isnan(perfect["mean"]["lcc"][1:]).all()


def test_the_mean_over_dimensions_is_surer_than_one_dimension():
    figures = evaluate(make())["utterance"]
    widths = {
        name: figures[name]["lcc"][2] - figures[name]["lcc"][1]
        for name in figures
        if name != "count"
    }
    assert widths["mean"] < min(width for name, width in widths.items() if name != "mean")


def test_systems_are_means_of_their_songs():
    found = make()
    systems = found.by_system()
    assert systems.songs == ("S0", "S1", "S2", "S3", "S4")
    assert systems.preds[0] == pytest.approx(found.preds[::5].mean(axis=0), abs=1e-6)


def test_without_a_system_for_every_song_there_is_no_system_level():
    found = make()
    unknown = SongPredictions(
        found.songs, ("", *found.systems[1:]), found.preds, found.target, found.track
    )
    assert set(evaluate(unknown)) == {"utterance"}


def test_a_better_model_is_better_with_an_interval_above_zero():
    difference = compare(make(0.2), make(1.5, seed=1))
    value, low, _ = difference["mean"]["lcc"]
    assert value > low > 0
    same = compare(make(), make())
    for metric in METRICS:
        np.testing.assert_array_equal(same["mean"][metric], [0.0, np.nan, np.nan])


def test_models_are_paired_by_song_not_by_place():
    found = make()
    turned = SongPredictions(
        found.songs[::-1], found.systems[::-1], found.preds[::-1], found.target[::-1], found.track
    )
    assert compare(found, turned)["mean"]["lcc"][0] == pytest.approx(0.0)


def test_models_of_other_songs_are_not_compared():
    found = make()
    other = SongPredictions(
        ("x", *found.songs[1:]), found.systems, found.preds, found.target, found.track
    )
    with pytest.raises(InputError, match="scored by one of the two models only"):
        compare(found, other)


def test_the_selection_score_is_the_mean_of_the_four_metrics():
    found = make()
    figures = evaluate(found)["utterance"]["mean"]
    expected = np.mean([figures[metric][0] for metric in METRICS])
    assert selection_score(found.preds, found.target, found.track) == pytest.approx(expected)
    rounded = np.mean([round(figures[metric][0], 3) for metric in METRICS])
    score = selection_score(found.preds, found.target, found.track, rounded=True)
    assert score == pytest.approx(rounded, abs=1e-12)


@pytest.mark.parametrize(("track", "fields"), [("track1", 2), ("track2", 6)])
def test_an_answer_file_has_a_line_per_song(tmp_path, track, fields):
    write_scp(tmp_path / "a.scp", make(track=track))
    lines = [line.split() for line in (tmp_path / "a.scp").read_text().splitlines()]
    assert [line[0] for line in lines] == [str(i) for i in range(SONGS)]
    assert {len(line) for line in lines} == {fields}


def test_two_songs_of_one_utterance_id_are_refused(tmp_path):
    found = make()
    names = ("other/1.wav", *found.songs[1:])
    with pytest.raises(InputError, match="two songs have the utterance id '1'"):
        write_scp(
            tmp_path / "a.scp",
            SongPredictions(names, found.systems, found.preds, found.target, found.track),
        )
