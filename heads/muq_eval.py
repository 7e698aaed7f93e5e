"""MuQ-Eval head: MuQ's last hidden state of a 10 s clip to musical impression and text alignment.

features -> frames weighted by attention -> a perceptron with one hidden layer per dimension ->
score. Scores are not bounded: the head learned ratings from 1 to 5 by their squared error.
Source: Zhu and Li, "Frozen Music Representations Suffice for Per-Sample Quality Prediction of
Generated Music", arXiv:2603.22677, configuration A1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from heads.checkpoint import SequenceHead, Shapes
from heads.keys import Slot, layer_slots
from heads.layers.masks import active_padding, check_sequence
from heads.layers.pooling import AttentivePooling
from heads.scale import ScoreScale

__all__ = ["MUQ_EVAL_DIMENSIONS", "MuQEvalConfig", "MuQEvalHead"]

MUQ_EVAL_DIMENSIONS = ("MI", "TA")
ENCODER = "encoder.encoder."  # the encoder's tensors in the published file
POOLING = "encoder.pooling.attention."
FIRST, LAST = ".mlp.0.", ".mlp.3."  # of each dimension's perceptron; 1 and 2 have no tensors


@dataclass(frozen=True, kw_only=True)
class MuQEvalConfig(ScoreScale):
    """Sizes of the MuQ-Eval head; the defaults are the published ones.

    Attributes:
        dimensions: ``MI``, musical impression, and ``TA``, text alignment, guessed from the audio
            alone.
        dim: Width of the input features.
        attention_dim: Hidden width of the network that weighs frames.
        hidden_dim: Hidden width of the perceptron of each dimension.
    """

    dimensions: tuple[str, ...] = MUQ_EVAL_DIMENSIONS
    dim: int = 1024
    attention_dim: int = 128
    hidden_dim: int = 256


class MuQEvalHead(SequenceHead):
    """MuQ-Eval scores of a clip from the last hidden state of its encoder.

    Args:
        config: Sizes, dimension names and the scale of the ratings behind them.

    Shape:
        - features: ``(batch, frames, dim)``
        - padding_mask: bool ``(batch, frames)``, True = padded; default: nothing is padded
        - output: ``(batch, dimensions)``, float32, not bounded

    Raises:
        ValueError: If a shape is wrong or an item has no valid frame.

    Example:
        >>> config = MuQEvalConfig(dim=8, attention_dim=4, hidden_dim=4)
        >>> MuQEvalHead(config)(torch.randn(3, 9, 8)).shape
        torch.Size([3, 2])
    """

    config_class: ClassVar[type[MuQEvalConfig]] = MuQEvalConfig
    config: MuQEvalConfig
    reads = "muq_12"
    carries = ENCODER

    def __init__(self, config: MuQEvalConfig | None = None) -> None:
        super().__init__(config)
        c = self.config
        self.pooling = AttentivePooling(c.dim, c.attention_dim)
        self.outputs = nn.ModuleList(
            nn.Sequential(nn.Linear(c.dim, c.hidden_dim), nn.GELU(), nn.Linear(c.hidden_dim, 1))
            for _ in c.dimensions
        )

    @property
    def input_layer(self) -> nn.Linear:
        """The first layer, which reads the features."""
        return cast(nn.Linear, cast(nn.Sequential, self.pooling.scorer)[0])

    def pool(self, features: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the weighted mean of the frames of each clip, ``(batch, dim)``."""
        check_sequence(features, self.config.dim, padding_mask)
        need = "at least one frame of audio"
        if features.shape[1] == 0:
            raise ValueError(f"features: no frames, need {need}")
        pooled: Tensor = self.pooling(features, active_padding(padding_mask, need=need))
        return pooled

    def score(self, pooled: Tensor) -> Tensor:
        """Return the scores of pooled vectors, ``(batch, dimensions)``."""
        pooled = pooled.to(self.input_layer.weight.dtype)
        return torch.cat([output(pooled) for output in self.outputs], dim=1).float()

    def frame_shares(self, features: Tensor) -> Tensor:
        """Return the weight of each frame, ``(batch, frames)``; rows sum to 1."""
        return self.pooling.weights(features)

    @classmethod
    def config_from_published(cls, shapes: Shapes) -> MuQEvalConfig:
        """Return the sizes of a published checkpoint, without its encoder's tensors."""
        names = [name.removesuffix(f"{FIRST}weight") for name in shapes if f"{FIRST}weight" in name]
        if not names:
            raise KeyError(f"heads.MI{FIRST}weight")
        attention_dim, dim = shapes[f"{POOLING}0.weight"]
        return MuQEvalConfig(
            dimensions=tuple(name.removeprefix("heads.") for name in names),
            dim=dim,
            attention_dim=attention_dim,
            hidden_dim=shapes[f"{names[0]}{FIRST}weight"][0],
        )

    def published_slots(self) -> Mapping[str, Slot]:
        """Return published tensor name -> slot in this head."""
        slots = {
            **layer_slots(f"{POOLING}0.", "pooling.scorer.0."),
            **layer_slots(f"{POOLING}2.", "pooling.scorer.2."),
        }
        for index, name in enumerate(self.config.dimensions):
            slots |= layer_slots(f"heads.{name}{FIRST}", f"outputs.{index}.0.")
            slots |= layer_slots(f"heads.{name}{LAST}", f"outputs.{index}.2.")
        return slots
