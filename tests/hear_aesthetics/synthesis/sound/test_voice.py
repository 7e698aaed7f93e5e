from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import stft

from hear_aesthetics.synthesis.composition.records import Note, Performance
from hear_aesthetics.synthesis.sound.formants import LEADS, VOWELS, spectral_states
from hear_aesthetics.synthesis.sound.voice import render_lead

RATE = 24_000
ROBOT = Performance(0.0, 0.004, 0.0, 0.0, 0.0, 1.0)
ALIVE = Performance(40.0, 0.07, 1.0, 0.7, 0.0, 0.0)


def _note(onset: float, seconds: float, pitch: float, syllable: int = 0) -> Note:
    return Note(onset, seconds, pitch, 0.8, "female voice", "lead", syllable)


def _sing(notes: list[Note], performance: Performance, lead: str = "female voice") -> np.ndarray:
    rng = np.random.default_rng(0)
    return render_lead(LEADS[lead], notes, 3 * RATE, performance, RATE, rng)


def _pitch_wobble(waveform: np.ndarray, hertz: float) -> float:
    """Standard deviation of the frequency, in Hz, of the partial nearest to ``hertz``."""
    frequencies, _, spectrum = stft(waveform, RATE, nperseg=2048, noverlap=1792, nfft=16384)
    band = np.abs(frequencies - hertz) < 0.1 * hertz
    return float(np.std(frequencies[band][np.abs(spectrum[band]).argmax(axis=0)]))


@pytest.mark.parametrize("lead", LEADS)
def test_every_lead_sings_in_tune(lead: str) -> None:
    tone = _sing([_note(0.2, 2.0, 69.0)], replace(ALIVE, vibrato_cents=0.0), lead)
    middle = tone[RATE : 2 * RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    on_pitch = sum(spectrum[440 * k - 3 : 440 * k + 4].max() for k in range(1, 8))
    off_pitch = sum(spectrum[int(466 * k) - 3 : int(466 * k) + 4].max() for k in range(1, 8))
    assert on_pitch > 5 * off_pitch


def test_a_living_voice_trembles_and_a_robot_does_not() -> None:
    note = [_note(0.1, 2.5, 69.0)]
    inside = slice(RATE, 2 * RATE)
    assert _pitch_wobble(_sing(note, ALIVE)[inside], 1760.0) > 10.0
    assert _pitch_wobble(_sing(note, ROBOT)[inside], 1760.0) < 2.0


def test_breath_is_heard_before_a_phrase_only_of_who_breathes() -> None:
    phrases = [_note(0.0, 0.8, 69.0), _note(2.0, 0.8, 69.0)]
    rest = slice(round(1.72 * RATE), round(1.95 * RATE))
    assert np.std(_sing(phrases, ALIVE)[rest]) > 0.02
    assert np.std(_sing(phrases, ROBOT)[rest]) == 0.0


def test_slurred_notes_glide_and_a_robot_jumps() -> None:
    slur = [_note(0.0, 1.0, 60.0), _note(1.0, 1.0, 72.0)]
    slide = slice(round(1.015 * RATE), round(1.05 * RATE))

    def crossings(performance: Performance) -> float:
        tone = _sing(slur, replace(performance, buzz=1.0))[slide]
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 8 * RATE))
        return float(spectrum[: 8 * 700].argmax() / 8)

    assert crossings(ALIVE) < crossings(ROBOT) - 40


def test_equal_syllables_are_sung_alike_and_others_are_not() -> None:
    notes = [_note(0.0, 0.8, 69.0, 5), _note(1.0, 0.8, 69.0, 5), _note(2.0, 0.8, 69.0, 8)]
    tone = _sing(notes, replace(ALIVE, vibrato_cents=0.0, breath=0.0))

    def spectrum(start: float) -> np.ndarray:
        part = tone[round((start + 0.3) * RATE) : round((start + 0.6) * RATE)]
        return np.log(np.abs(np.fft.rfft(part * np.hanning(len(part))))[132:1500:132] + 1e-6)

    same = np.abs(spectrum(0.0) - spectrum(1.0)).mean()
    assert same < 0.3 * np.abs(spectrum(0.0) - spectrum(2.0)).mean()


def test_the_spectrum_peaks_at_the_formants() -> None:
    """A low note samples the envelope densely: energy near the first formant beats the valley."""
    states = spectral_states(
        LEADS["male voice"],
        np.array([40.0]),
        np.array([VOWELS["a"]], float),
        np.array([1.0]),
        0.0,
        RATE,
    )
    harmonics = np.abs(np.fft.rfft(states[0]))
    fundamental = 440 * 2 ** ((40 - 69) / 12)
    formant, valley = round(730 / fundamental), round(1700 / fundamental)
    assert harmonics[formant] > 5 * harmonics[valley]


def test_a_metallic_voice_has_partials_beside_its_harmonics() -> None:
    note = [_note(0.1, 2.5, 69.0)]

    def beside(metal: float) -> float:
        tone = _sing(note, replace(ROBOT, metal=metal))[RATE : 2 * RATE]
        power = np.abs(np.fft.rfft(tone * np.hanning(RATE))) ** 2  # one line per hertz
        harmonic = np.arange(len(power)) % 440
        return float(power[(harmonic > 20) & (harmonic < 420)].sum() / power.sum())

    assert beside(0.0) < 0.01
    assert beside(0.0) + 0.2 < beside(0.5) < beside(1.0)


def test_a_badly_joined_voice_clicks_at_each_onset_and_nowhere_else() -> None:
    notes = [_note(0.5, 0.9, 69.0), _note(1.5, 0.9, 69.0)]
    clicks = np.abs(_sing(notes, replace(ROBOT, clicks=1.0)) - _sing(notes, ROBOT))
    for note in notes:
        around = round(note.onset * RATE)
        assert clicks[around - 100 : around + 100].max() > 0.5
        clicks[around - 100 : around + 100] = 0.0
    assert clicks.max() == 0.0
