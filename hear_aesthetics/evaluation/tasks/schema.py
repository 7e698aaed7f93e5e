"""Readers of ``task_metadata.json`` and ``labelvocabulary.csv``; errors name file and key."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hear_aesthetics import text_files
from hear_aesthetics.errors import TaskError

__all__ = [
    "are_names",
    "are_numbers",
    "are_plain_names",
    "check_regular",
    "is_duration",
    "is_number",
    "is_plain",
    "one_of",
    "read_grid",
    "read_json",
    "read_key",
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
MAX_NUMBER = 1e300  # an int beyond the floats breaks arithmetic


def check_regular(path: Path) -> None:
    """Refuse pipes, devices and folders, of which reading may never end; missing files pass.

    Raises:
        TaskError: If something else than a file is there.
    """
    if path.exists() and not path.is_file():
        raise TaskError(f"{path}: not a regular file; put the file itself there")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        TaskError: If it is missing or not JSON.
    """
    check_regular(path)
    return text_files.read_json(path, object, error=TaskError, remedy="restore it from the archive")


def read_key(
    data: Mapping[str, Any],
    path: Path,
    key: str,
    is_valid: Callable[[Any], bool],
    expected: str,
    default: Any = None,
) -> Any:
    """Return a value of ``task_metadata.json``.

    Raises:
        TaskError: If it is not valid; names the key and what was expected.
    """
    value = data.get(key, default)
    if not is_valid(value):
        got = repr(value) if key in data else "missing"
        raise TaskError(f"{path}: key {key!r} is {got}; expected {expected}")
    return value


def one_of(options: Sequence[str]) -> tuple[Callable[[Any], bool], str]:
    """Return the arguments ``is_valid`` and ``expected`` of :func:`read_key` for a choice."""
    return tuple(options).__contains__, "one of " + ", ".join(options)


def are_names(value: Any) -> bool:
    """Return True for a list of texts, at least one."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def are_plain_names(value: Any) -> bool:
    """Return True for a list of names that may become files of one folder."""
    return are_names(value) and all(is_plain(name) and "/" not in name for name in value)


def is_plain(name: str) -> bool:
    """Return True if a file of this name, and those beside it, can be written below a folder."""
    parts = name.split("/")
    lengths = [len(part.encode(errors="surrogatepass")) for part in parts]
    inside = "\0" not in name and not {"", ".", ".."} & set(parts)
    return inside and max(lengths) <= MAX_NAME_BYTES and not re.search("[\ud800-\udfff]", name)


def is_number(value: Any) -> bool:
    """Return True for finite numbers that a float can hold."""
    return type(value) in NUMBER and abs(value) <= MAX_NUMBER


def is_duration(value: Any) -> bool:
    """Return True for seconds above 0, and for None."""
    return value is None or (is_number(value) and value > 0)


def are_numbers(value: Any) -> bool:
    """Return True for a list of finite numbers."""
    return isinstance(value, list) and all(map(is_number, value))


def read_grid(
    params: Mapping[str, Any], path: Path, key: str, default: Mapping[str, Any]
) -> dict[str, tuple[Any, ...]]:
    """Return a grid of ``evaluation_params``: lists of options by name.

    Raises:
        TaskError: If it is anything else, a list is empty, or a number is out of range.
    """
    value = params.get(key, default)
    where = f"{path}: key 'evaluation_params.{key}'"
    lists = isinstance(value, Mapping) and all(isinstance(v, list | tuple) for v in value.values())
    if not lists or not all(value.values()):
        raise TaskError(f"{where} is {value!r}; expected an object of lists of values")
    for name, values in value.items():
        kind = GRID_VALUES.get(name)
        if kind and not all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
            raise TaskError(f"{where}: {name!r} is {values!r}; expected numbers")
        low, high = GRID_LIMITS.get(name, (0, 2**31))
        if kind and not all(low <= v <= high for v in values):
            raise TaskError(f"{where}: {name!r} is {values!r}; expected {low} to {high}")
    return {name: tuple(values) for name, values in value.items()}


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Return the labels (or regression targets) in the order of their ``idx``.

    Raises:
        TaskError: If the file is missing or ``idx`` is not 0 to K-1.
    """
    check_regular(path)
    text = text_files.read_text(path, TaskError)
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as e:
        raise TaskError(f"{path}: not a table ({e}); restore it from the archive") from e
    if not rows or any(not isinstance(row.get(key), str) for row in rows for key in COLUMNS):
        raise TaskError(f"{path}: expected the header idx,label and at least one row of both")
    try:
        labels = {int(float(row["idx"])): row["label"] for row in rows}
    except (ValueError, OverflowError) as e:
        raise TaskError(f"{path}: column 'idx' must hold whole numbers ({e})") from e
    if sorted(labels) != list(range(len(rows))):
        raise TaskError(f"{path}: column 'idx' must hold 0 to {len(rows) - 1}, each once")
    return tuple(labels[i] for i in range(len(rows)))
