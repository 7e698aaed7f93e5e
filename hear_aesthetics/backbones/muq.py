"""MuQ (Zhu et al. 2025, "MuQ: Self-Supervised Music Representation Learning with Mel RVQ").

Published layout: ``config.json`` and ``model.safetensors`` (or ``pytorch_model.bin``); names start
with ``model.``.
"""

from pathlib import Path

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.files import one_file
from hear_aesthetics.checkpoints import Files
from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.spec import FRAME_RATE, HOP_LENGTH, N_MELS
from hear_aesthetics.text_files import read_json

__all__ = ["MuQ"]

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
FRONT_END = {"hop_length": HOP_LENGTH, "n_mels": N_MELS, "label_rate": FRAME_RATE}


class MuQ(Backbone):
    """The MuQ encoder."""

    @staticmethod
    def read_layout(files: Files) -> tuple[Path, MelStatistics]:
        """See ``Backbone``."""
        path = files.folder / "config.json"
        config = read_json(path, error=CheckpointError)
        for key, value in FRONT_END.items():
            if config.get(key, value) != value:
                raise CheckpointError(f"{path}: {key} is {config[key]}, only {value} is supported")
        return one_file(files, WEIGHT_FILES), MelStatistics.read(path, "stat")
