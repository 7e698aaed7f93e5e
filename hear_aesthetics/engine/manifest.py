"""Rows of a JSON-lines manifest: audio file, span of it, and the prompt it answers to."""

import json
from dataclasses import dataclass
from typing import Any, Self

from hear_aesthetics.errors import InputError

__all__ = ["ManifestRow", "parse_object"]

MAX_SECONDS = 1e9  # a time beyond it, or NaN, is a mistake


@dataclass(frozen=True)
class ManifestRow:
    """Audio file, span and prompt of a row.

    Attributes:
        path: As written.
        start: Seconds, above 0; None is the beginning, so that equal spans are equal.
        end: Seconds, after the start; None is the end of the file.
        prompt: Not empty, or None.
    """

    path: str
    start: float | None = None
    end: float | None = None
    prompt: str | None = None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """Return the row of ``path``, ``start_time``, ``end_time``, ``prompt``; null means none.

        Raises:
            InputError: If there is no path, or a value is no time or text. The line is not named.

        >>> ManifestRow.of({"path": "song.mp3", "start_time": 0, "end_time": 30})
        ManifestRow(path='song.mp3', start=None, end=30.0, prompt=None)
        """
        path, prompt = fields.get("path"), fields.get("prompt")
        if not isinstance(path, str) or not path:
            raise InputError('no path in it; write {"path": "song.wav"}')
        start, end = _seconds(fields, "start_time"), _seconds(fields, "end_time")
        if end is not None and end <= (start or 0):
            raise InputError(f"end_time {end} is not after start_time {start or 0}; correct them")
        if prompt is not None and not isinstance(prompt, str):
            raise InputError(f"prompt is {prompt!r}; write text in quotes")
        return cls(path, start or None, end, prompt or None)


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object of a line.

    Raises:
        InputError: If the line is no JSON object. The line is not named.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({error}); write one object per line") from error
    if not isinstance(fields, dict):
        raise InputError('not a JSON object; write {"path": "song.wav"}')
    return fields


def _seconds(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < MAX_SECONDS:
        raise InputError(f"{name} is {value!r}; write seconds, 0 or more")
    return float(value)
