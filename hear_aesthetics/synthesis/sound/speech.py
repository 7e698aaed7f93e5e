"""Speech-like sound: syllables of consonants and gliding vowels under a falling intonation."""

import numpy as np

from hear_aesthetics.synthesis.composition.qualities import pick
from hear_aesthetics.synthesis.sound.effects import add_sound
from hear_aesthetics.synthesis.sound.formants import VOWELS, LeadTimbre, spectral_states
from hear_aesthetics.synthesis.sound.noise import band_noise
from hear_aesthetics.synthesis.sound.wavetable import control_times, morphing_tone, to_audio_rate

__all__ = ["speech_like"]

FRICATIVES = ((3800, 9500), (2200, 6500), (1200, 3500), (600, 2500))  # s, sh, ch, h, in Hz
PLOSIVES = 0.4  # share of the consonants; the others are fricatives
STOP_SECONDS, BURST_SECONDS = 0.045, 0.012  # closure and decay of a plosive
CONSONANT_LEVEL, SPEECH_RMS = 0.5, 0.1
EFFORT = 0.7


def _syllables(seconds: float, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return (consonant start, vowel start, end) of each syllable, with pauses between phrases."""
    syllables, now = [], float(rng.uniform(0.0, min(0.2, seconds / 4)))
    while now < seconds:
        for _ in range(int(rng.integers(4, 12))):
            consonant, vowel = rng.uniform(0.04, 0.12), rng.uniform(0.08, 0.26)
            syllables.append((now, now + consonant, now + consonant + vowel))
            now += consonant + vowel
        now += float(rng.uniform(0.2, 0.7))
    return [syllable for syllable in syllables if syllable[1] < seconds]


def _intonation(time: np.ndarray, speaker: float, rng: np.random.Generator) -> np.ndarray:
    """Return MIDI pitch over time: it wavers around the speaker's and falls every few seconds."""
    knots = np.arange(0.0, time[-1] + 0.6, 0.3)
    fall = -3.0 * (knots % 3.0) / 3.0
    return np.interp(time, knots, speaker + fall + rng.normal(0.0, 1.8, len(knots)))


def _voicing(time: np.ndarray, spoken: list[tuple[float, float, float]]) -> np.ndarray:
    """Return the amplitude of the vowels over time."""
    voiced = np.zeros_like(time)
    for _, start, end in spoken:
        first, last = np.searchsorted(time, (start, end))
        voiced[first:last] = np.sin(np.pi * np.linspace(0.08, 0.95, last - first)) ** 0.6
    return voiced


def _consonant(seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    samples = round(seconds * sample_rate)
    noise = band_noise(samples, *pick(rng, FRICATIVES), sample_rate, rng)
    if rng.random() < PLOSIVES:  # closure, then a burst
        closed = min(samples, round(STOP_SECONDS * sample_rate))
        noise[:closed] = 0.0
        noise[closed:] *= np.exp(-np.arange(samples - closed) / (BURST_SECONDS * sample_rate))
    else:
        noise *= np.hanning(samples)
    return (CONSONANT_LEVEL * noise / (np.std(noise) + 1e-9)).astype(np.float32)


def speech_like(seconds: float, rng: np.random.Generator, sample_rate: int = 24_000) -> np.ndarray:
    """Return babble of one random speaker: the sounds of speech without its words.

    Shape:
        - output: ``(round(seconds * sample_rate),)`` float32, RMS 0.1
    """
    samples = round(seconds * sample_rate)
    time = control_times(samples, sample_rate)
    height = rng.random()  # 0 low voice, long tract; 1 high voice, short tract
    vowels = tuple(VOWELS.values())
    speaker = LeadTimbre(name="speaker", spectra=vowels, slope=1.0, scale=0.95 + 0.35 * height)
    pitch = _intonation(time, 43.0 + 17.0 * height + rng.normal(0.0, 2.0), rng)
    spoken = _syllables(seconds, rng)

    anchors = [moment for _, start, end in spoken for moment in (start, end)] or [0.0]
    chosen = np.array(vowels, float)[rng.integers(len(vowels), size=len(anchors))]
    effort = np.full(len(anchors), EFFORT)
    at = np.interp(anchors, time, pitch)
    tables = spectral_states(speaker, at, chosen, effort, 0.0, sample_rate)
    morph = np.interp(time, anchors, np.arange(len(anchors), dtype=float))
    tone = morphing_tone(pitch, morph, tables, samples, sample_rate)
    tone *= to_audio_rate(_voicing(time, spoken), samples, sample_rate).astype(np.float32)
    for start, vowel, _ in spoken:
        add_sound(tone, round(start * sample_rate), _consonant(vowel - start, sample_rate, rng))
    return (SPEECH_RMS * tone / (np.sqrt(np.mean(tone**2)) + 1e-9)).astype(np.float32)
