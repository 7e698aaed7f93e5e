"""Readers of ``task_metadata.json`` and ``labelvocabulary.csv``; errors name file and key."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics import text_files
from hear_aesthetics.errors import TaskError

__all__ = [
    "K_FOLD_MODES",
    "check_file",
    "is_number",
    "is_plain",
    "read_grid",
    "read_json",
    "read_key",
    "read_vocabulary",
]

K_FOLD_MODES = ("new_split_kfold", "presplit_kfold")
NUMBER = (int, float)
COLUMNS = ("idx", "label")
GRID_LIMITS: Mapping[str, tuple[Any, float, float]] = {  # type, smallest and largest value
    **dict.fromkeys(("lr", "median_filter_ms", "min_duration"), (NUMBER, 0, 2**31)),
    "dropout": (NUMBER, 0, 1),
    "batch_size": (int, 1, 2**20),
    "hidden_dim": (int, 1, 2**16),
    "hidden_layers": (int, 0, 64),
    "patience": (int, 0, 2**31),
    **dict.fromkeys(("max_epochs", "check_val_every_n_epoch"), (int, 1, 2**31)),
}
MAX_NAME_BYTES = 255 - len(".target-labels.json")  # most file systems take 255
MAX_NUMBER = 1e300  # an int beyond the floats breaks arithmetic


def check_file(path: Path, remedy: str = "is this a complete HEAR folder?") -> None:
    """Refuse missing files, and pipes, devices and folders, of which reading may never end.

    Raises:
        TaskError: If no regular file is there.
    """
    if not path.exists():
        raise TaskError(f"{path}: missing; {remedy}")
    if not path.is_file():
        raise TaskError(f"{path}: not a regular file; put the file itself there")


def read_json(path: Path, kind: type = object, remedy: str = "restore it from the archive") -> Any:
    """Return the content of a JSON file.

    Raises:
        TaskError: If it is missing, or not JSON of that type.
    """
    check_file(path)
    return text_files.read_json(path, kind, error=TaskError, remedy=remedy)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _one_of(*options: str) -> tuple[str, Callable[[Any], bool]]:
    return "one of " + ", ".join(options), options.__contains__


_EXPECTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "task_name": ("a name", lambda v: isinstance(v, str) and bool(v)),
    "embedding_type": _one_of("scene", "event"),
    "prediction_type": _one_of("multiclass", "multilabel", "regression"),
    "split_mode": _one_of("trainvaltest", *K_FOLD_MODES),
    "splits": (
        "a list of names, without folders",
        lambda v: _are_names(v) and all(is_plain(name) and "/" not in name for name in v),
    ),
    "sample_duration": (
        "seconds above 0, or null",
        lambda v: v is None or (is_number(v) and v > 0),
    ),
    "evaluation": ("a list of names", _are_names),
    "evaluation_params": ("an object", lambda v: not v or isinstance(v, dict)),
    "top_tier_thresholds": (
        "a list of numbers",
        lambda v: isinstance(v, list) and all(map(is_number, v)),
    ),
}


def read_key(data: Mapping[str, Any], path: Path, key: str) -> Any:
    """Return a value of ``task_metadata.json``.

    Raises:
        TaskError: If it is not valid; names the key and what was expected.
    """
    value = data.get(key)
    expected, is_valid = _EXPECTED[key]
    if not is_valid(value):
        got = repr(value) if key in data else "missing"
        raise TaskError(f"{path}: key {key!r} is {got}; expected {expected}")
    return value


def is_plain(name: str) -> bool:
    """Return True if a file of this name, and those beside it, can be written below a folder."""
    parts = name.split("/")
    lengths = [len(part.encode(errors="surrogatepass")) for part in parts]
    inside = "\0" not in name and not {"", ".", ".."} & set(parts)
    return inside and max(lengths) <= MAX_NAME_BYTES and not re.search("[\ud800-\udfff]", name)


def is_number(value: Any) -> bool:
    """Return True for finite numbers that a float can hold."""
    return type(value) in NUMBER and abs(value) <= MAX_NUMBER


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
    for name, (kind, low, high) in GRID_LIMITS.items():
        values = value.get(name, ())
        if not all(
            isinstance(v, kind) and not isinstance(v, bool) and low <= v <= high for v in values
        ):
            numbers = "whole numbers" if kind is int else "numbers"
            raise TaskError(
                f"{where}: {name!r} is {values!r}; expected {numbers} from {low} to {high}"
            )
    return {name: tuple(values) for name, values in value.items()}


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Return the labels (or regression targets) in the order of their ``idx``.

    Raises:
        TaskError: If the file is missing or ``idx`` is not 0 to K-1.
    """
    check_file(path, "one row idx,label per label or target")
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
