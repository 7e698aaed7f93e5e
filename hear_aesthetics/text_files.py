"""Reading of text files, CSV tables and JSON in UTF-8, with or without a byte order mark."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import HearAestheticsError, InputError

__all__ = ["decode_text", "finite_number", "read_json", "read_table", "read_text"]

Error = type[HearAestheticsError]


def read_text(path: str | Path, error: Error = InputError) -> str:
    """Read a text file.

    Raises:
        HearAestheticsError: Of class ``error``, if it cannot be read or is not UTF-8; names the
            file and the remedy.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as failure:  # ValueError: a null byte in the name
        reason = getattr(failure, "strerror", None) or failure
        remedy = "its permissions" if isinstance(failure, PermissionError) else "the name"
        raise error(f"{path}: cannot be read ({reason}); check {remedy}") from failure
    return decode_text(content, path, error)


def decode_text(content: bytes, name: str | Path, error: Error = InputError) -> str:
    """Decode the bytes of a text file; a byte order mark goes, line ends become newlines.

    Raises:
        HearAestheticsError: Of class ``error``, if they are not UTF-8; begins with ``name``.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(f"{name}: is not UTF-8 text ({failure}); save it as UTF-8") from failure
    if "\0" in text:  # such as UTF-16 without a mark
        raise error(f"{name}: is not UTF-8 text (it has null bytes); save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(
    path: str | Path,
    kind: type = dict,
    *,
    error: Error = InputError,
    remedy: str = "correct or replace it",
) -> Any:
    """Read a JSON file.

    Args:
        path: File in UTF-8.
        kind: Type of its outermost value: ``dict``, ``list``, or ``object`` for any.
        error: Class of the error that is raised.
        remedy: End of the error message for a file that is not JSON of that kind.

    Raises:
        HearAestheticsError: Of class ``error``, if it cannot be read, is not JSON, or is of another
            type.
    """
    text = read_text(path, error)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise error(f"{path}: is not JSON ({failure}); {remedy}") from failure
    if not isinstance(value, kind):
        wanted = "object" if kind is dict else "list"
        raise error(f"{path}: is not a JSON {wanted}; {remedy}")
    return value


def read_table(path: str | Path) -> tuple[tuple[str, ...], list[tuple[str, dict[str, str]]]]:
    """Read a CSV file with a header: its columns, and its rows, each after its place.

    Commas, semicolons or tabs part the cells, whichever the header has most of. A place is
    ``<path>: line <number>``. Rows of blanks are skipped; cells lose the blanks around them, and
    those that a short row lacks are empty.

    Raises:
        InputError: If it cannot be read, names a column twice, or a row has more cells than the
            header.
    """
    text = read_text(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = io.StringIO(text)
    reader = csv.DictReader(lines, restval="", delimiter=delimiter, skipinitialspace=True)
    rows = []
    try:
        columns = tuple(name.strip() for name in reader.fieldnames or ())
        reader.fieldnames = columns
        if len(set(columns)) < len(columns):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise InputError(f"{path}: has two columns {twice!r}; keep one")
        for row in reader:
            place = f"{path}: line {reader.line_num}"
            if None in row:
                raise InputError(f"{place} has more cells than the header; quote what has commas")
            cells = {name: text.strip() for name, text in row.items()}
            if any(cells.values()):
                rows.append((place, cells))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; correct the table") from error
    return columns, rows


def finite_number(text: str, place: str) -> float:
    """Read a cell.

    Raises:
        InputError: If it holds NaN, infinity or no number; begins with ``place``.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{place} holds {text!r}; write a finite number there")
    return value
