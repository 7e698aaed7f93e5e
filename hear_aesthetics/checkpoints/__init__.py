"""Registry of published weights by name, their search on disk, download and check."""

from hear_aesthetics.checkpoints.hashes import cache_home, remembered, weight_hash
from hear_aesthetics.checkpoints.registry import CHECKPOINTS, Checkpoint, RemoteFile, by_name
from hear_aesthetics.checkpoints.sources import (
    Files,
    ModelFiles,
    Whereabouts,
    find,
    home,
    locate_checkpoint,
    locate_model,
    whereabouts,
)

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "Files",
    "ModelFiles",
    "RemoteFile",
    "Whereabouts",
    "by_name",
    "cache_home",
    "find",
    "home",
    "locate_checkpoint",
    "locate_model",
    "remembered",
    "weight_hash",
    "whereabouts",
]
