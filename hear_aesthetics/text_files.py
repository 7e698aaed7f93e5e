"""Text that users write (lists, tables, JSON), read as UTF-8 with or without a byte order mark."""

import json
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError

__all__ = ["decode_text", "read_json", "read_text"]


def read_text(path: str | Path) -> str:
    """Read a text file.

    Raises:
        InputError: If it cannot be read or is not UTF-8; names the file and the remedy.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        remedy = "its permissions" if isinstance(error, PermissionError) else "the name"
        raise InputError(f"{path}: cannot be read ({reason}); check {remedy}") from error
    return decode_text(content, path)


def decode_text(content: bytes, name: str | Path) -> str:
    """Decode the bytes of a text file; a byte order mark goes, line ends become newlines.

    Raises:
        InputError: If they are not UTF-8; ``name`` says which file.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: is not UTF-8 text ({error}); save it as UTF-8") from error
    if "\0" in text:  # such as UTF-16 without a mark
        raise InputError(f"{name}: is not UTF-8 text (it has null bytes); save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | Path, kind: type = dict) -> Any:
    """Read a JSON file whose outermost value is of a type: ``dict`` or ``list``.

    Raises:
        InputError: If it cannot be read, is not JSON, or is of another type.
    """
    try:
        value = json.loads(read_text(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error}); correct or replace it") from error
    if not isinstance(value, kind):
        wanted = "object" if kind is dict else "list"
        raise InputError(f"{path}: is not a JSON {wanted}; correct or replace it")
    return value
