import json
import random

import numpy as np
import pytest

from songeval_task.features.augmentation import ORIGINAL, augment, version_names

RATE = 24_000


@pytest.fixture(scope="module")
def waveform():
    return (np.random.default_rng(0).standard_normal(4 * RATE) * 0.1).astype(np.float32)


def augmented(waveform, count, seed=0):
    return [augment(waveform, name=f"mp3/{i}.mp3", version="aug1", seed=seed) for i in range(count)]


def test_a_version_follows_from_its_seed_name_and_version_alone(waveform):
    first, records = augment(waveform, name="mp3/1.mp3", version="aug1", seed=0)
    random.seed(99)
    again, same = augment(waveform, name="mp3/1.mp3", version="aug1", seed=0)
    assert np.array_equal(first, again)
    assert records == same
    others = [("mp3/2.mp3", "aug1", 0), ("mp3/1.mp3", "aug2", 0), ("mp3/1.mp3", "aug1", 1)]
    for name, version, seed in others:
        other, _ = augment(waveform, name=name, version=version, seed=seed)
        assert not np.array_equal(first, other)


def test_global_generators_are_put_back(waveform):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    augment(waveform, name="mp3/1.mp3", version="aug1", seed=0)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_the_input_is_left_alone_and_the_original_returned(waveform):
    kept = waveform.copy()
    augmented(waveform, 5)
    assert np.array_equal(waveform, kept)
    same, records = augment(waveform, name="x", version=ORIGINAL, seed=0)
    assert same is waveform
    assert records == []


@pytest.mark.slow
def test_frequencies_and_ranges_are_the_papers(waveform):
    count = 300
    drawn = {}
    for _, records in augmented(waveform[:RATE], count):
        for record in records:
            drawn.setdefault(record["transform"], []).append(record)
    expected = {
        "gain": 0.9,
        "gaussian_noise": 0.25,
        "pitch_shift": 0.5,
        "time_stretch": 0.4,
        "time_shift": 0.4,
        "high_pass": 0.3,
        "low_pass": 0.3,
        "seven_band_eq": 0.3,
    }
    for name, probability in expected.items():
        spread = 4 * (probability * (1 - probability) / count) ** 0.5
        assert abs(len(drawn[name]) / count - probability) < spread, name
    decibels = 20 * np.log10([record["amplitude_ratio"] for record in drawn["gain"]])
    assert -2 <= decibels.min() < -1.5
    assert 1.5 < decibels.max() <= 2
    cents = 100 * np.array([record["num_semitones"] for record in drawn["pitch_shift"]])
    assert -10 <= cents.min() < -8
    assert 8 < cents.max() <= 10
    rates = np.array([record["rate"] for record in drawn["time_stretch"]])
    assert 0.99 <= rates.min() < 0.993
    assert 1.007 < rates.max() <= 1.01
    seconds = np.array([record["shift_amount"] for record in drawn["time_shift"]])
    assert np.abs(seconds).max() <= 0.5
    cutoffs = [record["cutoff_freq"] for record in drawn["high_pass"]]
    assert 80 <= min(cutoffs) <= max(cutoffs) <= 120


RELEASED_ORDER = (
    "gain",
    "gaussian_noise",
    "pitch_shift",
    "time_stretch",
    "time_shift",
    "high_pass",
    "low_pass",
    "seven_band_eq",
)


def test_the_order_is_the_released_one(waveform):
    for _, records in augmented(waveform[:RATE], 20):
        names = [record["transform"] for record in records]
        assert names == sorted(names, key=RELEASED_ORDER.index)


def test_a_low_pass_above_nyquist_is_recorded_and_does_nothing(waveform):
    found = [
        (version, records)
        for version, records in augmented(waveform[:RATE], 60)
        if any(record["transform"] == "low_pass" for record in records)
    ]
    assert found
    for _, records in found:
        record = next(record for record in records if record["transform"] == "low_pass")
        assert 15_000 <= record["cutoff_freq"] <= 18_000
        assert record["no_op"] is True


def test_a_released_low_pass_acts_below_half_the_rate():
    """As released, the cut-off is moved to 0.9999 of half the rate: little of music is there."""
    seconds = np.arange(RATE) / RATE
    tones = sum(0.1 * np.sin(2 * np.pi * hertz * seconds) for hertz in (220, 1760, 5000))
    tones = tones.astype(np.float32)
    for number in range(200):
        version, records = augment(tones, name=str(number), version="published3", seed=0)
        if [record["transform"] for record in records] == ["gain", "low_pass"]:
            break
    gain, low_pass = records
    assert "no_op" not in low_pass
    expected = tones * gain["amplitude_ratio"]
    change = np.square(version - expected).mean() / np.square(expected).mean()
    assert 1e-12 < change < 1e-6


@pytest.mark.parametrize("version", ["aug1", "published3"])
def test_a_version_is_what_its_24_bit_file_holds(waveform, version):
    loud = 10 * waveform[:RATE]
    found, records = augment(loud, name="mp3/1.mp3", version=version, seed=0)
    steps = found.astype(np.float64) * 2**23
    assert np.array_equal(steps, np.round(steps))
    assert records[-1]["transform"] == "clip"
    assert records[-1]["samples"] == pytest.approx((np.abs(found) > 1 - 2**-22).sum(), abs=2)
    assert found.max() < 1 <= -found.min()


def test_records_are_json_with_every_band(waveform):
    records = [record for _, found in augmented(waveform[:RATE], 20) for record in found]
    equaliser = next(record for record in records if record["transform"] == "seven_band_eq")
    bands = [band for part in equaliser.values() if isinstance(part, list) for band in part]
    assert len(bands) == 7
    assert all(-3 <= band["gain_db"] <= 3 for band in bands)
    json.dumps(records)


@pytest.mark.slow
def test_released_versions_keep_the_length_and_wrap_around():
    ramp = np.linspace(0.1, 0.9, RATE, dtype=np.float32)

    def only(version, transform):
        """Versions to which this transform alone was done, gain and what does nothing aside."""
        quiet = {"gain", "low_pass", transform}
        for number in range(100):
            copy, records = augment(ramp, name=str(number), version=version, seed=0)
            done = {record["transform"] for record in records}
            if transform in done and done <= quiet:
                yield copy

    assert {len(copy) for copy in only("published3", "time_stretch")} == {len(ramp)}
    assert len(ramp) not in {len(copy) for copy in only("aug3", "time_stretch")}
    silence = {
        version: max((np.abs(copy) < 1e-3).sum() for copy in only(version, "time_shift"))
        for version in ("published3", "aug3")
    }
    assert silence["published3"] < 0.02 * RATE, "no more than the fades of the seam"
    assert silence["aug3"] > 0.2 * RATE


def test_versions_of_a_song():
    assert version_names(2) == ["original", "aug1", "aug2"]
    assert version_names(3, "published") == ["published3"]
    with pytest.raises(ValueError, match="all or published"):
        version_names(3, "other")
    with pytest.raises(ValueError, match="at least one"):
        version_names(0, "published")
