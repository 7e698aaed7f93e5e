"""Opinion scores as distributions over bins: targets, loss, mean, deviation and interval.

The mean of a predicted distribution is the predicted score. Bin centres (``bin_centers``) carry
both the number of bins and the range, so every function takes them.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "bin_centers",
    "expected_score",
    "gaussian_target",
    "kl_loss",
    "one_hot_target",
    "score_deviation",
    "score_interval",
]

LOG_FLOOR = 1e-10  # of predicted probabilities, as published


def bin_centers(bins: int = 20, low: float = 1.0, high: float = 5.0) -> Tensor:
    """Return equally spaced bin centres that include both ends of the range.

    Shape:
        - output: ``(bins,)``

    Raises:
        ValueError: If there are fewer than two bins or the range is empty.

    Example:
        >>> bin_centers(5)
        tensor([1., 2., 3., 4., 5.])
    """
    if bins < 2 or not low < high:
        raise ValueError(f"need at least 2 bins and low < high, got {bins} in [{low}, {high}]")
    return torch.linspace(low, high, bins)


def gaussian_target(scores: Tensor, centers: Tensor, sigma: float = 0.25) -> Tensor:
    """Return a Gaussian around each score, sampled at the centres and normalized to sum 1.

    Scores outside the range count as its nearest end.

    Args:
        scores: True scores.
        centers: From ``bin_centers``.
        sigma: Standard deviation, in score points.

    Shape:
        - scores: ``(...,)``
        - output: ``(..., bins)``
    """
    distances = scores.clamp(centers[0], centers[-1])[..., None] - centers
    return (-distances.square() / (2 * sigma**2)).softmax(dim=-1)


def one_hot_target(
    scores: Tensor, centers: Tensor, rounding: Literal["nearest", "floor"] = "nearest"
) -> Tensor:
    """Return 1 in the bin of each score and 0 elsewhere.

    Args:
        scores: True scores; outside the range they count as its nearest end.
        centers: From ``bin_centers``.
        rounding: The nearest centre, or the nearest one below ("floor"), the published rule, which
            is biased low by half a bin on average.

    Shape:
        - scores: ``(...,)``
        - output: ``(..., bins)``, of the type of the scores

    Raises:
        ValueError: If ``rounding`` is neither.
    """
    if rounding not in ("nearest", "floor"):
        raise ValueError(f"rounding must be 'nearest' or 'floor', got {rounding!r}")
    low, high = centers[0], centers[-1]
    position = (scores.clamp(low, high) - low) / (high - low) * (len(centers) - 1)
    index = position.round() if rounding == "nearest" else position.floor()
    return F.one_hot(index.long(), len(centers)).to(scores.dtype)


def kl_loss(probabilities: Tensor, target: Tensor) -> Tensor:
    """Return KL(target || prediction), summed over bins, mean over items.

    Args:
        probabilities: Predicted; floored by 1e-10 in the logarithm.
        target: From ``gaussian_target`` or ``one_hot_target``.

    Shape:
        - probabilities, target: ``(items, bins)``
        - output: scalar

    Raises:
        ValueError: If the shapes differ.
    """
    if probabilities.shape != target.shape:
        raise ValueError(
            f"prediction and target differ in shape: {tuple(probabilities.shape)} "
            f"and {tuple(target.shape)}"
        )
    return F.kl_div((probabilities + LOG_FLOOR).log(), target, reduction="batchmean")


def expected_score(probabilities: Tensor, centers: Tensor) -> Tensor:
    """Return the mean of each distribution, ``(..., bins)`` -> ``(...,)``."""
    return (probabilities * centers).sum(dim=-1)


def score_deviation(probabilities: Tensor, centers: Tensor) -> Tensor:
    """Return the standard deviation of each distribution, ``(..., bins)`` -> ``(...,)``.

    Example:
        >>> score_deviation(torch.tensor([0.5, 0.0, 0.5]), bin_centers(3))
        tensor(2.)
    """
    deviations = centers - expected_score(probabilities, centers)[..., None]
    return (probabilities * deviations.square()).sum(dim=-1).sqrt()


def score_interval(
    probabilities: Tensor, centers: Tensor, coverage: float = 0.9
) -> tuple[Tensor, Tensor]:
    """Return the central interval of each distribution: equal shares are left out at both ends.

    Args:
        probabilities: Predicted.
        centers: From ``bin_centers``.
        coverage: Share of the probability that the interval holds at least, in (0, 1).

    Shape:
        - probabilities: ``(..., bins)``
        - output: two of ``(...,)``, lower and upper bin centre

    Raises:
        ValueError: If ``coverage`` is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be between 0 and 1, got {coverage}")
    tail = (1 - coverage) / 2
    lower = (probabilities.cumsum(dim=-1) <= tail).sum(dim=-1)
    above = probabilities.flip(-1).cumsum(dim=-1)
    upper = len(centers) - 1 - (above <= tail).sum(dim=-1)
    return centers[lower], centers[upper]
