"""Agreement of raters: what is known of simulated raters, and a line where nothing is known."""

import json

import numpy as np
import pytest

from hear_aesthetics.metrics import lcc, top_tier_f1
from songeval_task.data.prepared import PreparedSong, write_prepared
from songeval_task.dimensions import DIMENSIONS, TRACKS
from songeval_task.protocol import SongPredictions
from songeval_task.reports.rater_agreement import Ratings, agreement, ratings_of
from songeval_task.reports.read_predictions import NamedPredictions
from songeval_task.reports.report import write_report

TRACK = TRACKS["track2"]
NAMES = [dimension.name for dimension in DIMENSIONS]


def simulate(songs: int, raters: int = 4, noise: float = 1.0, seed: int = 0) -> np.ndarray:
    """True qualities of unit variance and raters whose errors have a variance of ``noise``^2."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(songs, 1, 5))
    return true + noise * rng.normal(size=(songs, raters, 5))


def test_reliability_and_ceiling_are_those_of_the_model():
    found = agreement(Ratings(simulate(500), 0), TRACK)
    for name in (*NAMES, "mean"):
        assert found[name]["reliability"][0] == pytest.approx(4 / 5, abs=0.05)
        assert found[name]["lcc_ceiling"][0] == pytest.approx((4 / 5) ** 0.5, abs=0.03)
        one, others = 1 + 1, 1 + 1 / 3  # variances of a rater, and of the mean of three
        assert found[name]["lcc"][0] == pytest.approx(1 / (one * others) ** 0.5, abs=0.06)


def test_a_model_that_knows_the_truth_reaches_the_ceiling():
    rng = np.random.default_rng(5)
    true = rng.normal(size=(500, 1, 5))
    values = true + rng.normal(size=(500, 4, 5))
    reached = lcc(true[:, 0], values.mean(axis=1)).mean()
    assert agreement(Ratings(values, 0), TRACK)["mean"]["lcc_ceiling"][0] == pytest.approx(
        reached, abs=0.02
    )


def test_intervals_of_reliability_hold_it():
    held = [
        low <= 4 / 5 <= high
        for seed in range(20)
        for _, low, high in [
            agreement(Ratings(simulate(40, seed=seed), 0), TRACK)["Clarity"]["reliability"]
        ]
    ]
    assert np.mean(held) >= 0.85


def test_intervals_of_reliability_end_at_1():
    """Few songs and raters who agree well: the interval is wide, and its scale ends."""
    few = agreement(Ratings(simulate(10), 0), TRACK)
    assert all(few[name]["reliability"][2] <= 1 for name in NAMES)


def test_raters_are_left_out_one_by_one():
    values = np.clip(3 + simulate(40, raters=3), 1, 5).round()
    found = agreement(Ratings(values, 0), TRACK)["Clarity"]
    pairs = [(values[:, r], np.delete(values, r, axis=1).mean(axis=1)) for r in range(3)]
    place = NAMES.index("Clarity")
    assert found["lcc"][0] == pytest.approx(np.mean([lcc(*pair)[place] for pair in pairs]))
    tops = [top_tier_f1(*pair, TRACK.top_tier_thresholds)[place] for pair in pairs]
    assert found["tta"][0] == pytest.approx(np.mean(tops))
    assert found["lcc"][1] < found["lcc"][0] < found["lcc"][2]


def test_raters_who_agree_on_nothing_are_of_no_use():
    found = agreement(Ratings(np.random.default_rng(0).normal(size=(200, 4, 5)), 0), TRACK)
    assert found["mean"]["reliability"][0] < 0.25


def prepared(folder, values, keep=slice(None)):
    songs = [
        PreparedSong(
            *(
                f"mp3/{i}.mp3",
                tuple(song.mean(axis=0).tolist()),
                len(song),
                "",
                "test",
                "0" * 64,
                1.0,
            ),
            ratings=tuple(map(tuple, song[keep].tolist())),
        )
        for i, song in enumerate(values)
    ]
    return write_prepared(folder, folder, songs, [], {}).folder


def test_songs_with_fewer_raters_are_left_out_and_counted(tmp_path):
    values = [*simulate(6), simulate(1, raters=2)[0], simulate(1, raters=5)[0]]
    names = [f"mp3/{i}.mp3" for i in range(8)]
    found = ratings_of(prepared(tmp_path / "p", values), names, TRACKS["track1"])
    assert found.values.shape == (7, 4, 1)
    assert found.left_out == 1
    assert found.values[0, :, 0].tolist() == values[0][:, NAMES.index("Musicality")].tolist()


def test_what_is_not_known_is_one_line(tmp_path):
    names = [f"mp3/{i}.mp3" for i in range(6)]
    assert "--data" in ratings_of(None, names, TRACK)
    plain = prepared(tmp_path / "plain", simulate(6), slice(0))
    assert "holds no single ratings" in ratings_of(plain, names, TRACK)
    alone = prepared(tmp_path / "alone", simulate(6), slice(1))
    assert "two or more raters" in ratings_of(alone, names, TRACK)
    assert "not a prepared data set" in ratings_of(tmp_path / "gone", names, TRACK)


def test_the_report_holds_raters_beside_the_model(tmp_path):
    values = simulate(30)
    target = values.mean(axis=1)
    names = tuple(f"{i}.mp3" for i in range(30))
    found = SongPredictions(names, ("",) * 30, target, target, TRACK)
    figures = write_report(
        tmp_path, NamedPredictions("mine", "test", found, {}), ratings=Ratings(values, 2)
    )
    page = (tmp_path / "report.md").read_text()
    section = page[page.index("## Agreement of raters, 30 songs") :]
    assert "2 songs with fewer are left out" in section
    assert "| Clarity | model | 1.000 |" in section
    clarity = figures["raters"]["Clarity"]
    assert f"| raters | {clarity['lcc'][0]:.3f} [" in section
    assert json.loads((tmp_path / "metrics.json").read_text())["raters"]["raters"] == 4
