"""The released interchange: features and ratings as ``.npy`` files and a pickled list.

``train_set.pkl`` is a list of dictionaries, each with the five mean ratings and ``npy_path``, the
path of a float32 array ``(1, frames, 4096)`` called ``<song>.npy`` or, for an augmented version,
``<song>_aug<number>.npy``.
"""

import hashlib
import io
import math
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from hear_aesthetics.checkpoints.pickles import read_plain_pickle
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file
from songeval_task.data.prepared import Prepared, PreparedSong
from songeval_task.data.splits import SPLITS
from songeval_task.dimensions import DIMENSIONS
from songeval_task.features.augmentation import AUGMENTED, ORIGINAL
from songeval_task.features.store import Entry, FeatureStore

__all__ = ["ReleasedRow", "export_bytes", "export_interchange", "read_array", "read_rows"]

NPY_NAME = re.compile(r"(?P<song>.+?)(?:_aug(?P<number>\d+))?\.npy")
ARRAYS = "npy"


@dataclass(frozen=True)
class ReleasedRow:
    """A row of a released list.

    Attributes:
        song: The song's id, as SongEval calls it: ``mp3/<song>.mp3``.
        version: ``"original"`` or ``"aug<number>"``.
        labels: Mean rating per dimension.
        array: The ``.npy`` file.
    """

    song: str
    version: str
    labels: tuple[float, ...]
    array: Path


def read_rows(path: Path) -> list[ReleasedRow]:
    """Return the rows of a released list; one that names the same array again counts once.

    Arrays are looked for where the list says, then beside the list.

    Raises:
        InputError: If it is no such list; names the row and what is wrong.
    """
    rows: dict[Path, ReleasedRow] = {}
    for number, item in enumerate(_unpickle(path)):
        row = _row(path, number, item)
        rows.setdefault(row.array, row)
    if not rows:
        raise InputError(f"{path}: an empty list; nothing to import")
    return list(rows.values())


def read_array(path: Path) -> tuple[torch.Tensor, str]:
    """Return features ``(frames, dim)`` of an ``.npy`` file, and its sha256.

    Raises:
        InputError: If it holds no float32 array ``(1, frames, dim)`` or ``(frames, dim)``.
    """
    try:
        data = path.read_bytes()
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: no array can be read ({error}); export it again") from error
    if array.ndim == 2:  # as SongEval's lists may have them
        array = array[None]
    if array.dtype != np.float32 or array.ndim != 3 or array.shape[0] != 1 or not array.size:
        raise InputError(f"{path}: {array.dtype} {array.shape}; expected float32 (1, frames, dim)")
    return torch.from_numpy(array[0]), hashlib.sha256(data).hexdigest()


def export_bytes(prepared: Prepared, store: FeatureStore) -> int:
    """Return the disk space that :func:`export_interchange` takes, about.

    Raises:
        InputError: If the store holds none of the songs.
    """
    entries = [entry for _, entry in _entries(prepared, store)]
    (sample,) = store.load(entries[0].song, entries[0].version)
    frames = sum(entry.frames for entry in entries)
    return frames * sample.shape[1] * np.dtype(np.float32).itemsize


def export_interchange(prepared: Prepared, store: FeatureStore, out: Path) -> Iterator[Path]:
    """Write the lists of all splits and every array that the store has; yield each written array.

    Raises:
        InputError: If two songs would share an array, or the store holds none of the songs.
        OSError: If a file cannot be written.
    """
    arrays = out / ARRAYS
    arrays.mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    taken: dict[str, str] = {}
    for song, entry in _entries(prepared, store):
        number = re.search(r"\d+$", entry.version)
        suffix = f"_aug{number[0]}" if number else ""
        name = f"{PurePosixPath(song.name).stem}{suffix}.npy"
        if taken.setdefault(name, song.name) != song.name:
            raise InputError(f"{song.name}: would share {name} with {taken[name]}; rename one")
        (fused,) = store.load(song.name, entry.version)
        with atomic_file(arrays / name) as file:
            np.save(file, fused.float().numpy()[None])
        labels = zip((dimension.name for dimension in DIMENSIONS), song.labels, strict=True)
        lists[song.split].append({**dict(labels), "npy_path": str((arrays / name).resolve())})
        yield arrays / name
    for split, rows in lists.items():
        with atomic_file(out / f"{split}_set.pkl") as file:
            pickle.dump(rows, file)


def _unpickle(path: Path) -> list[Any]:
    try:
        items = read_plain_pickle(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: not a released list ({error}); it is not loaded") from error
    if not isinstance(items, list):
        raise InputError(f"{path}: holds a {type(items).__name__}; expected a list of dictionaries")
    return items


def _row(path: Path, number: int, item: Any) -> ReleasedRow:
    place = f"{path}: row {number}"
    if not isinstance(item, dict) or not isinstance(item.get("npy_path"), str):
        raise InputError(f"{place} has no npy_path; expected the five scores and npy_path")
    labels = tuple(_label(place, item, dimension.name) for dimension in DIMENSIONS)
    array = _find(path, item["npy_path"])
    if array is None:
        raise InputError(f"{place}: {item['npy_path']} is neither there nor beside the list")
    found = NPY_NAME.fullmatch(array.name)
    if not found:
        raise InputError(f"{place}: {array.name} is no .npy file")
    version = ORIGINAL if found["number"] is None else f"{AUGMENTED}{found['number']}"
    return ReleasedRow(f"mp3/{found['song']}.mp3", version, labels, array)


def _label(place: str, item: dict[str, Any], name: str) -> float:
    try:
        value = float(item[name])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{place} has no number for {name}") from error
    low, high = DIMENSIONS[0].low, DIMENSIONS[0].high
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(f"{place}: {name} {value:g} is outside {low:g} to {high:g}")
    return value


def _find(path: Path, written: str) -> Path | None:
    """Return the path of an array: as the list says, or beside the list if the folder was moved."""
    name = PurePosixPath(written.replace("\\", "/")).name
    places = (Path(written), path.parent / written, path.parent / name, path.parent / ARRAYS / name)
    return next((place.resolve() for place in places if place.is_file()), None)


def _entries(prepared: Prepared, store: FeatureStore) -> list[tuple[PreparedSong, Entry]]:
    """Return songs with their entries in the store, in the order of the table."""
    by_song: dict[str, list[Entry]] = {}
    for entry in store.entries():
        by_song.setdefault(entry.song, []).append(entry)
    found = [(song, entry) for song in prepared.songs for entry in by_song.get(song.name, ())]
    if not found:
        raise InputError(f"{store.root}: has no features of these songs; run `songeval features`")
    return found
