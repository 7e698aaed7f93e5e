"""Training targets and losses of the kinds of output, and the bins of their distributions."""

import torch
from torch import Tensor

from heads import bin_centers, coral_loss, gaussian_target, kl_loss, one_hot_target
from musiceval_task.scale import BINS, HIGH, LOW
from musiceval_task.training.members import Target, TrainingRecipe

__all__ = ["SCALAR_SIGMA", "as_distribution", "centers", "loss", "losses"]

SIGMA = 0.25  # of Gaussian targets, in points
SCALAR_SIGMA = 0.35  # of the Gaussian that stands for a score without a distribution, as released


def centers() -> Tensor:
    """Return the centres of the bins of all distributions, ``(BINS,)``."""
    return bin_centers(BINS, LOW, HIGH)


def loss(
    output: Tensor, scores: Tensor, target: Target, recipe: TrainingRecipe = "corrected"
) -> Tensor:
    """Return the loss of one branch.

    The recipe "published" puts a one-hot target into the bin below the score, which is biased low;
    "corrected" into the nearest.

    Shape:
        - output: ``(batch, bins)`` probabilities, or ``(batch, ranks - 1)`` logits for "coral"
        - scores: ``(batch,)``
    """
    if target == "coral":
        return coral_loss(output, scores)
    bins = bin_centers(output.shape[1], LOW, HIGH).to(output.device)
    if target == "one-hot":
        hot = one_hot_target(scores, bins, "floor" if recipe == "published" else "nearest")
        return kl_loss(output, hot)
    return kl_loss(output, gaussian_target(scores, bins, SIGMA))


def losses(
    outputs: tuple[Tensor, Tensor], scores: Tensor, target: Target, recipe: TrainingRecipe
) -> Tensor:
    """Return the losses of both branches, ``(2,)``, for scores ``(batch, 2)``."""
    pairs = zip(outputs, scores.T, strict=True)
    return torch.stack([loss(output, column, target, recipe) for output, column in pairs])


def as_distribution(scores: Tensor) -> Tensor:
    """Return Gaussians around plain scores, for an ensemble: ``(n,)`` -> ``(n, BINS)``."""
    return gaussian_target(torch.as_tensor(scores).float(), centers(), SCALAR_SIGMA)
