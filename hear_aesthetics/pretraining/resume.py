"""Checkpoints for exact resumption.

They hold no random state: audio and masks are drawn anew from the seed and the step.
"""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, remove_leftovers
from hear_aesthetics.fingerprint import check

__all__ = ["load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
UNDECISIVE = {"save_every", "evaluate_every", "snapshot_every"}  # they decide no weights
# Keys of checkpoints of earlier versions
EARLIER_NAMES = {"commonest": "majority_share", "optimiser": "optimizer", "ratio": "lift"}


def save_checkpoint(folder: Path, values: Mapping[str, Any]) -> None:
    """Write a checkpoint and flush it to disk before it replaces the previous one."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / CHECKPOINT) as file:
        torch.save(dict(values), file)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the checkpoint of a folder, None if there is none.

    Raises:
        InputError: If it cannot be read, or belongs to a run with other settings.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    remove_leftovers(folder)
    try:
        values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = values["config"]
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: {reason}; start over with --overwrite") from error
    known, wanted = ({k: made[k] for k in made if k not in UNDECISIVE} for made in (before, config))
    check(folder.parent, known, wanted)
    model = {name.replace("quantiser.", "quantizer."): t for name, t in values["model"].items()}
    return {**_renamed(values), "model": model, "history": [*map(_renamed, values["history"])]}


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {EARLIER_NAMES.get(name, name): value for name, value in values.items()}
