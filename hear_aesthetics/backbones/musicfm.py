"""MusicFM (Won et al. 2024, "A Foundation Model for Music Informatics"), the 25 Hz encoder.

Published layout: ``pretrained_msd.pt`` (or ``pretrained_fma.pt``), a pickle of
``{"state_dict": {"model.<name>": tensor}}``, and the matching ``msd_stats.json``
(``fma_stats.json``). ``model.safetensors`` with the same names is read as well.
"""

from pathlib import Path

from hear_aesthetics.backbones.backbone import Backbone, MelStatistics
from hear_aesthetics.backbones.files import one_file
from hear_aesthetics.checkpoints import Files

__all__ = ["MusicFM"]

# Weights and the statistics of the data they were trained on.
PUBLISHED = {"pretrained_msd.pt": "msd_stats.json", "pretrained_fma.pt": "fma_stats.json"}
SAFETENSORS = "model.safetensors"


class MusicFM(Backbone):
    """The MusicFM encoder."""

    @staticmethod
    def read_layout(files: Files) -> tuple[Path, MelStatistics]:
        """See ``Backbone``; the MSD weights come first where a directory holds both."""
        weights = one_file(files, (*PUBLISHED, SAFETENSORS))
        names = [stats for name, stats in PUBLISHED.items() if weights.name in (name, SAFETENSORS)]
        return weights, MelStatistics.read(one_file(files, names))
