"""Copy of MuQ in the file of a head that was trained on it.

Such a copy need not be the published MuQ: an encoder whose weights were frozen, but which was left
in training mode, has other running statistics in its batch normalization. So a copy is compared
with the MuQ at hand, tensor by tensor; where they are equal one of them serves both.
"""

from pathlib import Path

import torch
from torch import Tensor

from heads.checkpoint import read_tensors
from heads.keys import count_numbered
from hear_aesthetics.backbones import MuQ
from hear_aesthetics.backbones.backbone import MelStatistics
from hear_aesthetics.backbones.files import PREFIX, published_tensors
from hear_aesthetics.backbones.published import IGNORED
from hear_aesthetics.checkpoints import Files, remembered, weight_hash
from hear_aesthetics.errors import CheckpointError

__all__ = ["MuQCopy"]


class MuQCopy:
    """MuQ inside another checkpoint; its tensors are read when they are needed.

    Args:
        path: File of the checkpoint.
        prefix: Beginning of the names of MuQ's tensors in it, before their published names.
        depth: Number of its layers.
    """

    def __init__(self, path: Path, prefix: str, depth: int) -> None:
        self.path = path
        self.depth = depth
        self._prefix = prefix

    @classmethod
    def in_file(cls, path: Path, prefix: str) -> "MuQCopy | None":
        """Return the copy in a file, or None if no tensor there has the prefix.

        Raises:
            CheckpointError: If there are tensors of something else than a MuQ, such as adapters.
        """
        names = [name for name in read_tensors(path)[0] if name.startswith(prefix)]
        if not names:
            return None
        prefix += PREFIX
        layers = f"{prefix}conformer.layers."
        foreign = [name for name in names if not name.startswith(prefix)]
        if foreign or not any(name.startswith(layers) for name in names):
            raise CheckpointError(
                f"{path}: its encoder is no plain MuQ but has {(foreign or names)[0]}; "
                "take a head whose encoder was frozen, such as muq-eval"
            )
        return cls(path, prefix, count_numbered(names, layers))

    def load(self, dtype: torch.dtype) -> MuQ:
        """Return the encoder, ready for inference.

        The file says nothing of the normalization of the log-mel; it is MuQ's published one.

        Args:
            dtype: Of matrix products and convolutions.

        Raises:
            CheckpointError: If its tensors are not exactly those of a MuQ.
        """
        try:
            encoder = MuQ.from_published(self._tensors(), MelStatistics(), dtype=dtype)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        encoder.weights_sha256 = weight_hash(self.path)
        return encoder.eval().requires_grad_(False)

    def difference(self, files: Files) -> str:
        """Return in words how the copy differs from published files of MuQ; empty: not at all.

        Both files are read once; what was found is remembered by their hashes.

        Raises:
            CheckpointError: If a file cannot be read.
        """
        path, statistics = MuQ.read_layout(files)
        if statistics != MelStatistics():
            return "another normalization of the log-mel"
        key = f"{weight_hash(self.path)} {weight_hash(path)}"
        return remembered("muq_copies", key, lambda: _difference(self._tensors(), path))

    def _tensors(self) -> dict[str, Tensor]:
        return {
            name.removeprefix(self._prefix): tensor
            for name, tensor in published_tensors(self.path).items()
            if name.startswith(self._prefix)
        }


def _difference(copy: dict[str, Tensor], path: Path) -> str:
    """Return in words how tensors differ from those of a file, without what no score needs."""
    published = published_tensors(path)
    names = sorted(name for name in {*copy, *published} if not IGNORED.match(name))
    other = [
        name
        for name in names
        if name not in copy or name not in published or not torch.equal(copy[name], published[name])
    ]
    return f"{len(other)} of {len(names)} tensors, such as {other[0]}" if other else ""
