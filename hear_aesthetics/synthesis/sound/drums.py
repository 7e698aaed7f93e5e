"""Drums and cymbals: falling sines, filtered noise, and short wooden tones."""

import numpy as np

from hear_aesthetics.synthesis.sound.noise import band_noise

__all__ = ["DRUMS", "render_drum"]


def _time(seconds: float, sample_rate: int) -> np.ndarray:
    return np.arange(round(seconds * sample_rate)) / sample_rate


def _noise(
    time: np.ndarray, low: float, high: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    return band_noise(len(time), low, high, sample_rate, rng)


def _falling_sine(time: np.ndarray, top: float, bottom: float, fall: float) -> np.ndarray:
    """A membrane's tone: its tension, and so its pitch, relaxes from ``top`` to ``bottom`` Hz."""
    cycles = bottom * time + (top - bottom) * fall * (1.0 - np.exp(-time / fall))
    return np.sin(2 * np.pi * cycles)


def _kick(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.4, sample_rate)
    click = 0.3 * np.exp(-time / 0.004) * _noise(time, 1500, 6000, sample_rate, rng)
    return 1.6 * _falling_sine(time, 160, 52, 0.03) * np.exp(-time / 0.11) + click


def _snare(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.3, sample_rate)
    skin = _falling_sine(time, 230, 185, 0.02) * np.exp(-time / 0.06)
    return 0.8 * skin + 0.6 * np.exp(-time / 0.07) * _noise(time, 1200, 8000, sample_rate, rng)


def _closed_hat(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.09, sample_rate)
    return 0.45 * np.exp(-time / 0.022) * _noise(time, 6000, 11000, sample_rate, rng)


def _open_hat(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.45, sample_rate)
    return 0.4 * np.exp(-time / 0.14) * _noise(time, 5500, 11000, sample_rate, rng)


def _tom(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.4, sample_rate)
    skin = _falling_sine(time, 170, 110, 0.05) * np.exp(-time / 0.14)
    return 1.2 * skin + 0.1 * np.exp(-time / 0.02) * _noise(time, 500, 4000, sample_rate, rng)


def _shaker(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.12, sample_rate)
    swell = np.sin(np.pi * np.minimum(time / 0.09, 1.0))
    return 0.3 * swell * _noise(time, 4000, 9000, sample_rate, rng)


def _rim(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(0.08, sample_rate)
    wood = np.sin(2 * np.pi * 1700 * time) + 0.6 * np.sin(2 * np.pi * 2630 * time)
    return 0.5 * wood * np.exp(-time / 0.012)


def _crash(sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    time = _time(1.4, sample_rate)
    return 0.4 * np.exp(-time / 0.45) * _noise(time, 3000, 11000, sample_rate, rng)


DRUMS = {
    "kick": _kick,
    "snare": _snare,
    "closed hat": _closed_hat,
    "open hat": _open_hat,
    "tom": _tom,
    "shaker": _shaker,
    "rim": _rim,
    "crash": _crash,
}


def render_drum(
    drum: str,
    velocity: float = 0.8,
    sample_rate: int = 24_000,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Renders one hit, ``(samples,)`` float32.

    Args:
        drum: A name in ``DRUMS``.
        velocity: In [0, 1].
        sample_rate: In Hz.
        rng: For the noise; without one it is the same for every call.

    Raises:
        ValueError: If the drum is unknown; the message lists the known ones.
    """
    if drum not in DRUMS:
        raise ValueError(f"unknown drum {drum!r}; choose one of: {', '.join(DRUMS)}")
    hit = DRUMS[drum](sample_rate, rng or np.random.default_rng(0))
    return (velocity * hit).astype(np.float32)
