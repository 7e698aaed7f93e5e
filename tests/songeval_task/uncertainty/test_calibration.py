"""Calibrations: intervals and probabilities hold on new songs, files are refused when they lie."""

import json

import numpy as np
import pytest

from hear_aesthetics.errors import InputError
from songeval_task.uncertainty.calibration import Calibration, read_calibration
from songeval_task.uncertainty.reference import ReferenceSongs, cross_distance

NAMES = ("Coherence", "Musicality")
FINGERPRINT = {"model": {"sha256": "a"}, "head": {"sha256": "b"}, "reads": "fused"}


def simulate(count, seed, noise=0.4):
    """Ratings, scores that are spread too little, and pooled vectors; errors are Student's."""
    rng = np.random.default_rng(seed)
    target = 3 + 0.8 * rng.normal(size=(count, len(NAMES)))
    preds = 2.9 + 0.5 * (target - 3) + noise * 0.5 * rng.standard_t(5, target.shape)
    return preds, target, rng.normal(size=(count, 12))


def calibrated(count=200, seed=0, systems=None, **options):
    preds, target, pooled = simulate(count, seed, **options)
    systems = systems or ("",) * count
    reference, distance = ReferenceSongs.of(pooled), cross_distance(pooled)
    return Calibration.of(NAMES, preds, target, distance, systems, reference, FINGERPRINT)


def with_mean(table):
    return np.column_stack((table, table.mean(axis=1)))


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_hold_the_ratings_of_new_songs(coverage):
    held = []
    for seed in range(20):
        calibration = calibrated(100, 2 * seed)
        preds, target, pooled = simulate(300, 2 * seed + 1)
        distance = calibration.reference.distance(pooled)
        low, high = calibration.intervals(with_mean(preds), distance, coverage)
        held.append(((low <= with_mean(target)) & (with_mean(target) <= high)).mean(axis=0))
    assert np.abs(np.mean(held, axis=0) - coverage).max() < 0.03


def test_a_system_with_its_own_songs_has_its_own_width():
    """Of two systems, one is scored well and one badly."""
    good, bad = simulate(60, 1, noise=0.1), simulate(60, 2, noise=1.0)
    preds, target, pooled = (np.concatenate(parts) for parts in zip(good, bad, strict=True))
    distance = cross_distance(pooled)
    systems = ("good",) * 60 + ("bad",) * 60
    calibration = Calibration.of(
        NAMES, preds, target, distance, systems, ReferenceSongs.of(pooled), FINGERPRINT
    )
    rows, at = with_mean(preds[:3]), distance[:3]
    low, high = calibration.intervals(rows, at, systems=("good", "bad", "new"))
    widths = (high - low)[:, 0]
    assert widths[0] < widths[2] < widths[1]


def test_probabilities_are_those_of_what_happens():
    calibration = calibrated(300)
    preds, target, pooled = simulate(2000, 7)
    preds, target = with_mean(preds), with_mean(target)
    distance = calibration.reference.distance(pooled)
    said, happened = [], []
    for a, b in np.random.default_rng(0).integers(0, 2000, (1500, 2)):
        said.append(calibration.probability_higher(preds[a], preds[b], distance[[a, b]]))
        happened.append(target[b] > target[a])
    said, happened = np.array(said).ravel(), np.array(happened).ravel()
    bins = np.digitize(said, np.linspace(0, 1, 11)[1:-1])
    gaps = [
        (bins == k).mean() * abs(said[bins == k].mean() - happened[bins == k].mean())
        for k in set(bins)
    ]
    assert sum(gaps) < 0.05


def test_a_song_against_itself_is_even():
    calibration = calibrated()
    row = calibration.preds[0]
    even = calibration.probability_higher(row, row, calibration.distance[[0, 0]])
    assert even == pytest.approx(np.full(3, 0.5), abs=1e-12)


def test_novelty_is_a_percentile():
    calibration = calibrated()
    assert 45 < calibration.novelty(calibration.distance).mean() < 55
    assert calibration.novelty(np.array([0.0, 1e9])).tolist() == [0, 100]


def test_a_file_gives_the_same_answers(tmp_path):
    calibration = calibrated()
    calibration.write(tmp_path / "calibration.json")
    again = read_calibration(tmp_path / "calibration.json")
    rows, distance = calibration.preds[:4], calibration.distance[:4]
    for ours, theirs in zip(
        calibration.intervals(rows, distance), again.intervals(rows, distance), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    again.check("x", FINGERPRINT)
    with pytest.raises(InputError, match=r"of another model or head \(head.sha256 was b, now c\)"):
        again.check("x", {**FINGERPRINT, "head": {"sha256": "c"}})


def test_too_few_songs_and_constant_dimensions_calibrate_nothing():
    with pytest.raises(InputError, match="49 rated songs calibrate nothing; give 50"):
        calibrated(49)
    preds, target, pooled = simulate(60, 0)
    target[:, 1] = 3
    with pytest.raises(InputError, match="every song has the Musicality rating 3"):
        Calibration.of(
            NAMES, preds, target, np.ones(60), ("",) * 60, ReferenceSongs.of(pooled), FINGERPRINT
        )


def changed(*keys, to):
    """A change of one value in the text of a calibration."""

    def change(text):
        document = part = json.loads(text)
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = to
        return json.dumps(document)

    return change


def without_points(text):
    document = json.loads(text)
    width = document["reference"]["points"]["shape"][1]
    document["reference"]["points"] = {"shape": [0, width], "float32": ""}
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("preds", 0, 0, to=10**400), "damaged"),
        (changed("reference", "outside", to=10**400), "damaged"),
        (changed("reference", "outside", to=float("nan")), "reference songs are none"),
        (changed("reference", "outside", to=0), "reference songs are none"),
        (without_points, "reference songs are none"),
        (changed("fingerprint", to={}), "of which head"),
        (lambda text: text[: len(text) // 2], "calibration.json"),
        (lambda text: text.replace("calibration 1", "calibration 0"), "no calibration of this"),
        (lambda text: json.dumps({**json.loads(text), "distance": [1.0]}), "do not fit together"),
        (lambda text: json.dumps({**json.loads(text), "reference": {}}), "damaged"),
        (lambda text: "[]", "calibration.json"),
    ],
)
def test_a_file_that_is_something_else_is_one_line(tmp_path, change, message):
    path = tmp_path / "calibration.json"
    calibrated(60).write(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message) as caught:
        read_calibration(path)
    assert "\n" not in str(caught.value)
    assert "calibrate" in str(caught.value)


def test_systems_of_a_file_are_text(tmp_path):
    calibrated(60).write(tmp_path / "calibration.json")
    text = changed("systems", to=[[1]] * 60)((tmp_path / "calibration.json").read_text())
    (tmp_path / "calibration.json").write_text(text)
    found = read_calibration(tmp_path / "calibration.json")
    low, high = found.intervals(found.preds, found.distance, systems=("S1",) * 60)
    assert (low < high).all()
