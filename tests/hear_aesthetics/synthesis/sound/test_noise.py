import numpy as np
import pytest

from hear_aesthetics.synthesis import band_noise, coloured_noise


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_coloured_noise_falls_by_three_decibels_per_octave_and_exponent(exponent: float) -> None:
    noise = coloured_noise(240_000, exponent, 24_000, np.random.default_rng(0))
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, rel=1e-3)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / 24_000)
    octaves = [power[(hertz >= low) & (hertz < 2 * low)].mean() for low in (100, 800)]
    assert 10 * np.log10(octaves[0] / octaves[1]) == pytest.approx(9.03 * exponent, abs=1.0)


def test_band_noise_stays_in_its_band() -> None:
    noise = band_noise(48_000, 2000, 4000, 24_000, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / 24_000)
    assert power[(hertz > 1500) & (hertz < 5000)].sum() > 0.85 * power.sum()


def test_a_band_above_nyquist_gives_the_highest_there_is() -> None:
    noise = band_noise(8_000, 6000, 11_000, 8_000, np.random.default_rng(0))
    assert np.isfinite(noise).all()
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, rel=1e-3)
