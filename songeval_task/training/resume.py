"""Checkpoints for exact resumption.

A checkpoint holds the head, the optimizer, the schedule and where the run is; all randomness is
drawn anew from the seed and the number of the epoch. It is written whole and renamed into place.
The best head so far has a file of its own, whose name the checkpoint records: a newer one, left by
a run that was killed before its checkpoint, is not mistaken for it.
"""

import os
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, remove_leftovers

__all__ = ["Progress", "RunState"]

CHECKPOINT = "checkpoint.pt"


@dataclass
class Progress:
    """Progress of a run.

    Attributes:
        epoch: Epoch now running, from 0.
        update: Next update of the epoch.
        updates: Number of updates done.
        smoothed_loss: Loss of the updates, exponentially smoothed; drives the learning rate.
        losses: Losses of the updates since the last evaluation.
        best_score: Best score of all evaluations.
        best_file: Name of the best head's file in the state folder.
        best_epoch: Epoch of the best score.
        finished: Whether training has ended.
        history: A row per evaluation.
    """

    epoch: int = 0
    update: int = 0
    updates: int = 0
    smoothed_loss: float | None = None
    losses: list[float] = field(default_factory=list)
    best_score: float | None = None
    best_file: str = ""
    best_epoch: int = 0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


class RunState:
    """The state folder of a run.

    Args:
        folder: Made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)

    def save(self, progress: Progress, parts: dict[str, Any]) -> None:
        """Write a checkpoint, and remove the heads that were the best before.

        Args:
            progress: Progress of the run.
            parts: State dictionaries by name.
        """
        with atomic_file(self.folder / CHECKPOINT) as file:
            torch.save({"progress": asdict(progress), **parts}, file)
            file.flush()
            os.fsync(file.fileno())
        for path in self.folder.glob("best-*"):
            if path.name != progress.best_file:
                path.unlink()

    def load(self) -> tuple[Progress, dict[str, Any]] | None:
        """Return the checkpoint; None if there is none.

        Raises:
            InputError: If it cannot be read.
        """
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return None
        try:
            parts = torch.load(path, map_location="cpu", weights_only=True)
            return Progress(**parts.pop("progress")), parts
        except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: {reason}; start over with --overwrite") from error

    def save_best(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Write a head to a file whose name begins with ``best-``."""
        with atomic_file(self.folder / name) as file:
            file.write(save({key: value.cpu().contiguous() for key, value in tensors.items()}))

    def load_best(self, progress: Progress) -> dict[str, Tensor]:
        """Return the best head's tensors."""
        return load_file(self.folder / progress.best_file)
