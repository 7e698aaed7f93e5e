"""Head of a file, as training starts from it and evaluation scores stored features with it."""

import json
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

import torch

from heads import AestheticHead
from hear_aesthetics.errors import InputError
from songeval_task.dimensions import TRACKS
from songeval_task.training.config import SIZES, SongEvalConfig, TrainableHead, build_head

__all__ = ["SavedHead"]

SCALE = {"dimensions", "low", "high"}  # of the track
WIDTH = {"aesthetic": "feature_dim", "baseline": "dim"}  # of the features


@dataclass(frozen=True)
class SavedHead:
    """A saved or published head.

    Attributes:
        head: Takes features as they are stored.
        reads: Features it was trained on: ``"fused"`` or a hidden state.
        file: Name of its file.
        sha256: Hash of its file.
    """

    head: TrainableHead
    reads: str
    file: str
    sha256: str

    def options(self) -> dict[str, Any]:
        """Return the fields of a configuration that follow from the head.

        Raises:
            InputError: If its dimensions are those of no track.
        """
        names = self.head.config.dimensions
        track = next((track.name for track in TRACKS.values() if track.names == names), None)
        if track is None:
            known = " or ".join(TRACKS)
            raise InputError(f"{self.file}: scores {', '.join(names)}; take a head of {known}")
        return {"track": track, "features": self.reads, "head_size": self._sizes()}

    def start(self, config: SongEvalConfig, width: int) -> TrainableHead:
        """Return a copy to train, for features of a width.

        Raises:
            InputError: If its class, sizes or dimensions are not those of the configuration.
        """
        with torch.device("meta"):  # only its configuration is wanted
            wanted = build_head(config, width)
        head = deepcopy(self.head).requires_grad_(True)
        if not isinstance(head, type(wanted)):
            other = f"features {config.features} train {type(wanted).__name__}; choose others"
            raise InputError(f"{self.file}: holds {type(head).__name__}, {other}")
        for item in fields(wanted.config):
            there, here = getattr(head.config, item.name), getattr(wanted.config, item.name)
            if there != here:
                raise InputError(
                    f"{self.file}: {item.name} of the head is {there}, of the run {here}; leave "
                    "out --track and --head-size, and take features of the model it was trained on"
                )
        return head

    def _sizes(self) -> str:
        """Return the sizes as ``head_size`` takes them."""
        config = self.head.config
        kind = "aesthetic" if isinstance(self.head, AestheticHead) else "baseline"
        own = {item.name for item in fields(config)} - SCALE - {WIDTH[kind]}
        default = type(config)()
        values = {name: getattr(config, name) for name in sorted(own)}
        changed = {name: v for name, v in values.items() if v != getattr(default, name)}
        named = (name for name, sizes in SIZES.items() if sizes[kind] == changed)
        written = ",".join(f"{name}={json.dumps(value)}" for name, value in changed.items())
        return next(named, written)
