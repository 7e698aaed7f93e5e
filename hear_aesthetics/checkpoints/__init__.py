"""Published weights by name: what exists, where it is, how to get it, whether it is intact."""

from hear_aesthetics.checkpoints.hashes import cache_home, weight_hash
from hear_aesthetics.checkpoints.registry import CHECKPOINTS, Checkpoint, RemoteFile, by_name
from hear_aesthetics.checkpoints.sources import (
    Files,
    Found,
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
    "Found",
    "ModelFiles",
    "RemoteFile",
    "Whereabouts",
    "by_name",
    "cache_home",
    "find",
    "home",
    "locate_checkpoint",
    "locate_model",
    "weight_hash",
    "whereabouts",
]
