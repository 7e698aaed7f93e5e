"""Drums and cymbals: falling sines, filtered noise, and short wooden tones."""

from collections.abc import Callable
from functools import partial

import numpy as np

from hear_aesthetics.synthesis.sound.noise import band_noise

__all__ = ["DRUMS", "render_drum"]

Noise = Callable[[float, float], np.ndarray]  # lower and upper edge in Hz -> samples


def _falling_sine(time: np.ndarray, top: float, bottom: float, fall: float) -> np.ndarray:
    """Return a membrane's tone, whose pitch relaxes from ``top`` to ``bottom`` Hz."""
    cycles = bottom * time + (top - bottom) * fall * (1.0 - np.exp(-time / fall))
    return np.sin(2 * np.pi * cycles)


def _kick(time: np.ndarray, noise: Noise) -> np.ndarray:
    click = 0.3 * np.exp(-time / 0.004) * noise(1500, 6000)
    return 1.6 * _falling_sine(time, 160, 52, 0.03) * np.exp(-time / 0.11) + click


def _snare(time: np.ndarray, noise: Noise) -> np.ndarray:
    skin = _falling_sine(time, 230, 185, 0.02) * np.exp(-time / 0.06)
    return 0.8 * skin + 0.6 * np.exp(-time / 0.07) * noise(1200, 8000)


def _closed_hat(time: np.ndarray, noise: Noise) -> np.ndarray:
    return 0.45 * np.exp(-time / 0.022) * noise(6000, 11000)


def _open_hat(time: np.ndarray, noise: Noise) -> np.ndarray:
    return 0.4 * np.exp(-time / 0.14) * noise(5500, 11000)


def _tom(time: np.ndarray, noise: Noise) -> np.ndarray:
    skin = _falling_sine(time, 170, 110, 0.05) * np.exp(-time / 0.14)
    return 1.2 * skin + 0.1 * np.exp(-time / 0.02) * noise(500, 4000)


def _shaker(time: np.ndarray, noise: Noise) -> np.ndarray:
    swell = np.sin(np.pi * np.minimum(time / 0.09, 1.0))
    return 0.3 * swell * noise(4000, 9000)


def _rim(time: np.ndarray, noise: Noise) -> np.ndarray:
    wood = np.sin(2 * np.pi * 1700 * time) + 0.6 * np.sin(2 * np.pi * 2630 * time)
    return 0.5 * wood * np.exp(-time / 0.012)


def _crash(time: np.ndarray, noise: Noise) -> np.ndarray:
    return 0.4 * np.exp(-time / 0.45) * noise(3000, 11000)


# Name -> seconds, and what sounds at each time with noise of as many samples between two edges
DRUMS: dict[str, tuple[float, Callable[[np.ndarray, Noise], np.ndarray]]] = {
    "kick": (0.4, _kick),
    "snare": (0.3, _snare),
    "closed hat": (0.09, _closed_hat),
    "open hat": (0.45, _open_hat),
    "tom": (0.4, _tom),
    "shaker": (0.12, _shaker),
    "rim": (0.08, _rim),
    "crash": (1.4, _crash),
}


def render_drum(
    drum: str,
    velocity: float = 0.8,
    sample_rate: int = 24_000,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Render one hit, ``(samples,)`` float32.

    Args:
        drum: A name in ``DRUMS``.
        velocity: In [0, 1].
        sample_rate: In Hz.
        rng: Source of the noise; default: the same for every call.

    Raises:
        ValueError: If the drum is unknown; the message lists the known ones.
    """
    if drum not in DRUMS:
        raise ValueError(f"unknown drum {drum!r}; choose one of: {', '.join(DRUMS)}")
    seconds, sound = DRUMS[drum]
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    rng = rng or np.random.default_rng(0)
    noise = partial(band_noise, len(time), sample_rate=sample_rate, rng=rng)
    return (velocity * sound(time, noise)).astype(np.float32)
