"""MuQ (Zhu et al. 2025, "MuQ: Self-Supervised Music Representation Learning with Mel RVQ").

Published layout: ``config.json`` and ``model.safetensors`` (or ``pytorch_model.bin``); names start
with ``model.``.
"""

import json
from pathlib import Path
from typing import Self

import torch

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.files import one_file
from hear_aesthetics.checkpoints import Files, locate_checkpoint
from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.spec import FRAME_RATE, HOP_LENGTH, N_MELS

__all__ = ["MuQ"]

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class MuQ(Backbone):
    """The MuQ encoder."""

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
            source: ``"OpenMuQ/MuQ-large-msd-iter"``, a directory in its layout, or its files.
            layers: Conformer layers to keep, all when ``None``; states above are not available.
            dtype: ``torch.float32`` or ``torch.bfloat16``, for matrix products and convolutions.

        Raises:
            CheckpointError: If the files do not hold exactly the expected tensors.
            WeightsUnavailableError: If the weights are neither on disk nor reachable.
        """
        files = source if isinstance(source, Files) else locate_checkpoint(source)
        path = files.folder / "config.json"
        statistics = MelStatistics.read(path, "stat")
        _check_front_end(path)
        return cls.from_file(one_file(files, WEIGHT_FILES), statistics, layers, dtype)


def _check_front_end(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    expected = {"hop_length": HOP_LENGTH, "n_mels": N_MELS, "label_rate": FRAME_RATE}
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise CheckpointError(f"{path}: {key} is {config[key]}, only {value} is supported")
