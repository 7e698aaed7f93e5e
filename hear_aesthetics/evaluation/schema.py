"""Reading ``task_metadata.json`` and ``labelvocabulary.csv``, each failure naming file and key."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import TaskError

__all__ = ["MetadataReader", "read_grid", "read_json", "read_vocabulary"]


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        TaskError: If it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise TaskError(f"{path}: missing; is this a complete HEAR folder?") from e
    except json.JSONDecodeError as e:
        raise TaskError(f"{path}: not JSON ({e}); restore it from the archive") from e


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
        if value not in options:
            raise self._fail(key, "one of " + ", ".join(options))
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of names, not empty."""
        value = self._data.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise self._fail(key, "a list of names")
        return tuple(value)

    def duration(self, key: str) -> float | None:
        """Seconds above 0, or None."""
        value = self._data.get(key)
        if value is not None and (not isinstance(value, int | float) or value <= 0):
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
    return {name: tuple(values) for name, values in value.items()}


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Labels (or regression targets) in the order of their ``idx``.

    Raises:
        TaskError: If the file is missing or ``idx`` is not 0 to K-1.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as e:
        raise TaskError(f"{path}: missing; one row idx,label per label or target") from e
    if not rows or {"idx", "label"} - set(rows[0]):
        raise TaskError(f"{path}: expected the header idx,label and at least one row")
    try:
        labels = {int(float(row["idx"])): row["label"] for row in rows}
    except (TypeError, ValueError) as e:
        raise TaskError(f"{path}: column 'idx' must hold whole numbers ({e})") from e
    if sorted(labels) != list(range(len(rows))):
        raise TaskError(f"{path}: column 'idx' must hold 0 to {len(rows) - 1}, each once")
    return tuple(labels[i] for i in range(len(rows)))
