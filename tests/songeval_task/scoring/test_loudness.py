"""Loudness: what the standard and pyloudnorm say, whatever the blocks, channels and length."""

import numpy as np
import pyloudnorm
import pytest
import soundfile

from hear_aesthetics.errors import AudioError
from songeval_task.scoring.loudness import LoudnessMeter, gain_to, integrated_loudness


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
    expected = pyloudnorm.Meter(sample_rate).integrated_loudness(samples)
    meter = LoudnessMeter(sample_rate, channels)
    for block in np.array_split(samples, 37):
        meter.push(block)
    assert meter.loudness() == pytest.approx(expected, abs=1e-3)


def test_a_full_scale_sine_in_one_channel_reads_minus_three() -> None:
    """ITU-R BS.1770-4, annex 1: 997 Hz at 0 dB FS in one channel reads -3.01 LKFS."""
    times = np.arange(5 * 48_000) / 48_000
    meter = LoudnessMeter(48_000, 1)
    meter.push(np.sin(2 * np.pi * 997 * times)[:, None])
    assert meter.loudness() == pytest.approx(-3.01, abs=0.05)


def test_equal_channels_are_three_lu_louder_than_one() -> None:
    mono = music(4.0, 24_000, 1)
    readings = []
    for channels in (1, 2):
        meter = LoudnessMeter(24_000, channels)
        meter.push(np.repeat(mono, channels, axis=1))
        readings.append(meter.loudness())
    assert readings[1] - readings[0] == pytest.approx(10 * np.log10(2))


def test_the_low_frequency_channel_does_not_count() -> None:
    five = music(4.0, 24_000, 5)
    six = np.insert(five, 3, 0.9, axis=1)  # L R C LFE Ls Rs
    six[:, 3] *= np.random.default_rng(0).standard_normal(len(six))
    readings = []
    for samples in (five, six):
        meter = LoudnessMeter(24_000, samples.shape[1])
        meter.push(samples)
        readings.append(meter.loudness())
    assert readings[0] == pytest.approx(readings[1])


@pytest.mark.parametrize("samples", [np.zeros((48_000, 2)), np.full((9_000, 2), 0.1)])
def test_silence_and_less_than_a_block_have_none(samples) -> None:
    meter = LoudnessMeter(24_000, 2)
    meter.push(samples)
    meter.push(samples[:0])
    assert meter.loudness() is None


def test_a_span_is_measured_alone(tmp_path) -> None:
    samples = music(6.0, 44_100, 2).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", samples, 44_100, subtype="FLOAT")
    part = samples[44_100 : 3 * 44_100]
    soundfile.write(tmp_path / "part.wav", part, 44_100, subtype="FLOAT")
    span = integrated_loudness(tmp_path / "whole.wav", 1.0, 3.0)
    assert span == pytest.approx(integrated_loudness(tmp_path / "part.wav"))
    expected = pyloudnorm.Meter(44_100).integrated_loudness(part.astype(float))
    assert span == pytest.approx(expected, abs=1e-3)


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:
    with pytest.raises(AudioError, match=r"absent\.wav"):
        integrated_loudness(tmp_path / "absent.wav")


def test_gain_brings_audio_to_the_target() -> None:
    samples = music(4.0, 24_000, 1)
    before = LoudnessMeter(24_000, 1)
    before.push(samples)
    after = LoudnessMeter(24_000, 1)
    after.push(samples * gain_to(-14.0, before.loudness()))
    assert after.loudness() == pytest.approx(-14.0, abs=0.01)
    assert gain_to(-14.0, None) == 1.0
