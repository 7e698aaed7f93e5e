"""The lead and speech: one continuous oscillator whose spectrum moves from state to state.

Pitch and amplitude are drawn as curves through anchors at a control rate. The spectrum is a row of
wavetables, one per *state* (a vowel at a pitch), each the formant envelope sampled at that pitch's
harmonics; a morph curve says between which two states the tone is at each moment. So glides,
vibrato and diphthongs cost two table look-ups per sample, whatever they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from hear_aesthetics.synthesis.instruments import (
    MAX_HARMONICS,
    NYQUIST_SHARE,
    TABLE_SIZE,
    frequency,
    harmonic_table,
)
from hear_aesthetics.synthesis.score import Note, Performance

__all__ = ["LEADS", "VOWELS", "LeadTimbre", "morphing_tone", "render_lead", "spectral_states"]

CONTROL_RATE = 200  # Hz, of pitch and amplitude curves
# Centre frequencies of the first four formants of an adult male voice, in Hz
VOWELS = {
    "a": (730, 1090, 2440, 3400),
    "e": (530, 1840, 2480, 3500),
    "i": (270, 2290, 3010, 3600),
    "o": (570, 840, 2410, 3300),
    "u": (300, 870, 2240, 3300),
}
FORMANT_GAINS = (1.0, 0.6, 0.35, 0.2)
FORMANT_WIDTHS = (90.0, 120.0, 180.0, 260.0)  # Hz
FLOOR = 0.03  # of the envelope between formants
LEGATO_GAP = 0.06  # seconds; longer gaps are rests
BREATH_GAP, BREATH_SECONDS = 0.28, 0.3
VIBRATO_HZ, VIBRATO_DELAY = 5.4, 0.18


@dataclass(frozen=True)
class LeadTimbre:
    """A singing voice or solo instrument.

    Attributes:
        name: For readers.
        spectra: Sets of resonances (Hz) between which the tone moves; a voice's vowels.
        scale: Factor of all resonances: a shorter vocal tract has higher formants.
        slope: Source slope, exponent of the harmonic number.
        depth: How far the resonances stand out, 0 (not at all) to 1.
        air: Level of the noise in the tone.
        sings: Whether it has syllables (vowel changes and consonants).
        octave: Of the tonic in the melody; 5 starts at C4.
    """

    name: str
    spectra: tuple[tuple[int, ...], ...]
    scale: float
    slope: float
    depth: float
    air: float
    sings: bool
    octave: int


_VOWEL_SET = tuple(VOWELS.values())
LEADS = {
    "female voice": LeadTimbre("female voice", _VOWEL_SET, 1.17, 0.9, 1.0, 0.03, True, 5),
    "male voice": LeadTimbre("male voice", _VOWEL_SET, 1.0, 0.8, 1.0, 0.03, True, 4),
    "solo violin": LeadTimbre("violin", ((460, 1100, 2600, 3800),), 1.0, 0.9, 0.7, 0.02, False, 5),
    "solo flute": LeadTimbre("flute", ((700, 1400, 2400, 4000),), 1.0, 2.0, 0.3, 0.08, False, 5),
    "solo saxophone": LeadTimbre(
        "saxophone", ((550, 1250, 2300, 3500),), 1.0, 0.9, 0.8, 0.04, False, 4
    ),
}


def spectral_states(
    timbre: LeadTimbre,
    pitches: np.ndarray,
    vowels: np.ndarray,
    effort: np.ndarray,
    buzz: float,
    sample_rate: int,
) -> np.ndarray:
    """Returns one wavetable per state.

    Args:
        timbre: Resonances and slope.
        pitches: MIDI pitch of each state, ``(states,)``.
        vowels: Resonances of each state in Hz, ``(states, formants)``.
        effort: In [0, 1]; more effort is a flatter spectrum, ``(states,)``.
        buzz: Share of a sawtooth without resonances.
        sample_rate: In Hz.

    Shape:
        - output: ``(states, TABLE_SIZE)`` float32
    """
    hertz = np.asarray(frequency(pitches))[:, None]
    number = np.arange(1, MAX_HARMONICS + 1)
    at = hertz * number  # (states, harmonics)
    centres = timbre.scale * vowels[:, None, :]
    half_widths = timbre.scale * np.array(FORMANT_WIDTHS) / 2
    peaks = np.array(FORMANT_GAINS) / (1.0 + ((at[:, :, None] - centres) / half_widths) ** 2)
    envelope = (1.0 - timbre.depth) + timbre.depth * (FLOOR + peaks.sum(axis=-1))
    alive = number ** -(timbre.slope + 0.5 * (1.0 - effort[:, None])) * envelope
    alive /= np.linalg.norm(alive, axis=-1, keepdims=True)
    saw = np.broadcast_to(1.0 / number, at.shape) / np.linalg.norm(1.0 / number)
    amplitudes = np.where(
        at < NYQUIST_SHARE * sample_rate / 2, (1 - buzz) * alive + buzz * saw, 0.0
    )
    return harmonic_table(amplitudes)


def morphing_tone(
    pitch: np.ndarray, morph: np.ndarray, tables: np.ndarray, samples: int, sample_rate: int
) -> np.ndarray:
    """Returns a tone that follows a pitch curve through spectral states.

    Args:
        pitch: MIDI pitch at ``CONTROL_RATE``.
        morph: Position among the states at ``CONTROL_RATE``: 2.25 is a quarter of the way from
            state 2 to state 3.
        tables: ``(states, TABLE_SIZE)``.
        samples: Length of the output.
        sample_rate: In Hz.
    """
    time = np.arange(samples) * (CONTROL_RATE / sample_rate)
    control = np.arange(len(pitch))
    hertz = np.interp(time, control, np.asarray(frequency(pitch)))
    phase = np.cumsum(hertz / sample_rate)
    column = (phase * TABLE_SIZE).astype(np.int64) & (TABLE_SIZE - 1)
    position = np.interp(time, control, morph)
    state = np.minimum(position.astype(np.int64), len(tables) - 1)
    share = (position - state).astype(np.float32)
    flat = tables.reshape(-1)
    here = flat[state * TABLE_SIZE + column]
    there = flat[np.minimum(state + 1, len(tables) - 1) * TABLE_SIZE + column]
    return here + share * (there - here)


def _smooth_noise(count: int, rng: np.random.Generator, cutoff_hz: float = 3.0) -> np.ndarray:
    sections = butter(2, cutoff_hz, fs=CONTROL_RATE, output="sos")
    noise = sosfilt(sections, rng.standard_normal(count + CONTROL_RATE))[CONTROL_RATE:]
    return noise / (np.std(noise) + 1e-9)


def _pitch_curve(
    notes: Sequence[Note], time: np.ndarray, performance: Performance, rng: np.random.Generator
) -> np.ndarray:
    """Pitch over time: slides into each note, vibrato that sets in late, slow drift."""
    onsets = np.array([note.onset for note in notes])
    pitches = np.array([note.pitch for note in notes])
    ends = onsets + [note.seconds for note in notes]
    gaps = np.diff(onsets) - [note.seconds for note in notes[:-1]]
    origin = np.concatenate(
        [[pitches[0] - 1.0], np.where(gaps < LEGATO_GAP, pitches[:-1], pitches[1:] - 0.8)]
    )
    glide = np.minimum(performance.glide_seconds, 0.4 * (ends - onsets))
    anchors = np.stack([onsets, onsets + glide], axis=1).ravel()
    curve = np.interp(time, anchors, np.stack([origin, pitches], axis=1).ravel())
    since = time - onsets[np.maximum(np.searchsorted(onsets, time, side="right") - 1, 0)]
    growth = np.clip((since - VIBRATO_DELAY) / 0.25, 0.0, 1.0)
    rate = VIBRATO_HZ + 0.3 * _smooth_noise(len(time), rng)
    vibrato = np.sin(2 * np.pi * np.cumsum(rate) / CONTROL_RATE)
    cents = performance.vibrato_cents * growth * vibrato
    return curve + (cents + performance.drift_cents * _smooth_noise(len(time), rng)) / 100.0


def _amplitude_curve(
    notes: Sequence[Note], time: np.ndarray, performance: Performance
) -> np.ndarray:
    """Amplitude over time: attack, swell and release of each note; slurs only dip."""
    curve = np.zeros_like(time)
    attack = 0.012 + 0.04 * performance.dynamics
    for note in notes:
        first, last = np.searchsorted(time, (note.onset, note.onset + note.seconds))
        inside = time[first:last] - note.onset
        place = inside / note.seconds
        swell = 1.0 + performance.dynamics * 0.5 * (np.sin(np.pi * place) - 0.6)
        edges = np.minimum(inside / attack, (note.seconds - inside) / (0.8 * attack))
        curve[first:last] = note.velocity * swell * np.clip(edges, 0.0, 1.0)
    return curve


def _states(
    notes: Sequence[Note],
    time: np.ndarray,
    timbre: LeadTimbre,
    buzz: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns start and end vowel of each note, ``(2 notes, formants)``, the pitches, the morph."""
    spectra = np.array(timbre.spectra, float)
    chosen = rng.integers(len(spectra), size=len(notes))
    inner = np.where(
        rng.random(len(notes)) < 0.4, rng.integers(len(spectra), size=len(notes)), chosen
    )
    alive = 1.0 - buzz  # a robot stays on one vowel
    neutral = spectra.mean(axis=0)
    vowels = neutral + alive * (spectra[np.stack([chosen, inner], axis=1).ravel()] - neutral)
    pitches = np.repeat([note.pitch for note in notes], 2)
    onsets = np.array([note.onset for note in notes])
    ends = onsets + 0.7 * np.array([note.seconds for note in notes])
    anchors = np.stack([onsets + 0.02, np.maximum(ends, onsets + 0.03)], axis=1).ravel()
    morph = np.interp(time, anchors, np.arange(len(anchors), dtype=float))
    return vowels, pitches, morph


