"""Augmentation: batches of crops at random speed, mix, bandwidth, level and noise floor.

Recordings differ from rendered sound most in level, noise floor and bandwidth; all three are drawn
anew for every clip.
"""

import io

import numpy as np
import soundfile
from scipy import fft
from torch import Tensor, from_numpy

from hear_aesthetics.pretraining.data.pool import Pool
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["add_background", "change_recording", "draw_batch", "generator", "through_codec"]

SPEED = 0.2  # natural logarithm of the highest speed
MIX_SHARE, MIX_DB = 0.3, (-20.0, -3.0)
PAUSE_SHARE = 0.3
LOW_PASS_SHARE, LOW_PASS_HZ = 0.5, (3400.0, 11_500.0)
LEVEL_DB, FLOOR_DB = (-40.0, -10.0), (-85.0, -40.0)
CODEC_SHARE, VORBIS_LEVELS = 0.15, (0.3, 1.0)  # quality falls with libsndfile's level
MU = 255.0  # of G.711's mu-law
QUIETEST = 1e-5  # RMS below which a crop counts as silence and keeps its level


def generator(seed: int, purpose: str, step: int) -> np.random.Generator:
    """Return the random generator of a purpose and step, so that a run can resume anywhere."""
    return np.random.default_rng((seed, step, *purpose.encode()))


def draw_batch(
    pool: Pool,
    rng: np.random.Generator,
    batch: int,
    samples: int,
    *,
    held_out: bool = False,
    augment: bool = True,
) -> Tensor:
    """Return augmented clips, of the held-out ones or of all others.

    Args:
        pool: Audio to draw from.
        rng: Source of randomness.
        batch: Number of clips.
        samples: Length of a clip.
        held_out: Draw from the held-out clips of the pool instead of the others.
        augment: Change the clips; otherwise they are parts of the pool's, as they are.

    Shape:
        - output: ``(batch, samples)`` float32 in [-1, 1]
    """
    last = len(pool.clips) - pool.held_out
    clips = range(last, len(pool.clips)) if held_out else range(last)
    draw = _example if augment else _part
    rows = [draw(pool, clips, rng, samples) for _ in range(batch)]
    return from_numpy(np.stack(rows))


def _example(pool: Pool, clips: range, rng: np.random.Generator, samples: int) -> np.ndarray:
    wave = _crop(pool, clips, rng, samples)
    if rng.random() < MIX_SHARE:
        wave = add_background(wave, _crop(pool, clips, rng, samples), rng)
    if rng.random() < PAUSE_SHARE:
        first, last = np.sort(rng.integers(0, samples, 2))
        wave[:first] = 0.0
        wave[last + samples // 4 :] = 0.0
    return change_recording(wave, rng)


def change_recording(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a waveform, ``(samples,)``, at another level, noise floor and bandwidth."""
    wave = wave * np.float32(_amplitude(LEVEL_DB, rng) / _rms(wave))
    hiss = rng.standard_normal(len(wave), np.float32)
    wave = wave + np.float32(_amplitude(FLOOR_DB, rng)) * hiss
    if rng.random() < LOW_PASS_SHARE:
        wave = _low_pass(wave, float(np.exp(rng.uniform(*np.log(LOW_PASS_HZ)))))
    return np.clip(wave, -1.0, 1.0, dtype=np.float32)


def add_background(wave: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a waveform with another one below it."""
    return wave + other * np.float32(_amplitude(MIX_DB, rng) * _rms(wave) / _rms(other))


def through_codec(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a waveform; some went through mu-law of 8 bits, some through Vorbis: none is delayed.

    Shape:
        - wave, output: ``(samples,)`` float32 in [-1, 1]
    """
    chosen = rng.random()
    if chosen < CODEC_SHARE / 2:
        coded = np.rint(np.log1p(MU * np.abs(wave)) / np.log1p(MU) * 127) / 127
        return (np.sign(wave) * np.expm1(coded * np.log1p(MU)) / MU).astype(np.float32)
    if chosen < CODEC_SHARE:
        file, level = io.BytesIO(), float(rng.uniform(*VORBIS_LEVELS))
        options = {"format": "OGG", "subtype": "VORBIS", "compression_level": level}
        soundfile.write(file, wave, SAMPLE_RATE, **options)
        file.seek(0)
        decoded: np.ndarray = soundfile.read(file, dtype="float32")[0][: len(wave)]
        return np.pad(decoded, (0, len(wave) - len(decoded)))
    return wave


def _part(pool: Pool, clips: range, rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return a random part of a random clip."""
    first = int(rng.integers(0, pool.clips.shape[1] - samples + 1))
    return pool.crop(clips[int(rng.integers(len(clips)))], first, samples)


def _crop(pool: Pool, clips: range, rng: np.random.Generator, samples: int) -> np.ndarray:
    """Return a part of a random clip, played faster or slower."""
    length = pool.clips.shape[1]
    speed = min(float(np.exp(rng.uniform(-SPEED, SPEED))), (length - 1) / samples)
    needed = int(samples * speed) + 1
    first = int(rng.integers(0, length - needed + 1))
    source = pool.crop(clips[int(rng.integers(len(clips)))], first, needed)
    at = np.arange(samples) * speed
    return np.interp(at, np.arange(needed), source).astype(np.float32)


def _low_pass(wave: np.ndarray, hertz: float) -> np.ndarray:
    """Return the waveform without anything above ``hertz``."""
    spectrum = fft.rfft(wave)
    spectrum[round(hertz * len(wave) / SAMPLE_RATE) :] = 0.0
    return fft.irfft(spectrum, len(wave))


def _amplitude(decibels: tuple[float, float], rng: np.random.Generator) -> float:
    return float(10 ** (rng.uniform(*decibels) / 20))


def _rms(wave: np.ndarray) -> float:
    return max(float(np.sqrt(np.mean(np.square(wave)))), QUIETEST)
