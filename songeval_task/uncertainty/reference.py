"""Reference songs in a head's pooled feature, and the distance of other songs from them.

The pooled vectors of the songs are reduced to their main components. A song's distance has two
parts: inside the components, the mean distance to its nearest reference songs, with each component
scaled to unit variance (Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors",
2022); and what lies outside them, relative to the reference songs (Jackson & Mudholkar, "Control
Procedures for Residuals Associated with Principal Component Analysis", 1979). Audio that is no song
differs mostly in the second part.
"""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from hear_aesthetics.metrics.intervals import Array

__all__ = ["ReferenceSongs", "cross_distance"]

COMPONENTS = 16  # at most; a quarter of the songs where there are fewer
NEIGHBOURS = 5
FOLDS = 10  # of songs that are compared with each other
FLOOR = 1e-9  # of deviations, relative to the largest


@dataclass(frozen=True)
class ReferenceSongs:
    """Songs that others are compared with, in few numbers.

    Shape:
        - mean: ``(width,)``; axes: ``(components, width)``, of unit variance over the songs
        - outside: scalar, root mean square of what lies outside the components
        - points: ``(songs, components)``
    """

    mean: Array
    axes: Array
    outside: float
    points: Array

    @classmethod
    def of(cls, pooled: Any) -> "ReferenceSongs":
        """Return the reference of songs with these pooled vectors, ``(songs, width)``."""
        pooled = np.asarray(pooled, dtype=np.float64)
        mean = pooled.mean(axis=0)
        _, sizes, right = np.linalg.svd(pooled - mean, full_matrices=False)
        count = max(1, min(COMPONENTS, len(pooled) // 4))
        deviation = sizes / np.sqrt(max(1, len(pooled) - 1))
        deviation = np.maximum(deviation, FLOOR * max(deviation[0], FLOOR))
        rest = sizes[count:]
        outside = float(np.sqrt(np.square(rest).sum() / len(pooled)))
        axes = right[:count] / deviation[:count, None]
        # Stored with half the digits, which is more than enough to compare songs.
        axes, mean = axes.astype(np.float32), mean.astype(np.float32)
        outside = max(outside, FLOOR * float(deviation[0]))
        reference = cls(mean, axes, outside, np.zeros((0, count)))
        points = reference._inside(pooled)
        return cls(mean, axes, outside, points.astype(np.float32))

    def distance(self, pooled: Any) -> Array:
        """Return the distance of other songs from the reference songs.

        Shape:
            - pooled: ``(songs, width)``; output: ``(songs,)``, float64
        """
        pooled = np.asarray(pooled, dtype=np.float64)
        inside = self._inside(pooled)
        squares = np.square(inside).sum(axis=1)[:, None] + np.square(self.points).sum(axis=1)
        gaps = np.sqrt(np.maximum(squares - 2 * inside @ self.points.T, 0))
        count = min(NEIGHBOURS, len(self.points))
        nearest = np.partition(gaps, count - 1, axis=1)[:, :count].mean(axis=1)
        explained = inside @ np.linalg.pinv(self.axes.astype(np.float64)).T
        rest = np.linalg.norm(pooled - self.mean - explained, axis=1) / self.outside
        return np.hypot(nearest, np.sqrt(len(self.axes)) * rest)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values; arrays are base64 of little-endian float32."""
        arrays = {"mean": self.mean, "axes": self.axes, "points": self.points}
        return {"outside": self.outside, **{k: _encoded(array) for k, array in arrays.items()}}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ReferenceSongs":
        """Return what :meth:`as_json` stored.

        Raises:
            KeyError, OverflowError, TypeError, ValueError: If it is something else.
        """
        mean, axes, points = (_decoded(values[name]) for name in ("mean", "axes", "points"))
        outside = float(values["outside"])
        if axes.shape[1:] != mean.shape or points.shape[1:] != axes.shape[:1]:
            raise ValueError("its reference songs do not fit together")
        finite = all(np.isfinite(array).all() for array in (mean, axes, outside, points))
        if not (finite and outside > 0 and len(points)):
            raise ValueError("its reference songs are none that others can be compared with")
        return cls(mean, axes, outside, points)

    def _inside(self, pooled: Array) -> Array:
        inside: Array = (pooled - self.mean) @ self.axes.T
        return inside


def cross_distance(pooled: Any, seed: int = 0) -> Array:
    """Return the distance of each song from the others, as if it had not been among them.

    Shape:
        - pooled: ``(songs, width)``; output: ``(songs,)``
    """
    pooled = np.asarray(pooled)
    fold = np.random.default_rng(seed).permutation(len(pooled)) % FOLDS
    distance = np.empty(len(pooled))
    for number in range(FOLDS):
        held = fold == number
        distance[held] = ReferenceSongs.of(pooled[~held]).distance(pooled[held])
    return distance


def _encoded(array: Any) -> dict[str, Any]:
    data = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": data.shape, "float32": base64.b64encode(data.tobytes()).decode()}


def _decoded(stored: dict[str, Any]) -> Any:
    data = base64.b64decode(stored["float32"], validate=True)
    return np.frombuffer(data, dtype="<f4").reshape(stored["shape"])
