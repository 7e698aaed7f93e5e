"""Ordinal regression of opinion scores with the CORAL loss (Cao et al., 2020).

With K ranks a head predicts K - 1 logits of "the score is above rank j". Here they never increase
with j, by construction, so that the probabilities make one distribution.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["MonotonicOrdinalHead", "coral_loss", "expected_rank", "rank_probabilities"]


class MonotonicOrdinalHead(nn.Module):
    """Logits of exceeding each rank, non-increasing: ``logit_j = logit_{j-1} - softplus(u_j)``.

    Args:
        dim: Width of the input.
        ranks: Number of ranks K.
        hidden: Widths of the hidden layers, each followed by ReLU and dropout.
        dropout: Probability of dropout in training.

    Shape:
        - x: ``(batch, dim)``
        - output: ``(batch, ranks - 1)``

    Raises:
        ValueError: If there are fewer than two ranks.
    """

    def __init__(
        self, dim: int, ranks: int = 5, hidden: Sequence[int] = (512, 256), dropout: float = 0.3
    ) -> None:
        super().__init__()
        if ranks < 2:
            raise ValueError(f"need at least 2 ranks, got {ranks}")
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout)]
            dim = width
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(dim, ranks - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of exceeding rank 1, 2, ..., K - 1."""
        raw = self.output(self.hidden(x))
        return torch.cat((raw[..., :1], -F.softplus(raw[..., 1:])), dim=-1).cumsum(dim=-1)


def coral_loss(
    logits: Tensor, target: Tensor, reduction: Literal["mean", "sum", "none"] = "mean"
) -> Tensor:
    """Return the binary cross-entropies of "above rank j", summed over the ranks.

    Args:
        logits: From ``MonotonicOrdinalHead``.
        target: True scores; a score is above rank j if it is strictly greater.
        reduction: Over the batch.

    Shape:
        - logits: ``(batch, ranks - 1)``
        - target: ``(batch,)``, 1 to ``ranks``
        - output: scalar, or ``(batch,)`` for "none"

    Raises:
        ValueError: If the shapes do not fit or ``reduction`` is unknown.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be (batch, ranks - 1) and target (batch,), "
            f"got {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    ranks = torch.arange(1, logits.shape[1] + 1, device=logits.device)
    above = (target[:, None] > ranks).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, above, reduction="none").sum(dim=1)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def rank_probabilities(logits: Tensor) -> Tensor:
    """Return the probability of each rank, ``(..., ranks - 1)`` -> ``(..., ranks)``.

    Example:
        >>> rank_probabilities(torch.tensor([0.0, 0.0]))
        tensor([0.5000, 0.0000, 0.5000])
    """
    above = F.pad(logits.sigmoid(), (1, 0), value=1.0)
    return above - F.pad(above[..., 1:], (0, 1), value=0.0)


def expected_rank(logits: Tensor) -> Tensor:
    """Return the mean rank, ``1 + sum_j P(above j)``: ``(..., ranks - 1)`` -> ``(...,)``.

    Example:
        >>> expected_rank(torch.tensor([9.0, 0.0, -9.0]))
        tensor(2.5000)
    """
    return 1 + logits.sigmoid().sum(dim=-1)
