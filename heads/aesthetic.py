"""Aesthetic head of the published HEAR system: fused song features to scores.

features -> linear -> LayerNorm -> downsampling by 3 -> feed-forward -> self-attention layers that
share one LayerNorm -> multi-query multi-head attentive statistics pooling -> linear -> bounded
score. There are no positions anywhere: the head sees a song as a set of moments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads.checkpoint import SequenceHead, Shapes
from heads.keys import Slot, attention_slots, count_numbered, layer_slots
from heads.layers.attention import MultiHeadAttention
from heads.layers.linear import Linear
from heads.layers.masks import active_padding, check_sequence, zero_padding
from heads.layers.pooling import MQMHASTP
from heads.scale import ScoreScale, songeval_dimensions

__all__ = ["AestheticHead", "AestheticHeadConfig", "Downsampling"]


@dataclass(frozen=True, kw_only=True)
class AestheticHeadConfig(ScoreScale):
    """Sizes of the aesthetic head; the defaults are the published ones.

    Attributes:
        feature_dim: Width of the input features, four encoder widths.
        projection_dim: Width after the input projection.
        dim: Width of attention and pooling.
        ffn_dim: Hidden width of the feed-forward part.
        layers: Number of attention layers.
        attention_heads: Heads of each attention layer.
        downsampling: Frames joined into one.
        pooling_layers: Depth of the pooling's scoring networks.
        pooling_queries: Queries of the pooling.
        pooling_heads: Heads of the pooling.
        pooling_per_channel: Pooling weights per channel (or one per frame and head).
        pooling_bottleneck: Hidden width of the pooling's scoring networks.
        dropout: Probability of dropout after downsampling, in training.
    """

    feature_dim: int = 4096
    projection_dim: int = 2048
    dim: int = 1024
    ffn_dim: int = 4096
    layers: int = 4
    attention_heads: int = 8
    downsampling: int = 3
    pooling_layers: int = 2
    pooling_queries: int = 2
    pooling_heads: int = 8
    pooling_per_channel: bool = True
    pooling_bottleneck: int = 64
    dropout: float = 0.1


class Downsampling(nn.Module):
    """Downsampling of ``factor`` frames into one; the last ``frames % factor`` are dropped.

    ``GELU(LayerNorm(pointwise(depthwise(x)) + residual(mean(x))))``. Kernel and stride are equal,
    so the depthwise convolution is a weighted sum inside each window; the residual path is linear
    where the widths differ and the identity where they do not.

    Shape:
        - x: ``(batch, frames, in_dim)``
        - output: ``(batch, frames // factor, out_dim)``
    """

    def __init__(self, in_dim: int, out_dim: int, factor: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.factor = factor
        self.depthwise = nn.Parameter(torch.empty(in_dim, factor))
        nn.init.uniform_(self.depthwise, -(factor**-0.5), factor**-0.5)
        self.pointwise = Linear(in_dim, out_dim, bias=False)
        self.residual = nn.Identity() if in_dim == out_dim else Linear(in_dim, out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Downsample a sequence."""
        windows = self.windows(x)
        mixed = self.pointwise((windows * self.depthwise.T).sum(dim=2))
        joined = mixed + self.residual(windows.mean(dim=2))
        return self.dropout(F.gelu(self.norm(joined)))

    def windows(self, x: Tensor) -> Tensor:
        """Return a view: ``(batch, frames, ...)`` -> ``(batch, frames // factor, factor, ...)``."""
        whole = x.shape[1] // self.factor
        return x[:, : whole * self.factor].unflatten(1, (whole, self.factor))


class AestheticHead(SequenceHead):
    """Aesthetic scores of a song from its fused features.

    A downsampled frame that mixes valid and padded input counts as padded, and the content of the
    padding never reaches a score: a batch of songs padded at their ends scores each as if alone.

    Args:
        config: Sizes, dimension names and score range.

    Shape:
        - features: ``(batch, frames, feature_dim)``, ``min_frames`` or more of each item valid
        - padding_mask: bool ``(batch, frames)``, True = padded; default: nothing is padded
        - output: ``(batch, dimensions)``, float32, between ``low`` and ``high``

    Raises:
        ValueError: If a shape is wrong or an item has fewer valid frames than ``min_frames``.

    Example:
        >>> config = AestheticHeadConfig(feature_dim=8, projection_dim=8, dim=8, ffn_dim=8)
        >>> AestheticHead(config)(torch.randn(2, 9, 8)).shape
        torch.Size([2, 5])
    """

    config_class: ClassVar[type[AestheticHeadConfig]] = AestheticHeadConfig
    config: AestheticHeadConfig

    def __init__(self, config: AestheticHeadConfig | None = None) -> None:
        super().__init__(config)
        c = self.config
        self.min_frames = c.downsampling  # one whole window
        self.projection = Linear(c.feature_dim, c.projection_dim)
        self.projection_norm = nn.LayerNorm(c.projection_dim)
        self.downsampling = Downsampling(c.projection_dim, c.dim, c.downsampling, c.dropout)
        self.ffn = nn.Sequential(Linear(c.dim, c.ffn_dim), nn.ReLU(), Linear(c.ffn_dim, c.dim))
        self.attention = nn.ModuleList(
            MultiHeadAttention(c.dim, c.attention_heads) for _ in range(c.layers)
        )
        self.attention_norm = nn.LayerNorm(c.dim)  # one for all layers
        self.pooling = MQMHASTP(
            c.dim,
            layers=c.pooling_layers,
            queries=c.pooling_queries,
            heads=c.pooling_heads,
            per_channel=c.pooling_per_channel,
            bottleneck=c.pooling_bottleneck,
        )
        self.output = Linear(self.pooling.output_dim, len(c.dimensions))

    @property
    def input_layer(self) -> nn.Linear:
        """The first layer, which reads the features."""
        return self.projection

    def pool(self, features: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the pooled vector of each song, ``(batch, pooled)``; C-Mixup mixes these."""
        return self.pooling(*self._frames(features, padding_mask))

    def attention_mass(self, features: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the weight of each moment in the pooled vector, the mean over all its channels.

        Shape:
            - output: ``(batch, frames // downsampling)``, each row sums to 1, 0 at padding; entry i
              stands for the frames from ``i * downsampling`` on
        """
        return self.pooling.weights(*self._frames(features, padding_mask)).mean(dim=(1, 2, 4))

    def frame_shares(self, features: Tensor) -> Tensor:
        """Return the share of each frame in the pooled vector, ``(batch, frames)``.

        Rows sum to 1. Last frames that do not fill a window of the downsampling have share 0.
        """
        mass = self.attention_mass(features) / self.min_frames
        mass = mass.repeat_interleave(self.min_frames, dim=1)
        return F.pad(mass, (0, features.shape[1] - mass.shape[1]))

    def _frames(
        self, features: Tensor, padding_mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the input of the pooling: frames after attention, and their padding."""
        check_sequence(features, self.config.feature_dim, padding_mask)
        need = f"at least {self.min_frames} frames of audio"
        if features.shape[1] < self.min_frames:
            raise ValueError(f"features: {features.shape[1]} frames, need {need}")
        features = zero_padding(features, padding_mask)
        if padding_mask is not None:
            padding_mask = self.downsampling.windows(padding_mask).any(dim=2)
        padding_mask = active_padding(padding_mask, need=need)

        hidden = self.downsampling(self.projection_norm(self.projection(features)))
        hidden = self.ffn(hidden)
        for attention in self.attention:
            normed = self.attention_norm(hidden)
            hidden = hidden + attention(normed, padding_mask=padding_mask)
        return hidden, padding_mask

    @classmethod
    def config_from_published(cls, shapes: Shapes) -> AestheticHeadConfig:
        """Return the sizes of a published checkpoint; attention heads keep their default."""
        queries = "model.mqmhastp.n_query."
        pooling_heads = f"{queries}0.heads_att_trans."
        scorer = f"{pooling_heads}0.att_"
        pooling_layers = count_numbered(shapes, scorer)
        dim, projection_dim, _ = shapes["down_sample_conv.pointwise_conv.weight"]
        return AestheticHeadConfig(
            feature_dim=shapes["mixed_win_downsample.weight"][1],
            projection_dim=projection_dim,
            dim=dim,
            ffn_dim=shapes["model.ffd.0.weight"][0],
            layers=count_numbered(shapes, "model.attn."),
            downsampling=shapes["down_sample_conv.depthwise_conv.weight"][2],
            pooling_layers=pooling_layers,
            pooling_queries=count_numbered(shapes, queries),
            pooling_heads=count_numbered(shapes, pooling_heads),
            pooling_per_channel=shapes[f"{scorer}{pooling_layers - 1}.weight"][0] > 1,
            pooling_bottleneck=shapes[f"{scorer}0.weight"][0],
            dimensions=songeval_dimensions(shapes["model.fc.weight"][0]),
        )

    def published_slots(self) -> Mapping[str, Slot]:
        """Return published tensor name -> slot in this head."""
        in_dim, dim, factor = self.config.projection_dim, self.config.dim, self.config.downsampling
        convolutions = {
            "depthwise_conv": Slot("downsampling.depthwise", shape=(in_dim, 1, factor)),
            "pointwise_conv": Slot("downsampling.pointwise.weight", shape=(dim, in_dim, 1)),
        }
        if in_dim != dim:
            convolutions["residual_conv"] = Slot(
                "downsampling.residual.weight", shape=(dim, in_dim, 1)
            )
        return {
            **layer_slots("mixed_win_downsample.", "projection."),
            **layer_slots("input_norm.", "projection_norm."),
            **{f"down_sample_conv.{name}.weight": slot for name, slot in convolutions.items()},
            **layer_slots("down_sample_conv.norm1.", "downsampling.norm."),
            **layer_slots("model.ffd.0.", "ffn.0."),
            **layer_slots("model.ffd.3.", "ffn.2."),
            **attention_slots("model.attn.", "attention.", self.config.layers),
            **layer_slots("model.ln_ffd.", "attention_norm."),
            **self.pooling.published_slots("model.mqmhastp.", "pooling."),
            **layer_slots("model.fc.", "output."),
        }
