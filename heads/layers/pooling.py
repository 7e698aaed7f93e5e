"""Attentive pooling of a sequence of frames into one vector.

Sequences are ``(batch, frames, dim)``; ``padding_mask`` is bool ``(batch, frames)``, True = padded,
or None where nothing is padded. Attention weights sum to one over the valid frames of each item.
"""

import math
from collections.abc import Mapping
from itertools import pairwise, product

import torch
from torch import Tensor, nn

from heads.keys import Slot
from heads.layers.masks import zero_padding
from heads.scale import at_least_float32

__all__ = ["MQMHASTP", "AttentivePooling", "InvertedAttentivePooling"]

MASKED_SCORE = -1e9  # finite: an item whose frames are all masked gets their plain mean
VARIANCE_FLOOR = 1e-7  # keeps the gradient of the standard deviation finite on constant input


def softmax_over_frames(scores: Tensor, padding_mask: Tensor | None, frame_axis: int) -> Tensor:
    """Return the softmax over the valid frames, in float32 at least."""
    if padding_mask is not None:
        shape = [1] * scores.ndim
        shape[0], shape[frame_axis] = padding_mask.shape
        scores = scores.masked_fill(padding_mask.reshape(shape), -math.inf)
    return at_least_float32(scores).softmax(dim=frame_axis)


class GroupedLinear(nn.Module):
    """Independent linear maps, one per query and head, in one batched matrix product.

    Shape:
        - x: ``(batch, queries or 1, heads, frames, in_dim)``
        - output: ``(batch, queries, heads, frames, out_dim)``
    """

    def __init__(self, queries: int, heads: int, in_dim: int, out_dim: int) -> None:
        super().__init__()
        bound = in_dim**-0.5
        self.weight = nn.Parameter(torch.empty(queries, heads, out_dim, in_dim))
        self.bias = nn.Parameter(torch.empty(queries, heads, out_dim))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Apply each map to its own head."""
        return torch.einsum("bqhti,qhoi->bqhto", x, self.weight) + self.bias[:, :, None]


class MQMHASTP(nn.Module):
    """Multi-query multi-head attentive statistics pooling.

    Channels are split into heads. Every query has its own small network per head that scores the
    frames; a softmax over time turns the scores into weights, and the weighted mean and standard
    deviation of the head are kept: ``std = sqrt(max(E[x^2] - E[x]^2, 1e-7))``.

    Args:
        dim: Channels of the input, a multiple of ``heads``.
        layers: Depth of the scoring networks (tanh between layers).
        queries: Number of independent sets of weights.
        heads: Number of groups of channels.
        per_channel: A weight per channel and frame, or one weight per frame for the whole head.
        bottleneck: Hidden width of the scoring networks.

    Shape:
        - x: ``(batch, frames, dim)``
        - padding_mask: ``(batch, frames)``
        - output: ``(batch, 2 * dim * queries)``, float32: per query, per head, mean then std

    Raises:
        ValueError: If ``heads`` does not divide ``dim``.
    """

    def __init__(
        self,
        dim: int,
        layers: int = 2,
        queries: int = 2,
        heads: int = 8,
        per_channel: bool = True,
        bottleneck: int = 64,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} pooling heads do not divide the width {dim}")
        self.queries, self.heads = queries, heads
        self.output_dim = 2 * dim * queries
        head_dim = dim // heads
        widths = [head_dim, *[bottleneck] * (layers - 1), head_dim if per_channel else 1]
        self.scorers = nn.ModuleList(
            GroupedLinear(queries, heads, width, next_width)
            for width, next_width in pairwise(widths)
        )

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Pool the valid frames of each item."""
        x = zero_padding(x, padding_mask)
        weights = self.weights(x, padding_mask)
        frames = at_least_float32(self._split(x))
        weighted = weights * frames
        mean = weighted.sum(dim=-2)
        variance = (weighted * frames).sum(dim=-2) - mean.square()
        std = variance.clamp(min=VARIANCE_FLOOR).sqrt()
        return torch.stack((mean, std), dim=-2).flatten(1)

    def weights(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the weights, which sum to one over frames and are 0 at padding.

        Shape:
            - output: ``(batch, queries, heads, frames, dim / heads or 1)``, float32
        """
        scores = self._split(x)
        for depth, scorer in enumerate(self.scorers):
            scores = scorer(torch.tanh(scores) if depth else scores)
        return softmax_over_frames(scores, padding_mask, frame_axis=-2)

    def published_slots(self, published: str = "", ours: str = "") -> Mapping[str, Slot]:
        """Return the slot of each tensor of the published layout (one convolution per head).

        Args:
            published: Prefix of the published names.
            ours: Prefix of our names, where this module is part of another.
        """
        slots = {}
        for name, parameter in self.scorers.named_parameters():  # "0.weight", "0.bias", ...
            depth, kind = name.split(".")
            shape = tuple(parameter.shape[2:]) + (1,) * (kind == "weight")  # a kernel of one
            for query, head in product(range(self.queries), range(self.heads)):
                theirs = f"n_query.{query}.heads_att_trans.{head}.att_{depth}.{kind}"
                slots[published + theirs] = Slot(f"{ours}scorers.{name}", (query, head), shape)
        return slots

    def _split(self, x: Tensor) -> Tensor:
        """Return a view: ``(batch, frames, dim)`` -> ``(batch, 1, heads, frames, dim / heads)``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2).unsqueeze(1)


class AttentivePooling(nn.Module):
    """Weighted mean of the frames; a small network scores them, softmax over the valid ones.

    Args:
        dim: Width of the sequence.
        hidden_dim: Width of a hidden layer, with tanh, of the scoring network; None: it is linear.

    Shape:
        - x: ``(batch, frames, dim)``
        - padding_mask: ``(batch, frames)``
        - output: ``(batch, dim)``
    """

    def __init__(self, dim: int, hidden_dim: int | None = None) -> None:
        super().__init__()
        self.scorer: nn.Module = nn.Linear(hidden_dim or dim, 1)
        if hidden_dim:
            self.scorer = nn.Sequential(nn.Linear(dim, hidden_dim), nn.Tanh(), self.scorer)

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Pool the valid frames of each item."""
        x = zero_padding(x, padding_mask)
        weights = self.weights(x, padding_mask).to(x.dtype)
        return (weights[:, None] @ x).squeeze(1)

    def weights(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the weight of each frame, ``(batch, frames)``, float32."""
        return softmax_over_frames(self.scorer(x).squeeze(-1), padding_mask, frame_axis=-1)


class InvertedAttentivePooling(AttentivePooling):
    """Attentive pooling with its mask the wrong way round, as ASTAR-NTU released it.

    An item with padding gets the weighted mean of its *padded* frames, an item without any the
    plain mean of all. The padding therefore has to hold what the released encoder put there, and
    the scorer learns at most from padded frames that differ. Arguments and shapes are those of
    :class:`AttentivePooling`.
    """

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Pool the padded frames of each item, or all where none is padded."""
        return (self.weights(x, padding_mask).to(x.dtype)[:, None] @ x).squeeze(1)

    def weights(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the weight of each frame, ``(batch, frames)``, float32."""
        scores = at_least_float32(self.scorer(x).squeeze(-1))
        valid = torch.ones_like(scores).bool() if padding_mask is None else ~padding_mask
        return scores.masked_fill(valid, MASKED_SCORE).softmax(dim=-1)
