import numpy as np
import pytest
from scipy.signal import resample_poly

from hear_aesthetics.synthesis.sound.effects import (
    Brightness,
    brightness,
    equalize,
    impulse_response,
    normalize,
    reverb,
    rms_db,
    tilt,
)
from hear_aesthetics.synthesis.sound.noise import coloured_noise

RATE = 24_000


@pytest.fixture
def pink() -> np.ndarray:
    return 0.1 * coloured_noise(4 * RATE, 1.0, RATE, np.random.default_rng(0))


def _sine(hertz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_the_room_decays_by_sixty_decibels_in_its_time(seconds: float) -> None:
    response = impulse_response(seconds, RATE, np.random.default_rng(0))
    tenth = len(response) // 10
    first, last = np.std(response[:tenth]), np.std(response[-tenth:])
    assert 20 * np.log10(first / last) == pytest.approx(60 * 0.9, abs=2.0)


def test_a_dry_room_changes_nothing_and_a_wet_one_fills_the_silence(pink: np.ndarray) -> None:
    assert np.allclose(reverb(pink, wet=0.0), pink)
    click = np.zeros(RATE, np.float32)
    click[0] = 1.0
    wet = reverb(click, 1.0, 0.5)
    assert wet.shape == click.shape
    assert np.std(wet[RATE // 4 :]) > 0


@pytest.mark.parametrize("target", [-40.0, -20.0])
def test_normalize_meets_the_level(pink: np.ndarray, target: float) -> None:
    assert rms_db(normalize(pink, target)) == pytest.approx(target, abs=0.01)


def test_normalize_rounds_peaks_below_full_scale_and_leaves_its_input() -> None:
    loud = 3.0 * _sine(100.0)
    before = loud.copy()
    assert np.abs(normalize(loud, -3.0)).max() < 1.0
    assert np.array_equal(loud, before)


def test_tilt_has_the_asked_slope() -> None:
    for hertz, expected in ((500.0, -3.0), (1000.0, 0.0), (4000.0, 6.0)):
        sine = _sine(hertz)
        gain = rms_db(tilt(sine, 3.0)[RATE // 2 : -RATE // 2]) - rms_db(sine)
        assert gain == pytest.approx(expected, abs=0.3)


def test_brightness_of_a_sine_is_its_frequency() -> None:
    measured = brightness(_sine(1000.0))
    assert measured.centroid_hz == pytest.approx(1000, rel=0.02)
    assert measured.crossing_rate == pytest.approx(2000, rel=0.01)


@pytest.mark.parametrize("target", [Brightness(1500, 1400), Brightness(2600, 2600)])
def test_equalize_meets_both_measures_of_brightness(pink: np.ndarray, target: Brightness) -> None:
    before = np.log(brightness(pink)) - np.log(target)
    after = np.log(brightness(equalize(pink, target))) - np.log(target)
    assert np.abs(before).max() > 0.1
    assert np.abs(after).max() < 0.03


def test_equalize_survives_silence_and_short_sounds() -> None:
    target = Brightness(1500, 1400)
    assert np.isfinite(equalize(np.zeros(RATE, np.float32), target)).all()
    assert equalize(_sine(440.0)[:300], target).shape == (300,)


def test_brightness_is_that_of_the_band_below_12_khz_at_every_rate() -> None:
    rng = np.random.default_rng(0)
    high = coloured_noise(4 * 48_000, 1.0, 48_000, rng)
    low = resample_poly(high, 1, 2)  # 24 kHz: nothing above 12 kHz
    for measured, expected in zip(brightness(high, 48_000), brightness(low), strict=True):
        assert measured == pytest.approx(expected, rel=0.05)


def test_a_song_is_as_bright_at_24_khz_as_the_equalizer_made_it_at_48_khz() -> None:
    target = Brightness(1500.0, 1600.0)
    noise = coloured_noise(4 * 48_000, 0.5, 48_000, np.random.default_rng(0))
    heard = resample_poly(equalize(noise, target, 48_000), 1, 2)
    for measured, expected in zip(brightness(heard), target, strict=True):
        assert measured == pytest.approx(expected, rel=0.05)
