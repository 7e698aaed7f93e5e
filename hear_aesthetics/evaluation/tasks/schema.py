"""Reading ``task_metadata.json`` and ``labelvocabulary.csv``, each failure naming file and key."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import TaskError

__all__ = [
    "MetadataReader",
    "check_regular",
    "is_number",
    "is_plain",
    "read_grid",
    "read_json",
    "read_vocabulary",
]


NUMBER = (int, float)
COLUMNS = ("idx", "label")
GRID_VALUES: Mapping[str, Any] = {
    **dict.fromkeys(("lr", "dropout", "median_filter_ms", "min_duration"), NUMBER),
    **dict.fromkeys(("batch_size", "hidden_dim", "hidden_layers", "max_epochs"), int),
    **dict.fromkeys(("patience", "check_val_every_n_epoch"), int),
}
GRID_LIMITS = {"batch_size": (1, 2**20), "hidden_dim": (1, 2**16), "hidden_layers": (0, 64)}
GRID_LIMITS |= {"max_epochs": (1, 2**31), "check_val_every_n_epoch": (1, 2**31), "dropout": (0, 1)}
MAX_NAME_BYTES = 255 - len(".target-labels.json")  # most file systems take 255
LARGEST = 1e300  # of a number: an int beyond the floats breaks arithmetic


def check_regular(path: Path) -> None:
    """Refuse pipes, devices and folders, of which reading may never end; missing files pass.

    Raises:
        TaskError: If something else than a file is there.
    """
    if path.exists() and not path.is_file():
        raise TaskError(f"{path}: not a regular file; put the file itself there")


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        TaskError: If it is missing or not JSON.
    """
    check_regular(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as e:
        raise TaskError(f"{path}: missing; is this a complete HEAR folder?") from e
    except UnicodeDecodeError as e:
        raise TaskError(f"{path}: not UTF-8 ({e.reason}); save it as UTF-8") from e
    except (OSError, ValueError, RecursionError) as e:
        raise TaskError(f"{path}: not JSON ({e}); restore it from the archive") from e


def is_plain(name: str) -> bool:
    """Return True if a file of this name, and those beside it, can be written below a folder."""
    parts = name.split("/")
    lengths = [len(part.encode(errors="surrogatepass")) for part in parts]
    inside = "\0" not in name and not {"", ".", ".."} & set(parts)
    return inside and max(lengths) <= MAX_NAME_BYTES and not re.search("[\ud800-\udfff]", name)


def is_number(value: Any) -> bool:
    """Return True for finite numbers that a float can hold."""
    return type(value) in NUMBER and abs(value) <= LARGEST


class MetadataReader:
    """Typed access to ``task_metadata.json``, each failure naming its key."""

    def __init__(self, data: Mapping[str, Any], path: Path) -> None:
        self._data = data
        self._path = path

    def _fail(self, key: str, expected: str) -> TaskError:
        got = repr(self._data[key]) if key in self._data else "missing"
        return TaskError(f"{self._path}: key {key!r} is {got}; expected {expected}")

    def text(self, key: str) -> str:
        """A name."""
        value = self._data.get(key)
        if not isinstance(value, str) or not value:
            raise self._fail(key, "a name")
        return value

    def choice(self, key: str, options: Sequence[str]) -> str:
        """One of the options."""
        value = self._data.get(key)
        if not isinstance(value, str) or value not in options:
            raise self._fail(key, "one of " + ", ".join(options))
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of names, not empty."""
        value = self._data.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise self._fail(key, "a list of names")
        return tuple(value)

    def numbers(self, key: str, within: Mapping[str, Any]) -> tuple[float, ...]:
        """A list of finite numbers; empty where the key is missing."""
        value = within.get(key, [])
        if not isinstance(value, list) or not all(map(is_number, value)):
            raise TaskError(f"{self._path}: key {key!r} is {value!r}; expected a list of numbers")
        return tuple(value)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of plain names, which may become files."""
        value = self.texts(key)
        if not all(is_plain(name) and "/" not in name for name in value):
            raise self._fail(key, "plain names, without folders")
        return value

    def duration(self, key: str) -> float | None:
        """Seconds above 0, or None."""
        value = self._data.get(key)
        if value is not None and not (is_number(value) and value > 0):
            raise self._fail(key, "seconds above 0, or null")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        """An object; empty where the key is missing."""
        value = self._data.get(key) or {}
        if not isinstance(value, dict):
            raise self._fail(key, "an object")
        return value


def read_grid(value: Any, where: str) -> dict[str, tuple[Any, ...]]:
    """A grid of options: lists of values by name.

    Raises:
        TaskError: If it is anything else, or a list is empty.
    """
    lists = isinstance(value, Mapping) and all(isinstance(v, list | tuple) for v in value.values())
    if not lists or not all(value.values()):
        raise TaskError(f"{where} is {value!r}; expected an object of lists of values")
    for name, values in value.items():
        kind = GRID_VALUES.get(name)
        if kind and not all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
            raise TaskError(f"{where}: {name!r} is {values!r}; expected numbers")
        limits = GRID_LIMITS.get(name, (0, 2**31))
        if kind and not all(limits[0] <= v <= limits[1] for v in values):
            raise TaskError(f"{where}: {name!r} is {values!r}; expected {limits[0]} to {limits[1]}")
    return {name: tuple(values) for name, values in value.items()}


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Labels (or regression targets) in the order of their ``idx``.

    Raises:
        TaskError: If the file is missing or ``idx`` is not 0 to K-1.
    """
    check_regular(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as e:
        raise TaskError(f"{path}: missing; one row idx,label per label or target") from e
    except UnicodeDecodeError as e:
        raise TaskError(f"{path}: not UTF-8 ({e.reason}); save it as UTF-8") from e
    except (OSError, csv.Error) as e:
        raise TaskError(f"{path}: not a table ({e}); restore it from the archive") from e
    if not rows or any(not isinstance(row.get(key), str) for row in rows for key in COLUMNS):
        raise TaskError(f"{path}: expected the header idx,label and at least one row of both")
    try:
        labels = {int(float(row["idx"])): row["label"] for row in rows}
    except (TypeError, ValueError, OverflowError) as e:
        raise TaskError(f"{path}: column 'idx' must hold whole numbers ({e})") from e
    if sorted(labels) != list(range(len(rows))):
        raise TaskError(f"{path}: column 'idx' must hold 0 to {len(rows) - 1}, each once")
    return tuple(labels[i] for i in range(len(rows)))
