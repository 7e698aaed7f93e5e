"""SongEval's dimensions and the challenge's two tracks, as data.

The order of the dimensions is the same everywhere: labels, outputs of heads, columns, answer files.
"""

from dataclasses import dataclass

from heads import SONGEVAL_DIMENSIONS

__all__ = ["DIMENSIONS", "TRACKS", "Dimension", "Track"]


@dataclass(frozen=True)
class Dimension:
    """One quality that listeners rate.

    Attributes:
        name: Name, as the dataset spells it.
        top_tier: Lowest score of the top tier, inclusive.
        low: Lowest rating.
        high: Highest rating.
    """

    name: str
    top_tier: float
    low: float = 1.0
    high: float = 5.0


@dataclass(frozen=True)
class Track:
    """A track of the challenge, and the loss of its published head.

    Attributes:
        name: Name, also of the published head.
        dimensions: Dimensions to score, in order.
        rank_weight: Weight of the ranking loss (HEAR, Sec. 2.4).
    """

    name: str
    dimensions: tuple[Dimension, ...]
    rank_weight: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def top_tier_thresholds(self) -> tuple[float, ...]:
        """One threshold per dimension, for :func:`hear_aesthetics.metrics.top_tier_f1`."""
        return tuple(dimension.top_tier for dimension in self.dimensions)


TOP_TIER = (4.0, 4.0, 3.75, 3.75, 4.0)
DIMENSIONS = tuple(
    Dimension(name, top_tier) for name, top_tier in zip(SONGEVAL_DIMENSIONS, TOP_TIER, strict=True)
)
MUSICALITY = next(dimension for dimension in DIMENSIONS if dimension.name == "Musicality")
TRACKS = {
    track.name: track
    for track in (
        Track("track1", (MUSICALITY,), rank_weight=0.15),
        Track("track2", DIMENSIONS, rank_weight=0.05),
    )
}
