"""Five latent qualities of a synthetic song, their distribution, and the random streams.

A quality runs from 1 to 5. Draws follow a Gaussian copula: each quality is uniform on [1, 5] over a
population without generators, and any two correlate by about ``COMMON_VARIANCE``.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from scipy.special import ndtr

__all__ = [
    "COMMON_VARIANCE",
    "QUALITIES",
    "Generator",
    "Qualities",
    "even_draws",
    "make_generators",
    "pick",
    "sample_qualities",
    "stream",
]

LOWEST, HIGHEST = 1.0, 5.0
COMMON_VARIANCE = 0.5  # share of the variance common to all five: their pairwise correlation

T = TypeVar("T")


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream ``name`` of ``seed``.

    Every aspect of a song draws from its own stream, so that changing one quality leaves every
    other aspect of the song with that seed as it was.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of the options, each equally likely."""
    return options[int(rng.integers(len(options)))]


def even_draws(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return uniform draws from [0, 1), one from each ``count``-th of it, in random order.

    Compared with a threshold p they give a share of p with hardly any scatter, so that a song of
    few bars still shows the quality it was given.
    """
    return (rng.permutation(count) + rng.random(count)) / count


@dataclass(frozen=True)
class Qualities:
    """Quality of a song per dimension, from 1 (bad) to 5 (excellent).

    Raises:
        ValueError: If a value lies outside [1, 5].
    """

    coherence: float = 5.0
    musicality: float = 5.0
    memorability: float = 5.0
    clarity: float = 5.0
    naturalness: float = 5.0

    def __post_init__(self) -> None:
        for name in QUALITIES:
            value = getattr(self, name)
            if not LOWEST <= value <= HIGHEST:
                raise ValueError(f"{name} is {value}, expected a value between 1 and 5")

    def degree(self, name: str) -> float:
        """Return quality ``name`` scaled to [0, 1]."""
        return (float(getattr(self, name)) - LOWEST) / (HIGHEST - LOWEST)

    def as_array(self) -> np.ndarray:
        """Return the values in the order of ``QUALITIES``, ``(5,)`` float64."""
        return np.array([getattr(self, name) for name in QUALITIES])


QUALITIES = tuple(field.name for field in fields(Qualities))


@dataclass(frozen=True)
class Generator:
    """A song generator ("system") with habits of its own.

    Attributes:
        name: Identifier, such as ``"S003"``.
        offsets: Its bias per quality, in standard deviations, in the order of ``QUALITIES``.
        styles: Styles it prefers; empty for all.
    """

    name: str
    offsets: tuple[float, ...] = (0.0,) * len(QUALITIES)
    styles: tuple[str, ...] = ()


def make_generators(count: int, seed: int = 0, spread: float = 0.7) -> tuple[Generator, ...]:
    """Return ``count`` generators whose offsets scatter by ``spread`` standard deviations.

    Half of the spread is common to the five qualities: good systems tend to be good at everything.
    """
    rng = stream(seed, "generators")
    common = rng.normal(0.0, spread * np.sqrt(0.5), (count, 1))
    own = rng.normal(0.0, spread * np.sqrt(0.5), (count, len(QUALITIES)))
    return tuple(
        Generator(f"S{index + 1:03d}", tuple(round(float(value), 3) for value in row))
        for index, row in enumerate(common + own)
    )


def sample_qualities(rng: np.random.Generator, generator: Generator | None = None) -> Qualities:
    """Draw partly correlated qualities, shifted by the generator's offsets."""
    common = rng.normal(0.0, np.sqrt(COMMON_VARIANCE))
    own = rng.normal(0.0, np.sqrt(1.0 - COMMON_VARIANCE), len(QUALITIES))
    offsets = np.array(generator.offsets) if generator else 0.0
    values = LOWEST + (HIGHEST - LOWEST) * ndtr(common + own + offsets)
    return Qualities(*(float(value) for value in values))
