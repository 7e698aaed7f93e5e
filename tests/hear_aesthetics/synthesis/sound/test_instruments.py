import numpy as np
import pytest

from hear_aesthetics.synthesis import INSTRUMENTS, render_note
from hear_aesthetics.synthesis.sound.timbres import Timbre, vary

RATE = 24_000


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_sounds_at_the_pitch_it_is_given(name: str) -> None:
    timbre = INSTRUMENTS[name]
    midi = (timbre.low + timbre.high) // 2
    note = render_note(name, midi, 1.0, rng=np.random.default_rng(1))
    assert note.dtype == np.float32
    assert len(note) == round((1.0 + timbre.release) * RATE)
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), 2 * RATE))
    hertz = 440 * 2 ** ((midi - 69) / 12)
    comb = [
        sum(spectrum[round(2 * f * k) - 1 : round(2 * f * k) + 2].max() for k in (1, 2, 3))
        for f in (hertz, hertz * 2 ** (1 / 12), hertz * 2 ** (-1 / 12))
    ]
    assert comb[0] > 2 * max(comb[1:])


@pytest.mark.parametrize("midi", [12, 24, 60, 108, 120])
@pytest.mark.parametrize("name", ["piano", "marimba", "violin"])
def test_any_pitch_renders_finite_and_audible(name: str, midi: int) -> None:
    note = render_note(name, midi, 0.3)
    assert np.isfinite(note).all()
    assert np.abs(note).max() > 0.01
    assert np.abs(note).max() < 10.0


@pytest.mark.parametrize("midi", [60, 84, 100])
def test_nothing_folds_back_from_above_nyquist(midi: int) -> None:
    clean = Timbre(name="saw", low=0, high=127, bright=1.0, dark=1.0)
    note = render_note(clean, midi, 1.0)[2400:21600]
    spectrum = np.abs(np.fft.rfft(note * np.blackman(len(note)))) ** 2
    hertz = np.fft.rfftfreq(len(note), 1 / RATE)
    fundamental = 440 * 2 ** ((midi - 69) / 12)
    offset = np.abs(hertz - fundamental * np.round(hertz / fundamental))
    assert spectrum[offset > 20].sum() < 1e-3 * spectrum.sum()


def test_plucked_notes_decay_and_blown_notes_hold() -> None:
    def late_to_early(name: str) -> float:
        note = render_note(name, 72, 2.0)
        return float(np.std(note[40_000:46_000]) / np.std(note[3_000:9_000]))

    assert late_to_early("banjo") < 0.1
    assert late_to_early("clarinet") > 0.8


def test_louder_is_brighter() -> None:
    def centroid(velocity: float) -> float:
        spectrum = np.abs(np.fft.rfft(render_note("piano", 60, 1.0, velocity)))
        return float(spectrum @ np.arange(len(spectrum)) / spectrum.sum())

    assert centroid(1.0) > 1.1 * centroid(0.3)


def test_notes_are_reproducible_and_makers_differ() -> None:
    assert np.array_equal(render_note("guitar", 60, 0.5), render_note("guitar", 60, 0.5))
    other = vary(INSTRUMENTS["guitar"], np.random.default_rng(0))
    assert not np.array_equal(render_note("guitar", 60, 0.5), render_note(other, 60, 0.5))


def test_an_unknown_instrument_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown instrument 'kazoo'; choose one of: guitar"):
        render_note("kazoo", 60, 1.0)
