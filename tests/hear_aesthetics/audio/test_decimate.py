import math

import numpy as np
import pytest
import soxr
import torch

from hear_aesthetics.audio.decimate import PASSBAND_HZ, Decimate2

RATE = 48_000


@pytest.fixture(scope="module")
def halve() -> Decimate2:
    return Decimate2()


def tone(frequency: float, samples: int = RATE) -> torch.Tensor:
    time = torch.arange(samples, dtype=torch.float64) / RATE
    return torch.sin(2 * math.pi * frequency * time).float()[None]


@pytest.mark.parametrize("samples", [1, 2, 3, 959, 48_000, 48_001])
def test_every_second_sample_is_kept(halve, samples):
    assert halve(torch.zeros(3, samples)).shape == (3, (samples + 1) // 2)


@pytest.mark.parametrize("frequency", [50, 1000, 8000, PASSBAND_HZ])
def test_a_tone_in_the_passband_survives_in_place(halve, frequency):
    inside = slice(500, -500)
    expected = tone(frequency)[:, ::2]
    torch.testing.assert_close(
        halve(tone(frequency))[:, inside], expected[:, inside], rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("frequency", [12_001, 13_000, 18_000, 23_000])
def test_a_tone_that_would_alias_dies(halve, frequency):
    assert halve(tone(frequency))[:, 500:-500].abs().max() < 3e-6  # -110 dB


def test_soxr_agrees_in_the_passband(halve):
    generator = np.random.default_rng(0)
    spectrum = np.zeros(RATE // 2 + 1, complex)
    spectrum[100:10_000] = generator.standard_normal(9900) + 1j * generator.standard_normal(9900)
    signal = np.fft.irfft(spectrum)
    signal /= np.abs(signal).max()
    reference = soxr.resample(signal, RATE, RATE // 2, "HQ")
    ours = halve(torch.from_numpy(signal).float()[None])[0].numpy()
    inside = slice(1000, -1000)
    assert np.abs(ours - reference)[inside].max() < 2e-4


def test_a_click_keeps_its_time(halve):
    click = torch.zeros(1, 4000)
    click[0, 2000] = 1
    assert halve(click)[0].argmax() == 1000
