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


def _burst(
    time: np.ndarray, noise: Noise, level: float, decay: float, low: float, high: float
) -> np.ndarray:
    """Return noise between ``low`` and ``high`` Hz that dies away."""
    return level * np.exp(-time / decay) * noise(low, high)


def _kick(time: np.ndarray, noise: Noise) -> np.ndarray:
    skin = 1.6 * _falling_sine(time, 160, 52, 0.03) * np.exp(-time / 0.11)
    return skin + _burst(time, noise, 0.3, 0.004, 1500, 6000)


def _snare(time: np.ndarray, noise: Noise) -> np.ndarray:
    skin = _falling_sine(time, 230, 185, 0.02) * np.exp(-time / 0.06)
    return 0.8 * skin + _burst(time, noise, 0.6, 0.07, 1200, 8000)


def _tom(time: np.ndarray, noise: Noise) -> np.ndarray:
    skin = _falling_sine(time, 170, 110, 0.05) * np.exp(-time / 0.14)
    return 1.2 * skin + _burst(time, noise, 0.1, 0.02, 500, 4000)


def _shaker(time: np.ndarray, noise: Noise) -> np.ndarray:
    swell = np.sin(np.pi * np.minimum(time / 0.09, 1.0))
    return 0.3 * swell * noise(4000, 9000)


def _rim(time: np.ndarray, noise: Noise) -> np.ndarray:
    wood = np.sin(2 * np.pi * 1700 * time) + 0.6 * np.sin(2 * np.pi * 2630 * time)
    return 0.5 * wood * np.exp(-time / 0.012)


# Name -> seconds, and what sounds at each time with noise of as many samples between two edges
DRUMS: dict[str, tuple[float, Callable[[np.ndarray, Noise], np.ndarray]]] = {
    "kick": (0.4, _kick),
    "snare": (0.3, _snare),
    "closed hat": (0.09, partial(_burst, level=0.45, decay=0.022, low=6000, high=11000)),
    "open hat": (0.45, partial(_burst, level=0.4, decay=0.14, low=5500, high=11000)),
    "tom": (0.4, _tom),
    "shaker": (0.12, _shaker),
    "rim": (0.08, _rim),
    "crash": (1.4, partial(_burst, level=0.4, decay=0.45, low=3000, high=11000)),
}


def render_drum(
    drum: str,
    velocity: float = 0.8,
    sample_rate: int = 24_000,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Render one hit of a drum of ``DRUMS``, ``(samples,)`` float32.

    Without an ``rng`` the noise is the same in every call.

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
