"""The published encoders, each by the layout of its files; tensors' names start with ``model.``."""

from pathlib import Path

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.checkpoints import Files
from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.spec import FRAME_RATE, HOP_LENGTH, N_MELS
from hear_aesthetics.text_files import read_json

__all__ = ["MuQ", "MusicFM"]

SAFETENSORS = "model.safetensors"
FRONT_END = {"hop_length": HOP_LENGTH, "n_mels": N_MELS, "label_rate": FRAME_RATE}  # of MuQ
# MusicFM's weights and the statistics of the data they were trained on.
MUSICFM_FILES = {"pretrained_msd.pt": "msd_stats.json", "pretrained_fma.pt": "fma_stats.json"}


class MuQ(Backbone):
    """MuQ (Zhu et al. 2025, "MuQ: Self-Supervised Music Representation Learning with Mel RVQ").

    Published layout: ``config.json`` and ``model.safetensors`` (or ``pytorch_model.bin``).
    """

    @staticmethod
    def read_layout(files: Files) -> tuple[Path, MelStatistics]:
        """See ``Backbone``."""
        path = files.folder / "config.json"
        config = read_json(path, error=CheckpointError)
        for key, value in FRONT_END.items():
            if config.get(key, value) != value:
                raise CheckpointError(f"{path}: {key} is {config[key]}, only {value} is supported")
        return files.first(SAFETENSORS, "pytorch_model.bin"), MelStatistics.read(path, "stat")


class MusicFM(Backbone):
    """MusicFM (Won et al. 2024, "A Foundation Model for Music Informatics"), 25 frames per second.

    Published layout: ``pretrained_msd.pt`` (or ``pretrained_fma.pt``), a pickle of
    ``{"state_dict": {"model.<name>": tensor}}``, and the matching ``msd_stats.json``
    (``fma_stats.json``). ``model.safetensors`` with the same names is read as well.
    """

    @staticmethod
    def read_layout(files: Files) -> tuple[Path, MelStatistics]:
        """See ``Backbone``; the MSD weights come first where a directory holds both."""
        path = files.first(*MUSICFM_FILES, SAFETENSORS)
        statistics = [s for name, s in MUSICFM_FILES.items() if path.name in (name, SAFETENSORS)]
        return path, MelStatistics.read(files.first(*statistics))
