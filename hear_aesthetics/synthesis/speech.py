"""Speech-like sound: syllables of consonants and gliding vowels under a falling intonation."""

import numpy as np
from scipy.signal import butter, sosfilt

from hear_aesthetics.synthesis.voice import (
    CONTROL_RATE,
    VOWELS,
    LeadTimbre,
    morphing_tone,
    spectral_states,
)

__all__ = ["speech_like"]

FRICATIVES = ((3800, 9500), (2200, 6500), (1200, 3500), (600, 2500))  # s, sh, ch, h, in Hz
STOP_SECONDS = 0.045  # silence before a plosive's burst


def _syllables(seconds: float, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Returns (consonant start, vowel start, end) of each syllable, with pauses between phrases."""
    syllables, now = [], float(rng.uniform(0.0, 0.2))
    while now < seconds:
        for _ in range(int(rng.integers(4, 12))):
            consonant, vowel = rng.uniform(0.04, 0.12), rng.uniform(0.08, 0.26)
            syllables.append((now, now + consonant, now + consonant + vowel))
            now += consonant + vowel
        now += float(rng.uniform(0.2, 0.7))
    return [syllable for syllable in syllables if syllable[2] < seconds]


def _intonation(time: np.ndarray, speaker: float, rng: np.random.Generator) -> np.ndarray:
    """MIDI pitch over time: wavers around the speaker's pitch and falls over each few seconds."""
    knots = np.arange(0.0, time[-1] + 0.6, 0.3)
    fall = -3.0 * (knots % 3.0) / 3.0
    return np.interp(time, knots, speaker + fall + rng.normal(0.0, 1.8, len(knots)))


def _consonant(seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    samples = round(seconds * sample_rate)
    low, high = FRICATIVES[int(rng.integers(len(FRICATIVES)))]
    sections = butter(
        2, (low, min(high, 0.47 * sample_rate)), "bandpass", fs=sample_rate, output="sos"
    )
    noise = sosfilt(sections, rng.standard_normal(samples))
    if rng.random() < 0.4:  # a plosive: closure, then a burst
        closed = min(samples, round(STOP_SECONDS * sample_rate))
        noise[:closed] = 0.0
        noise[closed:] *= np.exp(-np.arange(samples - closed) / (0.012 * sample_rate))
    else:
        noise *= np.hanning(samples)
    return (0.5 * noise / (np.std(noise) + 1e-9)).astype(np.float32)


def speech_like(seconds: float, rng: np.random.Generator, sample_rate: int = 24_000) -> np.ndarray:
    """Returns babble of one random speaker: the sounds of speech without its words.

    Args:
        seconds: Duration.
        rng: Chooses speaker, syllables and intonation.
        sample_rate: In Hz.

    Shape:
        - output: ``(round(seconds * sample_rate),)`` float32, RMS 0.1
    """
    samples = round(seconds * sample_rate)
    time = np.arange(samples * CONTROL_RATE // sample_rate + 2) / CONTROL_RATE
    height = rng.random()  # 0 low voice, long tract; 1 high voice, short tract
    speaker = 43.0 + 17.0 * height + rng.normal(0.0, 2.0)
    timbre = LeadTimbre(
        "speech", tuple(VOWELS.values()), 0.95 + 0.35 * height, 1.0, 1.0, 0.0, True, 4
    )
    spoken = _syllables(seconds, rng)
    pitch = _intonation(time, speaker, rng)
    anchors = [moment for _, start, end in spoken for moment in (start, end)] or [0.0]
    vowels = np.array(timbre.spectra, float)[rng.integers(len(VOWELS), size=len(anchors))]
    tables = spectral_states(
        timbre,
        np.interp(anchors, time, pitch),
        vowels,
        np.full(len(anchors), 0.7),
        0.0,
        sample_rate,
    )
    morph = np.interp(time, anchors, np.arange(len(anchors), dtype=float))
    voiced = np.zeros_like(time)
    for _, start, end in spoken:
        first, last = np.searchsorted(time, (start, end))
        voiced[first:last] = np.sin(np.pi * np.linspace(0.08, 0.95, last - first)) ** 0.6
    tone = morphing_tone(pitch, morph, tables, samples, sample_rate)
    tone *= np.interp(np.arange(samples) / sample_rate, time, voiced).astype(np.float32)
    for start, vowel, _ in spoken:
        noise = _consonant(vowel - start, sample_rate, rng)
        first = round(start * sample_rate)
        tone[first : first + len(noise)] += noise[: max(0, samples - first)]
    return (0.1 * tone / (np.sqrt(np.mean(tone**2)) + 1e-9)).astype(np.float32)
