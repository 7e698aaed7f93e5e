"""MusicFM (Won et al. 2024, "A Foundation Model for Music Informatics"), the 25 Hz encoder.

Published layout: ``pretrained_msd.pt`` (or ``pretrained_fma.pt``), a pickle of
``{"state_dict": {"model.<name>": tensor}}``, and the matching ``msd_stats.json``
(``fma_stats.json``). ``model.safetensors`` with the same names is read as well.
"""

from pathlib import Path
from typing import Self

import torch

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.files import one_file
from hear_aesthetics.checkpoints import Files, locate_checkpoint

__all__ = ["MusicFM"]

# Weights and the statistics of the data they were trained on.
PUBLISHED = {"pretrained_msd.pt": "msd_stats.json", "pretrained_fma.pt": "fma_stats.json"}
SAFETENSORS = "model.safetensors"


class MusicFM(Backbone):
    """The MusicFM encoder."""

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | Files,
        *,
        layers: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The published encoder, ready for inference.

        Args:
            source: ``"minzwon/MusicFM"`` (the MSD weights), ``"musicfm-fma"``, a directory in the
                published layout (MSD comes first where it holds both), or its files.
            layers: Conformer layers to keep, all when ``None``; states above are not available.
            dtype: ``torch.float32`` or ``torch.bfloat16``, for matrix products and convolutions.

        Raises:
            CheckpointError: If the files do not hold exactly the expected tensors.
            WeightsUnavailableError: If the weights are neither on disk nor reachable.
        """
        files = source if isinstance(source, Files) else locate_checkpoint(source)
        weights = one_file(files, (*PUBLISHED, SAFETENSORS))
        names = [stats for name, stats in PUBLISHED.items() if weights.name in (name, SAFETENSORS)]
        statistics = MelStatistics.read(one_file(files, names))
        return cls.from_file(weights, statistics, layers, dtype)
