"""MusicFM (Won et al. 2024, "A Foundation Model for Music Informatics"), the 25 Hz encoder.

Published layout: ``pretrained_msd.pt`` (or ``pretrained_fma.pt``), a pickle of
``{"state_dict": {"model.<name>": tensor}}``, and the matching ``msd_stats.json``
(``fma_stats.json``). ``model.safetensors`` with the same names is read as well.
"""

import json
from pathlib import Path
from typing import Self

import torch

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.files import published_tensors
from hear_aesthetics.checkpoints import locate
from hear_aesthetics.errors import CheckpointError

__all__ = ["MusicFM"]

# Weights and the statistics of the data they were trained on.
PUBLISHED = {"pretrained_msd.pt": "msd_stats.json", "pretrained_fma.pt": "fma_stats.json"}
SAFETENSORS = "model.safetensors"


class MusicFM(Backbone):
    """The MusicFM encoder."""

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        layers: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The published encoder, ready for inference.

        Args:
            source: ``"minzwon/MusicFM"`` (the MSD weights) or a directory in its layout.
            layers: Conformer layers to keep, all when ``None``; states above are not available.
            dtype: ``torch.float32`` or ``torch.bfloat16``, for matrix products and convolutions.

        Raises:
            CheckpointError: If the files do not hold exactly the expected tensors.
            WeightsUnavailableError: If the weights are neither on disk nor reachable.
        """
        directory = locate(source)
        state = published_tensors(directory, (*PUBLISHED, SAFETENSORS))
        return cls.from_published(state, _statistics(directory), layers=layers, dtype=dtype)


def _statistics(directory: Path) -> MelStatistics:
    """Statistics beside the weights that :func:`published_tensors` takes first."""
    present = [stats for weights, stats in PUBLISHED.items() if (directory / weights).is_file()]
    candidates = present[:1] or list(PUBLISHED.values())
    path = next((directory / name for name in candidates if (directory / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{directory}: no {' or '.join(candidates)} beside the weights")
    try:
        stats = json.loads(path.read_text())
        return MelStatistics(float(stats["melspec_2048_mean"]), float(stats["melspec_2048_std"]))
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not MusicFM statistics ({error})") from error
