"""Renderer of the lead: a singing voice or solo instrument as one continuous tone.

Pitch and amplitude are curves through anchors at a control rate, the spectrum moves between
*states* (a vowel at a pitch, see ``wavetable.morphing_tone``). So glides, vibrato and diphthongs
cost no more than a dead tone.
"""

from collections.abc import Sequence

import numpy as np
from scipy.signal import butter, sosfilt

from hear_aesthetics.synthesis.composition.records import Note, Performance
from hear_aesthetics.synthesis.sound.effects import add_sound
from hear_aesthetics.synthesis.sound.formants import LeadTimbre, spectral_states
from hear_aesthetics.synthesis.sound.noise import band_noise
from hear_aesthetics.synthesis.sound.wavetable import (
    CONTROL_RATE,
    control_times,
    morphing_tone,
    to_audio_rate,
)

__all__ = ["render_lead"]

LEGATO_GAP = 0.06  # seconds; longer gaps are rests
SCOOP = 0.8  # semitones below the pitch at which a note after a rest begins
VIBRATO_HZ, VIBRATO_DELAY, VIBRATO_GROWTH = 5.4, 0.18, 0.25
DRIFT_HZ = 3.0  # how fast pitch and vibrato rate wander
ATTACK_SECONDS, SOFT_ATTACK_SECONDS = 0.012, 0.04  # without dynamics, and added by them
DIPHTHONGS, CONSONANTS = 3, 4  # of every 7 syllables glide, of every 11 begin with a sibilant
BREATH_GAP, BREATH_SECONDS = 0.28, 0.3  # a rest that asks for a breath, and its length
BREATH_LEVEL, BREATH_BAND = 0.11, (700, 4500)
SIBILANT_LEVEL, SIBILANT_BAND, SIBILANT_SECONDS = 0.16, (3500, 8000), 0.09
AIR_BAND = (1000, 6000)
METAL_HZ = (55.0, 95.0)  # of the ring modulation; one frequency per passage
CLICK_LEVEL, CLICK_BAND, CLICK_SECONDS = 1.0, (2000, 9000), 0.006


