import numpy as np
import pytest

from hear_aesthetics.synthesis.sound.wavetable import (
    CONTROL_RATE,
    TABLE_SIZE,
    control_times,
    frequency,
    harmonic_table,
    look_up,
    morphing_tone,
)

RATE = 24_000


def _strongest_hz(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * RATE / len(waveform))


def test_frequency_of_midi_pitches() -> None:
    assert frequency(69) == 440.0
    assert frequency(np.array([57, 81])) == pytest.approx([220.0, 880.0])


def test_a_table_of_one_harmonic_is_a_sine_at_unit_rms() -> None:
    table = harmonic_table(np.array([3.0]))
    sine = np.sqrt(2) * np.cos(2 * np.pi * np.arange(TABLE_SIZE) / TABLE_SIZE)
    assert np.abs(np.correlate(table, sine)).max() / TABLE_SIZE <= 1.0 + 1e-5
    assert np.abs(np.fft.rfft(table))[2:].max() < 1e-2 * np.abs(np.fft.rfft(table))[1]
    assert np.mean(table**2) == pytest.approx(1.0, rel=1e-5)


def test_look_up_wraps_at_whole_periods_also_backwards() -> None:
    table = harmonic_table(np.array([1.0, 0.5]))
    assert np.array_equal(look_up(table, np.array([0.25, 3.25, -0.75])), table[[1024] * 3])


def test_a_tone_follows_its_pitch_and_morphs_its_spectrum() -> None:
    samples = RATE
    time = control_times(samples, RATE)
    assert len(time) >= samples * CONTROL_RATE / RATE
    pitch = np.where(time < 0.5, 69.0, 81.0)
    tables = harmonic_table(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    low_then_high = morphing_tone(pitch, np.zeros_like(time), tables, samples, RATE)
    assert _strongest_hz(low_then_high[:11_000]) == pytest.approx(440, abs=3)
    assert _strongest_hz(low_then_high[13_000:]) == pytest.approx(880, abs=3)
    third = morphing_tone(np.full_like(time, 69.0), np.ones_like(time), tables, samples, RATE)
    assert _strongest_hz(third) == pytest.approx(1320, abs=3)
