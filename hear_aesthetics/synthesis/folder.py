"""Folder of a synthetic data set, resumed with an equal recipe only."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import remove_leftovers
from hear_aesthetics.fingerprint import claim, start_over

__all__ = ["begin_set"]

IDENTITY = "synthesis.json"


def begin_set(out: Path, recipe: Any, *, overwrite: bool = False) -> None:
    """Make the folder of a set, or check that it was begun with the same recipe, a dataclass.

    With ``overwrite`` a set that is there is deleted.

    Raises:
        InputError: If the folder holds something else.
    """
    path = out / IDENTITY
    if overwrite:
        start_over(path)
    if not path.is_file() and out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: holds other files; choose a new folder")
    claim(path, asdict(recipe))
    remove_leftovers(out)
