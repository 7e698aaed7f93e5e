"""Windowed-sinc resampling: torchaudio's numbers and lengths, at once and block by block."""

import math

import numpy as np
import pytest

from hear_aesthetics.audio.sinc import SincResampler, sinc_length, sinc_resample

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]

# torchaudio 2.11: resample(torch.sin(torch.arange(60.) ** 2 / 70), RATE, 16_000), the first nine.
PUBLISHED = {
    11_025: [
        *(0.00002273, 0.00726900, 0.02725663, 0.06110723, 0.10852624),
        *(0.16915737, 0.24192572, 0.32640064, 0.42103839),
    ],
    24_000: [
        *(0.00022144, 0.03215137, 0.12857643, 0.28534386, 0.49186975),
        *(0.71958870, 0.91533309, 0.99972934, 0.88412613),
    ],
    44_100: [
        *(-0.00041682, 0.10643898, 0.42178386, 0.82999611, 0.98379934),
        *(0.41497716, -0.68561149, -0.83647412, 0.63123989),
    ],
    48_000: [
        *(-0.00086253, 0.12654853, 0.49483347, 0.91416663, 0.87990850),
        *(-0.06054133, -1.01442635, 0.03280942, 0.93013471),
    ],
}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.3 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def plain(waveform: np.ndarray, orig: int, new: int) -> np.ndarray:
    """The definition (Smith, Digital Audio Resampling), output by output in float64."""
    base = min(orig, new) * 0.99
    times = np.arange(sinc_length(len(waveform), orig, new)) / new
    t = (np.arange(len(waveform)) / orig - times[:, None]) * base
    window = np.where(np.abs(t) < 6, np.cos(np.pi * t / 12) ** 2, 0)
    return (np.sinc(t) * window * base / orig) @ waveform.astype(np.float64)


@pytest.mark.parametrize("rate", PUBLISHED)
def test_numbers_of_torchaudio(rate) -> None:
    sweep = np.sin(np.arange(60, dtype=np.float32) ** 2 / 70)
    ours = sinc_resample(sweep, rate, 16_000)[:9]
    np.testing.assert_allclose(ours, PUBLISHED[rate], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate != 16_000] + [44_101])
def test_it_is_the_windowed_sinc(rate) -> None:
    waveform = noise(1_500)
    ours = sinc_resample(waveform, rate, 16_000)
    assert ours.dtype == np.float32
    # The filter is designed in float32, as published.
    np.testing.assert_allclose(ours, plain(waveform, rate, 16_000), rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
def test_blocks_give_the_samples_of_the_whole(rate) -> None:
    waveform, rng = noise(30_011), np.random.default_rng(1)
    stream, parts, start = SincResampler(rate, 16_000), [], 0
    while start < len(waveform):
        stop = start + int(rng.integers(1, 9_000))
        parts.append(stream.push(waveform[start:stop]))
        start = stop
    parts.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate(parts), sinc_resample(waveform, rate, 16_000))
    assert stream.samples_out == sum(map(len, parts))


@pytest.mark.parametrize("samples", [1, 2, 441, 442])
def test_short_audio_has_all_its_samples(samples) -> None:
    assert sinc_resample(noise(samples), 44_100, 16_000).shape == (math.ceil(samples * 160 / 441),)


def test_the_length_is_the_quotient_in_float32() -> None:
    assert sinc_length(44_100 * 10, 44_100, 16_000) == 160_000
    assert sinc_length(44_100 * 10 + 1, 44_100, 16_000) == 160_001
    assert math.ceil((44_100 * 61 + 1) * 160 / 441) == 976_001
    assert sinc_length(44_100 * 1_000 + 1, 44_100, 16_000) == 16_000_000  # 16,000,000.36


def test_equal_rates_change_nothing() -> None:
    waveform = noise(100)
    assert sinc_resample(waveform, 16_000, 16_000) is waveform
    stream = SincResampler(16_000, 16_000)
    np.testing.assert_array_equal(stream.push(waveform), waveform)
    assert not stream.finish().size


def test_batches_keep_their_shape() -> None:
    batch = noise(2 * 3 * 500).reshape(2, 3, 500)
    ours = sinc_resample(batch, 48_000, 16_000)
    assert ours.shape == (2, 3, 167)
    np.testing.assert_array_equal(ours[1, 2], sinc_resample(batch[1, 2], 48_000, 16_000))
