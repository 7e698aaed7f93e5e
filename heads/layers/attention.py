"""Attention layers on PyTorch's fused scaled-dot-product attention.

Sequences are ``(batch, frames, dim)``; ``padding_mask`` is bool ``(batch, frames)``, True = padded,
or None where nothing is padded. No mask of size frames x frames is ever built.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads.layers.linear import Linear, linear

__all__ = ["MultiHeadAttention", "SinusoidalPositions", "TransformerLayer", "sinusoidal_positions"]


class MultiHeadAttention(nn.Module):
    """Multi-head attention; queries may come from another sequence than keys and values.

    Args:
        dim: Width of all sequences, a multiple of ``heads``.
        heads: Number of attention heads.
        dropout: Probability of dropping an attention weight in training.

    Shape:
        - queries: ``(batch, queries, dim)``
        - memory: ``(batch, frames, dim)``, where keys and values come from; default: the queries
        - padding_mask: ``(batch, frames)``, of the memory
        - output: ``(batch, queries, dim)``

    Raises:
        ValueError: If ``heads`` does not divide ``dim``.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} attention heads do not divide the width {dim}")
        self.heads = heads
        self.dropout = dropout
        self.qkv = Linear(dim, 3 * dim)
        self.out = Linear(dim, dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, queries: Tensor, memory: Tensor | None = None, padding_mask: Tensor | None = None
    ) -> Tensor:
        """Attend from each query to the valid frames of the memory."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self._project(queries, memory))
        attended = F.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=None if padding_mask is None else ~padding_mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(attended.transpose(1, 2).flatten(-2))

    def _project(self, queries: Tensor, memory: Tensor | None) -> tuple[Tensor, ...]:
        if memory is None:  # one matrix product for all three
            return self.qkv(queries).chunk(3, dim=-1)
        dim = queries.shape[-1]
        q = linear(queries, self.qkv.weight[:dim], self.qkv.bias[:dim])
        kv = linear(memory, self.qkv.weight[dim:], self.qkv.bias[dim:])
        return (q, *kv.chunk(2, dim=-1))


class TransformerLayer(nn.Module):
    """Transformer encoder layer: attention and feed-forward (ReLU), each with residual, LayerNorm.

    Dropout acts on attention weights, inside the feed-forward and on both residual branches.

    Shape:
        - sequence, output: ``(batch, frames, dim)``
        - padding_mask: ``(batch, frames)``; the output at padded frames has no meaning
    """

    def __init__(self, dim: int, heads: int, ffn_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads, dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(
            Linear(dim, ffn_dim), nn.ReLU(), nn.Dropout(dropout), Linear(ffn_dim, dim)
        )
        self.ffn_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequence: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the sequence after one layer."""
        attended = self.attention(sequence, padding_mask=padding_mask)
        sequence = self.attention_norm(sequence + self.dropout(attended))
        return self.ffn_norm(sequence + self.dropout(self.ffn(sequence)))


def sinusoidal_positions(frames: int, dim: int) -> Tensor:
    """Return the sinusoidal position table of Vaswani et al. (2017), Sec. 3.5.

    ``table[p, 2i] = sin(p * 10000 ** (-2i / dim))`` and ``table[p, 2i + 1]`` is its cosine. Angles
    are taken in float64: in float32 the sine of position 5,000 is already off by 3e-4.

    Shape:
        - output: ``(frames, dim)``, float32

    Raises:
        ValueError: If ``dim`` is odd.

    Example:
        >>> sinusoidal_positions(2, 2)
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]])
    """
    if dim % 2:
        raise ValueError(f"sinusoidal positions need an even width, got {dim}")
    rates = 10_000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = torch.arange(frames, dtype=torch.float64)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).float()


class SinusoidalPositions(nn.Module):
    """Addition of the sinusoidal position table to ``(batch, frames, dim)``, then dropout."""

    table: Tensor

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("table", torch.empty(0, 0), persistent=False)

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the sequence with its positions added."""
        frames, dim = sequence.shape[-2:]
        if len(self.table) < frames or self.table.device != sequence.device:
            self.table = sinusoidal_positions(frames, dim).to(sequence.device)
        return self.dropout(sequence + self.table[:frames].to(sequence.dtype))
