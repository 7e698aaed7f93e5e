"""Standardization of embeddings: mean 0, deviation 1, by constants that ship with the weights.

The constants are measured once, on audio of no task, so that every clip of every task is treated
alike. Probes with batch normalization but few steps, such as those of heareval on small tasks, need
embeddings whose spread is not small against their mean.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.features.fusion import SOURCES, VIEWS
from hear_aesthetics.features.pooling import pool_frames

__all__ = ["Standardizer", "measure_constants"]

NAMES = ("timestamp_mean", "timestamp_std", "scene_mean", "scene_std")
MIN_STD_SHARE = 0.01  # of the median deviation: dimensions that hardly vary are not blown up


class Standardizer(nn.Module):
    """Standardization of the parts of the feature that a model computes.

    Args:
        constants: Made by :func:`measure_constants`.
        sources: Encoders, in the feature's order.
        views: Views, in the feature's order.
        moments: 1 for scenes that are means, 2 for means and deviations.
    """

    timestamp_mean: Tensor
    timestamp_std: Tensor
    scene_mean: Tensor
    scene_std: Tensor

    def __init__(
        self,
        constants: Mapping[str, Tensor],
        sources: Sequence[str] = SOURCES,
        views: Sequence[str] = VIEWS,
        moments: int = 2,
    ) -> None:
        super().__init__()
        rows = torch.tensor([VIEWS.index(view) for view in views])
        columns = torch.tensor([SOURCES.index(source) for source in sources])
        for name in NAMES:
            chosen = constants[name][:moments, rows][:, :, columns]
            self.register_buffer(name, chosen.flatten(), persistent=False)

    @classmethod
    def from_file(
        cls, path: Path, sources: Sequence[str], views: Sequence[str], dim: int, moments: int
    ) -> Self:
        """Read a model directory's constants.

        Raises:
            CheckpointError: If the file cannot be read or belongs to encoders of another width.
        """
        try:
            constants = load_file(path)
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(f"{path}: {error}") from error
        parts = (len(VIEWS), len(SOURCES), dim)
        shapes = {name: (2 if name.startswith("scene") else 1, *parts) for name in NAMES}
        found = {name: tuple(tensor.shape) for name, tensor in constants.items()}
        if found != shapes:
            raise CheckpointError(f"{path} holds {found}; these encoders need {shapes}")
        for name, tensor in constants.items():
            low = 0.0 if name.endswith("std") else -math.inf
            if tensor.dtype != torch.float32 or not ((tensor > low) & (tensor < math.inf)).all():
                raise CheckpointError(
                    f"{path}: {name} holds other than finite float32, or a deviation of 0"
                )
        return cls(constants, sources, views, moments)

    @property
    def sha256(self) -> str:
        """Hash of the constants in use."""
        values = [getattr(self, name).cpu().numpy().tobytes() for name in NAMES]
        return hashlib.sha256(b"".join(values)).hexdigest()

    def scenes(self, embeddings: Tensor) -> Tensor:
        """Standardize scene embeddings, ``(B, size)``."""
        return (embeddings - self.scene_mean) / self.scene_std

    def timestamps(self, embeddings: Tensor) -> Tensor:
        """Standardize timestamp embeddings, ``(B, frames, size)``."""
        return (embeddings - self.timestamp_mean) / self.timestamp_std


def measure_constants(features: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return means and deviations over clips of equal length.

    Args:
        features: Fused features of all sources and views, as of
            :meth:`hear_aesthetics.model.HearModel.features`.

    Returns:
        ``timestamp_mean`` and ``timestamp_std`` ``(1, views, sources, dim)``; ``scene_mean`` and
        ``scene_std`` ``(2, views, sources, dim)``, of the clips' means and of their deviations.

    Shape:
        - each item of features: ``(B, frames, 4 * dim)``
    """
    clips = torch.cat(list(features))
    scenes = pool_frames(clips)
    frames = clips.flatten(0, 1)
    parts = (len(VIEWS), len(SOURCES), clips.shape[-1] // (len(VIEWS) * len(SOURCES)))
    constants = {
        "timestamp_mean": frames.mean(dim=0),
        "timestamp_std": _floored(frames.std(dim=0)),
        "scene_mean": scenes.mean(dim=0),
        "scene_std": torch.cat([_floored(half) for half in scenes.std(dim=0).chunk(2)]),
    }
    return {name: values.view(-1, *parts).clone() for name, values in constants.items()}


def _floored(deviation: Tensor) -> Tensor:
    return deviation.clamp(min=MIN_STD_SHARE * float(deviation.median()))
