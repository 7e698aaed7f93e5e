"""Loudness: what the standard and pyloudnorm say, whatever the blocks, channels and length."""

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import sosfreqz

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.loudness import LoudnessMeter, gain_to, k_weighting


def loudness(samples: np.ndarray, sample_rate: int) -> float | None:
    meter = LoudnessMeter()
    meter.push(samples, sample_rate)
    return meter.loudness()


def music(seconds: float, sample_rate: int, channels: int) -> np.ndarray:
    """Noise whose level moves, with silence in the middle, so that both gates act."""
    rng = np.random.default_rng(channels)
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    level = 0.02 + 0.2 * np.square(np.sin(0.7 * times)) * (np.abs(times - seconds / 2) > 1.5)
    return rng.standard_normal((times.size, channels)) * level[:, None]


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_it_is_what_pyloudnorm_measures(sample_rate, channels) -> None:
    samples = music(8.0, sample_rate, channels)
    expected = pyloudnorm.Meter(sample_rate, "DeMan").integrated_loudness(samples)
    meter = LoudnessMeter()
    for block in np.array_split(samples, 37):
        meter.push(block, sample_rate)
    assert meter.loudness() == pytest.approx(expected, abs=1e-3)


def test_a_full_scale_sine_in_one_channel_reads_minus_three() -> None:
    """ITU-R BS.1770-4, annex 1: 997 Hz at 0 dB FS in one channel reads -3.01 LKFS."""
    times = np.arange(5 * 48_000) / 48_000
    sine = np.sin(2 * np.pi * 997 * times)[:, None]
    assert loudness(sine, 48_000) == pytest.approx(-3.01, abs=0.01)


def test_at_48_khz_the_filters_are_the_standard_s_table() -> None:
    """ITU-R BS.1770-4, annex 1, tables 1 and 2."""
    table = [
        [
            1.53512485958697,
            -2.69169618940638,
            1.19839281085285,
            1,
            -1.69065929318241,
            0.73248077421585,
        ],
        [1, -2, 1, 1, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), table, atol=1e-12)


def weighting(frequency: float, sample_rate: int) -> float:
    """Gain of the filters in dB."""
    _, response = sosfreqz(k_weighting(sample_rate), [frequency], fs=sample_rate)
    return float(20 * np.log10(np.abs(response[0])))


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 22_050, 96_000])
def test_the_weighting_is_the_same_at_every_rate(sample_rate) -> None:
    for frequency in (50.0, 200.0, 1_000.0, 2_500.0):
        expected = weighting(frequency, 48_000)
        assert weighting(frequency, sample_rate) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("sample_rate", [1_000, 1_501, 2_000, 2_999, 3_000, 4_000])
def test_low_rates_are_measured_as_the_same_sound_at_a_high_one(sample_rate) -> None:
    readings = []
    for rate in (sample_rate, 48_000):
        times = np.arange(4 * rate) / rate
        readings.append(loudness(0.5 * np.sin(2 * np.pi * 200 * times)[:, None], rate))
    assert readings[0] == pytest.approx(readings[1], abs=0.1)


def test_rate_and_channels_may_change_on_the_way() -> None:
    meter = LoudnessMeter()
    for sample_rate, channels in ((44_100, 2), (22_050, 2), (22_050, 1)):
        meter.push(np.repeat(music(4.0, sample_rate, 1), channels, axis=1), sample_rate)
    louder = loudness(np.repeat(music(4.0, 44_100, 1), 2, axis=1), 44_100)
    assert louder is not None
    assert louder - 4 < meter.loudness() < louder


def test_equal_channels_are_three_lu_louder_than_one() -> None:
    mono = music(4.0, 24_000, 1)
    readings = []
    for channels in (1, 2):
        readings.append(loudness(np.repeat(mono, channels, axis=1), 24_000))
    assert readings[1] - readings[0] == pytest.approx(10 * np.log10(2))


def test_the_low_frequency_channel_does_not_count() -> None:
    five = music(4.0, 24_000, 5)
    six = np.insert(five, 3, 0.9, axis=1)  # L R C LFE Ls Rs
    six[:, 3] *= np.random.default_rng(0).standard_normal(len(six))
    readings = []
    for samples in (five, six):
        readings.append(loudness(samples, 24_000))
    assert readings[0] == pytest.approx(readings[1])


@pytest.mark.parametrize("samples", [np.zeros((48_000, 2)), np.full((9_000, 2), 0.1)])
def test_silence_and_less_than_a_block_have_none(samples) -> None:
    meter = LoudnessMeter()
    meter.push(samples, 24_000)
    meter.push(samples[:0], 24_000)
    assert meter.loudness() is None


def test_a_span_is_measured_alone(tmp_path) -> None:
    samples = music(6.0, 44_100, 2).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", samples, 44_100, subtype="FLOAT")
    part = samples[44_100 : 3 * 44_100]
    meter = LoudnessMeter()
    load_audio(tmp_path / "whole.wav", start=1.0, end=3.0, on_block=meter.push)
    assert meter.loudness() == pytest.approx(loudness(part, 44_100))
    expected = pyloudnorm.Meter(44_100, "DeMan").integrated_loudness(part.astype(float))
    assert meter.loudness() == pytest.approx(expected, abs=1e-3)


def test_gain_brings_audio_to_the_target() -> None:
    samples = music(4.0, 24_000, 1)
    louder = samples * gain_to(-14.0, loudness(samples, 24_000))
    assert loudness(louder, 24_000) == pytest.approx(-14.0, abs=0.01)
    assert gain_to(-14.0, None) == 1.0
