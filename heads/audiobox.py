"""Audiobox-Aesthetics head: hidden states of WavLM to four scores (arXiv:2502.05139).

Each axis weighs the 13 states by a softmax of its own, normalizes their sum to length 1 and maps it
by a multi-layer perceptron to a standardized score. Averaging over frames comes first here: it is
linear, so that no state has to be kept.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heads.keys import check_shapes

__all__ = ["AudioboxConfig", "AudioboxHead"]

AXES = ("CE", "CU", "PC", "PQ")
PARTS = ("layer_weights.", "proj_layer.")  # of the published file; the rest is the encoder
FIXED = {  # what the published configuration says of the architecture, and this class is
    "normalize_embed": True,
    "output_dim": 1,
    "proj_act_fn": "gelu",
    "proj_dropout": 0.0,
    "proj_ln": True,
    "use_weighted_layer_sum": True,
}


@dataclass(frozen=True, kw_only=True)
class AudioboxConfig:
    """Sizes and scales of the head; the defaults are the published ones.

    Attributes:
        mean: Mean rating of each axis in training.
        std: Its standard deviation.
        states: Number of hidden states, the input of the first layer included.
        layers: Number of linear layers of each axis.
        dim: Width of the states.
    """

    mean: tuple[float, ...] = (5.06865, 5.73633, 3.18591, 6.57505)
    std: tuple[float, ...] = (1.93029, 1.75669, 1.86637, 1.51466)
    states: int = 13
    layers: int = 5
    dim: int = 768

    @classmethod
    def read(cls, path: Path, dim: int) -> "AudioboxConfig":
        """Read the published ``config.json``.

        Args:
            path: The file.
            dim: Width of the states, which it does not say.

        Raises:
            ValueError: If it is not the configuration of such a head.
        """
        try:
            found = json.loads(path.read_bytes())
            axes = [found["target_transform"][axis] for axis in AXES]
            config = cls(
                mean=tuple(float(axis["mean"]) for axis in axes),
                std=tuple(float(axis["std"]) for axis in axes),
                states=int(found["nth_layer"]),
                layers=int(found["proj_num_layer"]),
                dim=dim,
            )
            other = [name for name, value in FIXED.items() if found[name] != value]
        except FileNotFoundError as error:
            raise ValueError(
                f"{path}: no such file; Audiobox's weights come with it, put it beside them"
            ) from error
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"{path}: not the configuration of Audiobox-Aesthetics ({reason}); get it again"
            ) from error
        if other:
            name = other[0]
            raise ValueError(
                f"{path}: {name} is {found[name]!r}, this head is built for {FIXED[name]!r}; take "
                "the published weights"
            )
        return config


class AudioboxHead(nn.Module):
    """Scores of content enjoyment, content usefulness, production complexity and quality.

    Args:
        config: Sizes and scales.

    Shape:
        - means: ``(batch, states, dim)``, means over frames of each hidden state
        - output: ``(batch, 4)``, about 1 to 10

    Example:
        >>> config = AudioboxConfig(states=3, layers=2, dim=8)
        >>> AudioboxHead(config)(torch.randn(2, 3, 8)).shape
        torch.Size([2, 4])
    """

    dimensions = AXES

    def __init__(self, config: AudioboxConfig | None = None) -> None:
        super().__init__()
        self.config = config or AudioboxConfig()
        states, dim = self.config.states, self.config.dim
        # Named like the published tensors.
        self.layer_weights = nn.ParameterDict(
            {axis: nn.Parameter(torch.full((states,), 1 / states)) for axis in AXES}
        )
        self.proj_layer = nn.ModuleDict(
            {axis: _perceptron(dim, self.config.layers) for axis in AXES}
        )

    def forward(self, means: Tensor) -> Tensor:
        """Return the scores of a batch."""
        scores = []
        for axis, mean, std in zip(AXES, self.config.mean, self.config.std, strict=True):
            shares = self.layer_weights[axis].softmax(dim=0)
            embedding = F.normalize(torch.einsum("bsd,s->bd", means, shares), dim=-1)
            scores.append(self.proj_layer[axis](embedding).squeeze(-1) * std + mean)
        return torch.stack(scores, dim=1)

    @classmethod
    def from_published(
        cls, tensors: Mapping[str, Tensor], config: AudioboxConfig, *, where: str
    ) -> "AudioboxHead":
        """Build the head of published tensors, of which those of the encoder are left out.

        Raises:
            ValueError: If names or shapes differ from what they should be; lists them after the
                file ``where``.
        """
        own = {name: t.float() for name, t in tensors.items() if name.startswith(PARTS)}
        with torch.device("meta"):  # spends neither time nor random numbers on a first draw
            head = cls(config)
        expected = {name: tensor.shape for name, tensor in head.state_dict().items()}
        check_shapes({name: tensor.shape for name, tensor in own.items()}, expected, where=where)
        head.load_state_dict(own, assign=True)
        return head.eval().requires_grad_(False)

    def describe(self) -> dict[str, Any]:
        """Return the configuration as JSON values."""
        return asdict(self.config)


def _perceptron(dim: int, layers: int) -> nn.Sequential:
    """Return linear layers with LayerNorm and GELU between them, down to one number."""
    parts: list[nn.Module] = []
    for _ in range(layers - 1):
        parts += [nn.Linear(dim, dim), nn.LayerNorm(dim), nn.GELU()]
    return nn.Sequential(*parts, nn.Linear(dim, 1))
