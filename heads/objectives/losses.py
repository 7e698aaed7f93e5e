"""Losses for scoring and for ranking songs.

``preds`` and ``target`` are scores on the same scale, ``(songs, dimensions)``; ranking losses take
lists, ``(lists, items)``. All are computed in float32 at least.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from heads.scale import at_least_float32

__all__ = ["PADDED_TARGET", "REGRESSIONS", "hybrid_loss", "list_mle"]

PADDED_TARGET = -1.0  # marks the missing items of a shorter list
SMOOTH_L1_BETA = 0.5  # score points, of the published training
REGRESSIONS: dict[str, Callable[..., Tensor]] = {
    "smooth_l1": partial(F.smooth_l1_loss, beta=SMOOTH_L1_BETA),
    "l1": F.l1_loss,
    "mse": F.mse_loss,
}


def list_mle(preds: Tensor, target: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return the negative log likelihood of the true order, mean over lists (Plackett-Luce model).

    With the items of a list in descending order of their targets, the loss of the list is
    ``sum_i (log sum_{j >= i} exp(p_j) - p_i)`` (Xia et al., 2008). The inner sum is a running
    log-sum-exp, exact however far the predictions are apart. Equal targets are put in random order.

    Args:
        preds: Predicted scores, any scale.
        target: True scores; an item with target -1 is padding and contributes nothing.
        generator: Source of the random order of ties; default: PyTorch's own.

    Shape:
        - preds, target: ``(lists, items)``
        - output: scalar

    Raises:
        ValueError: If the shapes differ or are not two-dimensional.

    Example:
        >>> list_mle(torch.tensor([[9.0, 0.0]]), torch.tensor([[5.0, 1.0]]))  # the right order
        tensor(0.0001)
    """
    _check_pair(preds, target, "lists, items")
    preds = at_least_float32(preds)
    order = _descending(target, generator)
    ranked = preds.gather(1, order)
    padded = target.gather(1, order) == PADDED_TARGET
    remaining = ranked.masked_fill(padded, torch.finfo(ranked.dtype).min)
    log_sums = remaining.flip(1).logcumsumexp(dim=1).flip(1)
    losses = (log_sums - ranked).masked_fill(padded, 0.0)
    return losses.sum(dim=1).mean()


def hybrid_loss(
    preds: Tensor,
    target: Tensor,
    rank_weight: float,
    generator: torch.Generator | None = None,
    regression: str = "smooth_l1",
) -> Tensor:
    """Return a regression loss plus ``rank_weight`` times ListMLE over the songs.

    The songs of the batch are one list per dimension; the mean over dimensions is taken.

    Args:
        preds: Predicted scores.
        target: True scores.
        rank_weight: Weight of the ranking part; published: 0.15 (track 1), 0.05 (track 2).
        generator: Source of the random order of ties; default: PyTorch's own.
        regression: One of ``REGRESSIONS``.

    Shape:
        - preds, target: ``(songs, dimensions)``
        - output: scalar

    Raises:
        ValueError: If the shapes differ or are not two-dimensional.
    """
    _check_pair(preds, target, "songs, dimensions")
    preds = at_least_float32(preds)
    loss = REGRESSIONS[regression](preds, target.to(preds.dtype))
    return loss + rank_weight * list_mle(preds.T, target.T, generator) if rank_weight else loss


def _descending(target: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return the order of each row by descending target, padding last, ties at random."""
    device = target.device if generator is None else generator.device
    shuffled = torch.rand(target.shape, generator=generator, device=device).argsort(dim=1)
    shuffled = shuffled.to(target.device)
    keys = target.masked_fill(target == PADDED_TARGET, -torch.inf).gather(1, shuffled)
    return shuffled.gather(1, keys.argsort(dim=1, descending=True, stable=True))


def _check_pair(preds: Tensor, target: Tensor, axes: str) -> None:
    if preds.shape != target.shape or preds.ndim != 2:
        raise ValueError(
            f"preds and target must both be ({axes}), "
            f"got {tuple(preds.shape)} and {tuple(target.shape)}"
        )
