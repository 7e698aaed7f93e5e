"""Features as the released code has them: ``NAME.npy``, with what made it in ``NAME.npy.json``.

The array is float32 ``(1, frames, dim)``; the released list names it after its audio,
``audio<TAB>features.npy`` in a line. An array without its record is someone else's, and is never
taken for one that was made here.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.corpus.stored import AnyPath
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, one_line_when_full, write_text
from hear_aesthetics.fingerprint import REMEDY
from hear_aesthetics.text_files import read_json, read_text

__all__ = [
    *("check_list", "check_listed", "list_path", "read_record", "write_features", "write_list"),
]

UNLISTED = re.compile("[\t\n\r\ud800-\udfff]")  # parts of a list's lines; bytes that are not UTF-8


def write_features(path: Path, features: np.ndarray, record: Mapping[str, Any]) -> None:
    """Write features ``(frames, dim)`` and their record; the folder is made if need be.

    Raises:
        OSError: If one cannot be written.
    """
    with one_line_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # where array and record are, they belong together
    write_text(_record_path(path), json.dumps(record, indent=1) + "\n")
    with atomic_file(path) as file:
        np.save(file, features[None])


def read_record(path: Path) -> dict[str, Any]:
    """Return what :func:`write_features` recorded of an array that is there.

    Raises:
        InputError: If nothing tells what made it.
    """
    if not _record_path(path).is_file():
        raise InputError(f"{path}: is there, without a record of what made it; {REMEDY}")
    record: dict[str, Any] = read_json(_record_path(path), remedy=REMEDY)
    return record


def list_path(folder: Path) -> Path:
    """Return where the list of a folder of arrays is: beside it, as in the released pipeline."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.txt")


def check_list(path: Path) -> None:
    """Check that a list may be written.

    Raises:
        InputError: If a file is there that is no such list.
    """
    if path.exists():
        lines = [line for line in read_text(path).split("\n") if line.strip()]
        if not all("\t" in line and line.endswith(".npy") for line in lines):
            raise InputError(f"{path}: is there, and lists no features; take another --out")


def check_listed(audio: AnyPath, array: Path) -> None:
    """Check that a list can hold an audio file and its array.

    Raises:
        InputError: If a name would tear its line.
    """
    if UNLISTED.search(f"{audio}{array}"):
        raise InputError(
            f"{audio}: a list of features takes no tab, line break or bytes that are not UTF-8 in "
            "a name; rename the file"
        )


def write_list(path: Path, rows: Iterable[tuple[AnyPath, Path]]) -> None:
    """Write the list of audio files and their arrays."""
    named = ((f"./{audio}" if str(audio)[0] == "#" else audio, array) for audio, array in rows)
    lines = (f"{audio}\t{array.resolve()}\n" for audio, array in named)
    with atomic_file(path) as file:
        file.write("".join(lines).encode())


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
