"""Score scales: names of the dimensions and range of the scores."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "SONGBENCH_DIMENSIONS",
    "SONGEVAL_DIMENSIONS",
    "ScoreScale",
    "at_least_float32",
    "bounded_score",
    "songeval_dimensions",
]

SONGEVAL_DIMENSIONS = ("Coherence", "Musicality", "Memorability", "Clarity", "Naturalness")
SONGBENCH_DIMENSIONS = (
    "Melody",
    "Arrangement",
    "Musicality",
    "Vocal",
    "Instrumental",
    "Mixing",
    "Structure",
)
TRACK1_DIMENSIONS = ("Musicality",)


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """Names and range of the scores of a head; the configurations of heads extend it.

    Attributes:
        dimensions: Name of each output, in order.
        low: Lower bound of every score, never reached.
        high: Upper bound of every score, never reached.

    Raises:
        ValueError: If names are missing or repeated, or the range is empty.
    """

    dimensions: tuple[str, ...] = SONGEVAL_DIMENSIONS
    low: float = 1.0
    high: float = 5.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", tuple(self.dimensions))  # JSON has only lists
        if not self.dimensions or len(set(self.dimensions)) < len(self.dimensions):
            raise ValueError(f"dimensions need distinct names, got {self.dimensions}")
        if not self.low < self.high:
            raise ValueError(f"the score range needs low < high, got [{self.low}, {self.high}]")


def songeval_dimensions(count: int) -> tuple[str, ...]:
    """Return the dimensions that a SongEval head with ``count`` outputs scores.

    One is track 1 of the challenge, Musicality alone; five are track 2. Any other number has no
    known names: they count up, until the caller gives better ones.

    Example:
        >>> songeval_dimensions(1), songeval_dimensions(2)
        (('Musicality',), ('Dimension 1', 'Dimension 2'))
    """
    known = {len(names): names for names in (TRACK1_DIMENSIONS, SONGEVAL_DIMENSIONS)}
    return known.get(count) or tuple(f"Dimension {i + 1}" for i in range(count))


def bounded_score(logits: Tensor, low: float, high: float) -> Tensor:
    """Map any real number into the range: ``low + (high - low) * (tanh(logit) + 1) / 2``.

    Computed in float32 at least: bfloat16 has steps of 0.016 around 3.

    Example:
        >>> bounded_score(torch.tensor([-20.0, 0.0, 20.0]), low=1.0, high=5.0)
        tensor([1., 3., 5.])
    """
    return low + (high - low) * (at_least_float32(logits).tanh() + 1) / 2


def at_least_float32(x: Tensor) -> Tensor:
    """Return a tensor in float32 or its wider type, whatever autocast says."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
