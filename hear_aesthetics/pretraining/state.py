"""What a run remembers, so that it goes on after a crash as if nothing had happened.

Nothing random is remembered: audio and masks are drawn anew from the seed and the step.
"""

import csv
import io
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, remove_leftovers, write_text
from hear_aesthetics.fingerprint import check

__all__ = ["load_checkpoint", "save_checkpoint", "write_log"]

CHECKPOINT = "checkpoint.pt"
UNDECISIVE = {"save_every", "evaluate_every", "snapshot_every"}  # when to look, not what to do


def save_checkpoint(folder: Path, values: Mapping[str, Any]) -> None:
    """Write a checkpoint whole, and onto the disk, before it replaces the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / CHECKPOINT) as file:
        torch.save(dict(values), file)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The folder's checkpoint; None if there is none.

    Args:
        folder: Where :func:`save_checkpoint` wrote.
        config: Of the run that wants to go on.

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
    return values


def write_log(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the evaluations as CSV, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())
