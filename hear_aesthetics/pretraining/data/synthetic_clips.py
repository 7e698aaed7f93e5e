"""Rendered training clips, free of licences: speech, notes, chords, drums, noise and songs.

Each clip has a room of its own. Level, background and bandwidth are drawn later, whenever a clip is
used (:mod:`hear_aesthetics.pretraining.data.augmentation`).
"""

from collections.abc import Callable

import numpy as np

from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis import (
    DRUMS,
    INSTRUMENTS,
    band_noise,
    coloured_noise,
    compose,
    render,
    render_drum,
    render_note,
    reverb,
    speech_like,
    tilt,
)
from hear_aesthetics.synthesis.composition.composer import MIN_SECONDS
from hear_aesthetics.synthesis.composition.qualities import pick
from hear_aesthetics.synthesis.sound.effects import add_sound
from hear_aesthetics.synthesis.sound.timbres import Timbre, vary

__all__ = ["KINDS", "at_peak", "in_room", "log_uniform", "noise_bursts", "render_clip"]

LOWEST, HIGHEST = 24.0, 103.0  # MIDI pitches of notes: 33 Hz to 3.1 kHz
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8), (0, 5, 7), (0, 4, 7, 10), (0, 3, 7, 10))
ROOM_SHARE, TILT_SHARE, TILT_DB = 0.5, 0.5, 4.0
WAVE_LIMIT = 0.95  # peak of a clip: the pool stores 16 bit


def _pick_timbre(rng: np.random.Generator) -> Timbre:
    return vary(INSTRUMENTS[pick(rng, sorted(INSTRUMENTS))], rng)


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a number between two, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _add(wave: np.ndarray, sound: np.ndarray, onset: float) -> None:
    add_sound(wave, round(onset * SAMPLE_RATE), sound)


def _empty(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def _notes(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return single notes of one instrument: a random walk with occasional leaps."""
    wave, timbre, now = _empty(seconds), _pick_timbre(rng), float(rng.uniform(0.0, 0.2))
    pitch = rng.uniform(LOWEST, HIGHEST)
    while now < seconds:
        leap = rng.random() < 0.3
        pitch = rng.uniform(LOWEST, HIGHEST) if leap else pitch + rng.integers(-7, 8)
        pitch = float(np.clip(pitch, LOWEST, HIGHEST))
        length = log_uniform(0.08, 2.0, rng)
        velocity = float(rng.uniform(0.4, 1.0))
        _add(wave, render_note(timbre, pitch, length, velocity, SAMPLE_RATE, rng), now)
        now += length * float(rng.uniform(0.7, 1.5))
    return wave


def _chords(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return chords of one instrument, their notes struck together or one after the other."""
    wave, timbre, now = _empty(seconds), _pick_timbre(rng), float(rng.uniform(0.0, 0.2))
    while now < seconds:
        intervals = pick(rng, CHORDS)
        root, length = float(rng.uniform(36, 76)), log_uniform(0.3, 2.5, rng)
        spread = float(rng.choice([0.0, 0.02, 0.12]))
        for index, interval in enumerate(intervals):
            note = render_note(timbre, root + interval, length, 0.7, SAMPLE_RATE, rng)
            _add(wave, note, now + spread * index)
        now += length * float(rng.uniform(0.8, 1.3))
    return wave


def _drums(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return hits of a few drums on an even grid, each drum with its own density."""
    wave, step = _empty(seconds), log_uniform(0.09, 0.4, rng)
    names = rng.permutation(sorted(DRUMS))[: int(rng.integers(1, 5))]
    for name in names:
        density = rng.uniform(0.1, 0.7)
        for onset in np.arange(0.0, seconds, step):
            if rng.random() < density:
                hit = render_drum(str(name), float(rng.uniform(0.4, 1.0)), SAMPLE_RATE, rng)
                _add(wave, hit, float(onset))
    return wave


def noise_bursts(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return bursts of band noise over a bed of coloured noise."""
    bed = coloured_noise(round(seconds * SAMPLE_RATE), rng.uniform(0.0, 2.0), SAMPLE_RATE, rng)
    wave, now = np.float32(rng.uniform(0.02, 0.5)) * bed, float(rng.uniform(0.0, 0.5))
    while now < seconds:
        length, low = log_uniform(0.05, 1.5, rng), log_uniform(80.0, 5000.0, rng)
        samples = round(length * SAMPLE_RATE)
        burst = band_noise(samples, low, low * rng.uniform(1.3, 4.0), SAMPLE_RATE, rng)
        _add(wave, burst * np.hanning(samples).astype(np.float32), now)
        now += length + log_uniform(0.05, 1.0, rng)
    return wave


def _song(seconds: float, rng: np.random.Generator) -> np.ndarray:
    song = compose(int(rng.integers(2**31)), max(seconds, MIN_SECONDS))
    return render(song, SAMPLE_RATE)[: round(seconds * SAMPLE_RATE)]


# Kind -> renderer, and share of the clips
KINDS: dict[str, tuple[Callable[[float, np.random.Generator], np.ndarray], float]] = {
    "speech": (speech_like, 0.38),
    "notes": (_notes, 0.2),
    "chords": (_chords, 0.12),
    "drums": (_drums, 0.08),
    "noise": (noise_bursts, 0.07),
    "song": (_song, 0.15),
}


def render_clip(seed: int, index: int, seconds: float) -> np.ndarray:
    """Return a clip of a random kind in a random room; equal arguments give equal samples.

    Shape:
        - output: ``(round(seconds * 24_000),)`` float32 in [-1, 1]
    """
    rng = np.random.default_rng((seed, index))
    shares = np.array([share for _, share in KINDS.values()])
    kind = tuple(KINDS)[int(rng.choice(len(KINDS), p=shares / shares.sum()))]
    wave = KINDS[kind][0](seconds, rng)
    return at_peak(wave if kind == "song" else in_room(wave, rng))  # songs have a room and a tone


def in_room(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a waveform with another tone, in a room: each for half of the clips."""
    if rng.random() < TILT_SHARE:
        wave = tilt(wave, float(rng.uniform(-TILT_DB, TILT_DB)), SAMPLE_RATE)
    if rng.random() < ROOM_SHARE:
        room = log_uniform(0.1, 1.5, rng)
        wave = reverb(wave, room, float(rng.uniform(0.05, 0.4)), SAMPLE_RATE, rng)
    return wave


def at_peak(wave: np.ndarray) -> np.ndarray:
    """Return a waveform whose peak is just below full scale, float32."""
    peak = float(np.abs(wave).max())
    return (wave * np.float32(WAVE_LIMIT / max(peak, 1e-6))).astype(np.float32)
