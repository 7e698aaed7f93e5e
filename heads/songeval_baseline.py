"""SongEval baseline head: MuQ hidden state 6 to scores; the same class serves SongBench.

features -> feed-forward -> stacked self-attention without residual or norm; the mean over time of
the attention output beside the maximum over time of the feed-forward output -> linear -> bounded
score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from heads.checkpoint import SequenceHead, Shapes
from heads.keys import Slot, attention_slots, count_numbered, layer_slots
from heads.layers.attention import MultiHeadAttention
from heads.layers.masks import active_padding, check_sequence, zero_padding
from heads.scale import SONGBENCH_DIMENSIONS, ScoreScale, songeval_dimensions

__all__ = ["SongEvalBaselineConfig", "SongEvalBaselineHead"]


@dataclass(frozen=True, kw_only=True)
class SongEvalBaselineConfig(ScoreScale):
    """Sizes of the baseline head; the defaults are the published ones.

    Attributes:
        dim: Width of the input features and of attention.
        ffn_dim: Hidden width of the feed-forward part.
        layers: Number of attention layers.
        attention_heads: Heads of each attention layer.
        dropout: Probability of dropout in training: attention weights, and the pooled vector.
    """

    dim: int = 1024
    ffn_dim: int = 4096
    layers: int = 4
    attention_heads: int = 8
    dropout: float = 0.2


class SongEvalBaselineHead(SequenceHead):
    """Aesthetic scores of a song from one hidden state of an encoder.

    Args:
        config: Sizes, dimension names and score range.

    Shape:
        - features: ``(batch, frames, dim)``
        - padding_mask: bool ``(batch, frames)``, True = padded; default: nothing is padded
        - output: ``(batch, dimensions)``, float32, between ``low`` and ``high``

    Raises:
        ValueError: If a shape is wrong or an item has no valid frame.

    Example:
        >>> config = SongEvalBaselineConfig(dim=8, ffn_dim=8)
        >>> SongEvalBaselineHead(config)(torch.randn(2, 9, 8)).shape
        torch.Size([2, 5])
    """

    config_class: ClassVar[type[SongEvalBaselineConfig]] = SongEvalBaselineConfig
    config: SongEvalBaselineConfig
    reads = "muq_06"

    def __init__(self, config: SongEvalBaselineConfig | None = None) -> None:
        super().__init__(config)
        c = self.config
        self.ffn = nn.Sequential(
            nn.Linear(c.dim, c.ffn_dim), nn.ReLU(), nn.Linear(c.ffn_dim, c.dim)
        )
        self.attention = nn.ModuleList(
            MultiHeadAttention(c.dim, c.attention_heads, c.dropout) for _ in range(c.layers)
        )
        self.dropout = nn.Dropout(c.dropout)
        self.output = nn.Linear(2 * c.dim, len(c.dimensions))

    @property
    def input_layer(self) -> nn.Linear:
        """The first layer, which reads the features."""
        return cast(nn.Linear, self.ffn[0])

    def pool(self, features: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the pooled vector of each song: mean, then maximum, ``(batch, 2 * dim)``."""
        check_sequence(features, self.config.dim, padding_mask)
        need = "at least one frame of audio"
        if features.shape[1] == 0:
            raise ValueError(f"features: no frames, need {need}")
        padding_mask = active_padding(padding_mask, need=need)

        hidden = self.ffn(zero_padding(features, padding_mask))
        attended = hidden
        for attention in self.attention:
            attended = attention(attended, padding_mask=padding_mask)
        if padding_mask is None:
            return torch.cat((attended.mean(dim=1), hidden.amax(dim=1)), dim=-1)
        padded = padding_mask[..., None]
        mean = attended.masked_fill(padded, 0.0).sum(dim=1) / (~padded).sum(dim=1)
        return torch.cat((mean, hidden.masked_fill(padded, -torch.inf).amax(dim=1)), dim=-1)

    def score(self, pooled: Tensor) -> Tensor:
        """Return the scores of pooled vectors, ``(batch, dimensions)``."""
        return super().score(self.dropout(pooled))

    @classmethod
    def config_from_published(cls, shapes: Shapes) -> SongEvalBaselineConfig:
        """Return the sizes of a published checkpoint; seven outputs are those of SongBench."""
        outputs = shapes["fc.weight"][0]
        sizes = {
            "dim": shapes["ffd.0.weight"][1],
            "ffn_dim": shapes["ffd.0.weight"][0],
            "layers": count_numbered(shapes, "attn."),
        }
        if outputs == len(SONGBENCH_DIMENSIONS):
            return SongEvalBaselineConfig(
                dimensions=SONGBENCH_DIMENSIONS, low=1.0, high=10.0, **sizes
            )
        return SongEvalBaselineConfig(dimensions=songeval_dimensions(outputs), **sizes)

    def published_slots(self) -> Mapping[str, Slot]:
        """Return published tensor name -> slot in this head."""
        return {
            **layer_slots("ffd.0.", "ffn.0."),
            **layer_slots("ffd.2.", "ffn.2."),
            **attention_slots("attn.", "attention.", self.config.layers),
            **layer_slots("fc.", "output."),
        }