def _wandering(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return slow noise at unit standard deviation, ``(count,)`` at the control rate."""
    sections = butter(2, DRIFT_HZ, fs=CONTROL_RATE, output="sos")
    noise = sosfilt(sections, rng.standard_normal(count + CONTROL_RATE))[CONTROL_RATE:]
    return noise / (np.std(noise) + 1e-9)


def _pitch_curve(
    notes: Sequence[Note], time: np.ndarray, performance: Performance, rng: np.random.Generator
) -> np.ndarray:
    """Return pitch over time: slides into each note, vibrato that sets in late, slow drift."""
    onsets = np.array([note.onset for note in notes])
    pitches = np.array([note.pitch for note in notes])
    ends = onsets + [note.seconds for note in notes]
    slurred = onsets[1:] - ends[:-1] < LEGATO_GAP
    scooped = pitches - SCOOP
    origin = np.concatenate([scooped[:1], np.where(slurred, pitches[:-1], scooped[1:])])
    ends[:-1] = np.minimum(ends[:-1], onsets[1:])
    glide = np.minimum(performance.glide_seconds, 0.4 * (ends - onsets))
    anchors = np.stack([onsets, onsets + glide, ends], axis=1).ravel()
    curve = np.interp(time, anchors, np.stack([origin, pitches, pitches], axis=1).ravel())
    since = time - onsets[np.maximum(np.searchsorted(onsets, time, side="right") - 1, 0)]
    growth = np.clip((since - VIBRATO_DELAY) / VIBRATO_GROWTH, 0.0, 1.0)
    rate = VIBRATO_HZ + 0.3 * _wandering(len(time), rng)
    vibrato = np.sin(2 * np.pi * np.cumsum(rate) / CONTROL_RATE)
    cents = performance.vibrato_cents * growth * vibrato
    return curve + (cents + performance.drift_cents * _wandering(len(time), rng)) / 100.0


def _amplitude_curve(
    notes: Sequence[Note], time: np.ndarray, performance: Performance
) -> np.ndarray:
    """Return amplitude over time: attack, swell and release of each note; slurs only dip."""
    curve = np.zeros_like(time)
    attack = ATTACK_SECONDS + SOFT_ATTACK_SECONDS * performance.dynamics
    for note in notes:
        first, last = np.searchsorted(time, (note.onset, note.onset + note.seconds))
        inside = time[first:last] - note.onset
        place = inside / note.seconds
        swell = 1.0 + performance.dynamics * 0.5 * (np.sin(np.pi * place) - 0.6)
        edges = np.minimum(inside / attack, (note.seconds - inside) / (0.8 * attack))
        curve[first:last] = note.velocity * swell * np.clip(edges, 0.0, 1.0)
    return curve


def _states(
    notes: Sequence[Note], time: np.ndarray, timbre: LeadTimbre, buzz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return resonances and pitches of two states per note, and the morph between them."""
    spectra = np.array(timbre.spectra, float)
    syllables = np.array([note.syllable for note in notes])
    chosen = syllables % len(spectra)
    inner = np.where(syllables % 7 < DIPHTHONGS, syllables // 7 % len(spectra), chosen)
    alive = 1.0 - buzz  # a robot stays on one vowel
    neutral = spectra.mean(axis=0)
    vowels = neutral + alive * (spectra[np.stack([chosen, inner], axis=1).ravel()] - neutral)
    pitches = np.repeat([note.pitch for note in notes], 2)
    onsets = np.array([note.onset for note in notes])
    ends = onsets + 0.7 * np.array([note.seconds for note in notes])
    anchors = np.stack([onsets + 0.02, np.maximum(ends, onsets + 0.03)], axis=1).ravel()
    morph = np.interp(time, anchors, np.arange(len(anchors), dtype=float))
    return vowels, pitches, morph


def _puff(
    seconds: float, band: tuple[int, int], sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Return noise that swells and dies away, float32."""
    samples = round(seconds * sample_rate)
    swell = np.hanning(samples).astype(np.float32)
    return swell * band_noise(samples, *band, sample_rate, rng)


def _add_air(
    tone: np.ndarray,
    notes: Sequence[Note],
    performance: Performance,
    timbre: LeadTimbre,
    sample_rate: int,
    rng: np.random.Generator,
) -> None:
    """Add in place breaths before phrases and consonants at the start of syllables."""
    breath = _puff(BREATH_SECONDS, BREATH_BAND, sample_rate, rng)
    breath *= BREATH_LEVEL * performance.breath
    sibilant = _puff(SIBILANT_SECONDS, SIBILANT_BAND, sample_rate, rng)
    sibilant *= SIBILANT_LEVEL * (1.0 - performance.buzz)
    previous_end = -1.0
    for note in notes:
        if note.onset - previous_end > BREATH_GAP:
            add_sound(tone, round(note.onset * sample_rate) - len(breath), breath)
        elif timbre.sings and note.syllable % 11 < CONSONANTS:
            start = round(note.onset * sample_rate) - len(sibilant) // 2
            add_sound(tone, start, np.float32(note.velocity) * sibilant)
        previous_end = note.onset + note.seconds


def _ring(samples: int, depth: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return the ring modulation of a metallic voice, float32."""
    cycles = np.arange(samples) * (rng.uniform(*METAL_HZ) / sample_rate)
    return (1.0 - depth + depth * np.sqrt(2) * np.cos(2 * np.pi * cycles)).astype(np.float32)


def render_lead(
    timbre: LeadTimbre,
    notes: Sequence[Note],
    samples: int,
    performance: Performance,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Render a melody of one lead, its notes by onset, legato where they touch.

    Shape:
        - output: ``(samples,)`` float32, about 0.7 RMS where it sounds
    """
    time = control_times(samples, sample_rate)
    pitch = _pitch_curve(notes, time, performance, rng)
    amplitude = _amplitude_curve(notes, time, performance)
    vowels, pitches, morph = _states(notes, time, timbre, performance.buzz)
    effort = np.repeat([note.velocity for note in notes], 2)
    tables = spectral_states(timbre, pitches, vowels, effort, performance.buzz, sample_rate)
    tone = morphing_tone(pitch, morph, tables, samples, sample_rate)
    air = timbre.air * (0.3 + performance.breath) * (1.0 - performance.buzz)
    if air:
        tone += np.float32(air) * band_noise(samples, *AIR_BAND, sample_rate, rng)
    tone *= _ring(samples, performance.metal, sample_rate, rng)
    tone = (tone * to_audio_rate(amplitude, samples, sample_rate)).astype(np.float32)
    click = _puff(CLICK_SECONDS, CLICK_BAND, sample_rate, rng)
    click *= np.float32(CLICK_LEVEL * performance.clicks)
    for note in notes:  # joined one by one
        add_sound(tone, round(note.onset * sample_rate) - len(click) // 2, click)
    _add_air(tone, notes, performance, timbre, sample_rate, rng)
    return tone
