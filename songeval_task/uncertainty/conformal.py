"""Split conformal prediction: intervals that hold a stated share of new songs.

The errors of a head on rated songs that it never saw say how far off it is on the next one. With
``n`` of them, an interval as wide as the ``ceil((n + 1) * coverage)``-th smallest absolute error
holds the rating of a new song with at least that probability, if the new song is like the others
(Lei et al., "Distribution-Free Predictive Inference for Regression", 2018, Sec. 2.2). Where songs
that are far from the training songs have larger errors, errors are divided by a scale that grows
with the distance (Papadopoulos et al., "Normalized Nonconformity Measures", 2008), so that easy
songs get shorter intervals; it is kept per dimension only where intervals become shorter on songs
that the scale was not fitted to.
"""

from typing import Any

import numpy as np

from hear_aesthetics.metrics.intervals import Array

__all__ = ["fit_scale", "quantile", "scale_of"]

FOLDS = 10  # of the songs that judge the scale
JUDGED_AT = 0.9  # coverage at which it is judged
GAIN = 0.98  # share of the constant width below which a scale is kept
MIN_SCALE = 0.2  # of the mean scale: no song is surer than that


def quantile(values: Array, coverage: float) -> Array:
    """Return the conformal quantile of each column; infinite where there are too few values.

    Shape:
        - values: ``(songs, columns)``; output: ``(columns,)``
    """
    rank = int(np.ceil((len(values) + 1) * coverage))
    if rank > len(values):
        return np.full(values.shape[1], np.inf)
    kth: Array = np.partition(values, rank - 1, axis=0)[rank - 1]
    return kth


def scale_of(coefficients: Array, distance: Array) -> Array:
    """Return the error scale of songs at some distances.

    Shape:
        - coefficients: ``(2, columns)``, constant and slope, as :func:`fit_scale` returns them
        - distance: ``(songs,)``; output: ``(songs, columns)``
    """
    scale: Array = coefficients[0] + np.multiply.outer(distance, coefficients[1])
    return scale


def fit_scale(errors: Array, distance: Array, seed: int = 0) -> Array:
    """Return constant and slope of the error scale per column: 1 and 0 where a slope gains nothing.

    Args:
        errors: Rated minus predicted scores.
        distance: Distance of each song from the reference songs.
        seed: Random seed of the folds.

    Shape:
        - errors: ``(songs, columns)``; distance: ``(songs,)``; output: ``(2, columns)``
    """
    absolute = np.abs(errors)
    fold = np.random.default_rng(seed).permutation(len(errors)) % FOLDS
    unseen = np.empty_like(absolute)
    for number in range(FOLDS):
        held = fold == number
        unseen[held] = scale_of(_regress(absolute[~held], distance[~held]), distance[held])
    width = quantile(absolute / unseen, JUDGED_AT) * unseen.mean(axis=0)
    found = _regress(absolute, distance)
    kept = (width < GAIN * quantile(absolute, JUDGED_AT)) & (found[1] > 0)
    return np.where(kept, found, np.array([[1.0], [0.0]]))


def _regress(absolute: Array, distance: Array) -> Array:
    """Return a non-negative line through absolute errors, which is nowhere near zero."""
    from scipy.optimize import nnls  # slow to import

    design = np.stack((np.ones(len(distance)), distance), axis=1)
    fits: list[Any] = [nnls(design, column)[0] for column in absolute.T]
    lines = np.array(fits).T
    lines[0] = np.maximum(lines[0], MIN_SCALE * absolute.mean(axis=0))
    return np.where(absolute.mean(axis=0) > 0, lines, np.array([[1.0], [0.0]]))