def _band_noise(
    samples: int, low: float, high: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    band = (low, min(high, 0.47 * sample_rate))
    sections = butter(2, band, "bandpass", fs=sample_rate, output="sos").astype(np.float32)
    noise = sosfilt(sections, rng.standard_normal(samples, np.float32))
    return noise / (np.std(noise) + np.float32(1e-9))


def _add(target: np.ndarray, start: int, sound: np.ndarray) -> None:
    """Adds a sound in place, cut where the target begins and ends."""
    skip = max(0, -start)
    sound = sound[skip : skip + max(0, len(target) - max(0, start))]
    target[max(0, start) : max(0, start) + len(sound)] += sound


def _add_air(
    tone: np.ndarray,
    notes: Sequence[Note],
    performance: Performance,
    timbre: LeadTimbre,
    sample_rate: int,
    rng: np.random.Generator,
) -> None:
    """Adds, in place, breaths before phrases and consonants at the start of syllables."""
    length = round(BREATH_SECONDS * sample_rate)
    breath = 0.11 * np.sin(np.pi * np.linspace(0, 1, length)) ** 2
    breath = (breath * _band_noise(length, 700, 4500, sample_rate, rng)).astype(np.float32)
    sibilant = _band_noise(round(0.09 * sample_rate), 3500, 8000, sample_rate, rng)
    sibilant = (0.16 * np.hanning(len(sibilant)) * sibilant).astype(np.float32)
    previous_end = -1.0
    articulated = rng.random(len(notes)) < 0.4
    for note, consonant in zip(notes, articulated, strict=True):
        if note.onset - previous_end > BREATH_GAP:
            start = round((note.onset - BREATH_SECONDS - 0.03) * sample_rate)
            _add(tone, start, np.float32(performance.breath) * breath)
        elif consonant and timbre.sings:
            start = round((note.onset - 0.05) * sample_rate)
            _add(tone, start, np.float32((1.0 - performance.buzz) * note.velocity) * sibilant)
        previous_end = note.onset + note.seconds


def render_lead(
    notes: Sequence[Note],
    samples: int,
    performance: Performance,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Renders a melody of one lead, monophonic and legato where notes touch.

    Args:
        notes: By onset, all of the same instrument, a name in ``LEADS``.
        samples: Length of the output.
        performance: How it is sung or played.
        sample_rate: In Hz.
        rng: For vowels, drift and noise.

    Shape:
        - output: ``(samples,)`` float32, about 0.7 RMS where it sounds
    """
    timbre = LEADS[notes[0].instrument]
    time = np.arange(samples * CONTROL_RATE // sample_rate + 2) / CONTROL_RATE
    pitch = _pitch_curve(notes, time, performance, rng)
    amplitude = _amplitude_curve(notes, time, performance)
    vowels, pitches, morph = _states(notes, time, timbre, performance.buzz, rng)
    effort = np.repeat([note.velocity for note in notes], 2)
    tables = spectral_states(timbre, pitches, vowels, effort, performance.buzz, sample_rate)
    tone = morphing_tone(pitch, morph, tables, samples, sample_rate)
    air = timbre.air * (0.3 + performance.breath) * (1.0 - performance.buzz)
    if air:
        tone += np.float32(air) * _band_noise(samples, 1000, 6000, sample_rate, rng)
    gain = np.interp(np.arange(samples) / sample_rate, time, amplitude)
    tone = (tone * gain).astype(np.float32)
    _add_air(tone, notes, performance, timbre, sample_rate, rng)
    return tone
