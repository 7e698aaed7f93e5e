"""Best takes: the formula, its limits, and records that say no more than is known."""

import numpy as np
import pytest

from songeval_task.uncertainty.calibration import Calibration
from songeval_task.uncertainty.choice import Shrinkage, best_takes
from songeval_task.uncertainty.reference import ReferenceSongs

COLUMNS = ("Clarity", "mean")


def calibrated(noise: float, gain: float = 0.7, songs: int = 4000) -> Calibration:
    """A head whose scores are ``1 + gain * rating`` and an error."""
    rng = np.random.default_rng(0)
    rated = rng.normal(3, 0.8, (songs, 1))
    scores = 1 + gain * rated + rng.normal(0, noise, rated.shape)
    reference = ReferenceSongs.of(rng.normal(size=(60, 4)))
    known = np.ones(songs), ("",) * songs, reference, {}
    return Calibration.of(COLUMNS[:1], scores, rated, *known)


def rows(scores, name="take") -> list[dict]:
    return [
        {"path": f"{name}{n}", "start": None, "end": None, "error": None, "Clarity": s, "mean": s}
        for n, s in enumerate(scores)
    ]


def groups_of(spread: float, noise: float, count: int = 2000) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    ratings = rng.normal(3, 0.5, (count, 1, 1)) + rng.normal(0, spread, (count, 4, 1))
    scores = 1 + 0.7 * ratings + rng.normal(0, noise, ratings.shape)
    return list(np.repeat(scores, 2, axis=2))


def test_spread_and_slope_are_those_of_the_model():
    learned = Shrinkage.of(calibrated(0.3), groups_of(0.4, 0.3))
    real = (0.7 * 0.4) ** 2
    assert learned.spread == pytest.approx([0.4, 0.4], rel=0.05)
    assert learned.slope == pytest.approx([0.7 * 0.4**2 / (real + 0.3**2)] * 2, rel=0.05)
    assert learned.error == pytest.approx([0.4 * np.sqrt(0.09 / (real + 0.09))] * 2, rel=0.05)
    assert learned.freedom == 2000 * 3


def test_takes_that_differ_no_more_than_errors_do_are_expected_to_be_alike():
    learned = Shrinkage.of(calibrated(0.5), groups_of(0.0, 0.3))
    group = np.array([[4.0, 4.0], [3.0, 3.0]])
    expected = learned.expected(group)
    assert np.array_equal(expected[0], expected[1])
    assert learned.probability_higher(group[0] - group[1]).tolist() == [0.5, 0.5]


def test_a_head_without_errors_is_believed():
    learned = Shrinkage.of(calibrated(1e-6), groups_of(0.4, 0.0))
    group = np.array([[3.8, 3.8], [3.1, 3.1]])
    np.testing.assert_allclose(learned.expected(group), (group - 1) / 0.7, atol=1e-3)
    assert learned.probability_higher(group[0] - group[1]).min() > 0.999


def test_a_head_that_scores_the_wrong_way_round_tells_nothing():
    learned = Shrinkage.of(calibrated(0.1, gain=-0.5), groups_of(0.4, 0.1))
    assert learned.slope.tolist() == [0, 0]


def test_the_winner_of_each_group_has_the_highest_mean():
    table = [*rows([3.0, 4.0, 3.9]), *rows([2.0, 2.0], "b"), *rows([5.0], "alone")]
    table.append({**rows([0.0], "broken")[0], "error": "broken: cannot be read", "mean": None})
    labels = ["x"] * 3 + ["y"] * 2 + ["z", "x"]
    found, learned = best_takes(table, labels, COLUMNS)
    assert learned is None
    assert [(r["group"], r["takes"], r["path"]) for r in found] == [
        ("x", 3, "take1"),
        ("y", 2, "b0"),
        ("z", 1, "alone0"),
    ]
    assert (found[0]["second"], found[0]["lead"]) == ("take2", pytest.approx(0.1))
    assert found[2]["second"] is found[2]["lead"] is found[2]["probability"] is None
    assert {r["mean_expected"] for r in found} == {None}


def test_a_lead_is_worth_less_than_it_looks():
    calibration = calibrated(0.3)
    table, labels = [], []
    for number, group in enumerate(groups_of(0.4, 0.3, 50)):
        table += rows(group[:, 1], f"{number} ")
        labels += [str(number)] * len(group)
    found, learned = best_takes(table, labels, COLUMNS, calibration)
    line = calibration.line[:, -1]
    for record in found:
        assert 0.5 <= record["probability"] < 1
        assert record["mean_expected"] < line[0] + line[1] * record["mean"] + 1e-9
    (alone, *_), _ = best_takes(rows([3.0]), ["x"], COLUMNS, calibration)
    assert alone["mean_expected"] == pytest.approx(line[0] + line[1] * 3.0)
    assert learned.freedom == 150


def test_takes_in_no_group_are_left_out():
    found, _ = best_takes(rows([1.0, 2.0]), [None, None], COLUMNS, calibrated(0.3))
    assert found == []
