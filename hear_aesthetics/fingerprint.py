"""Fingerprints of results, compared before finished work is kept or gone on with.

A fingerprint maps names to JSON values; two results with equal fingerprints have equal numbers.
Whatever only tells where a result comes from (the folder of the weights, the licence, the version
of the package) is *provenance*: it is recorded beside the fingerprint and never compared. A record
on disk is a JSON object with the keys ``fingerprint`` and ``provenance``.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import write_text
from hear_aesthetics.text_files import read_json

FINGERPRINT, PROVENANCE = "fingerprint", "provenance"
SHOWN = 3  # differences that a message names
MAX_VALUE_CHARS = 40
ABSENT = "not recorded"
FORMER_KEYS = {"scales": "views", "centring": "standardizer"}  # in earlier versions' files
REMEDY = "take another --out, or --overwrite to replace what is there"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one with dotted keys, its values as JSON gives them back."""
    flat: dict[str, Any] = {}
    for key, value in json.loads(json.dumps(tree, default=str)).items():
        name = prefix + FORMER_KEYS.get(key, key)
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def digest(fingerprint: Mapping[str, Any]) -> str:
    """Return 64 hexadecimal digits that are equal for equal fingerprints, in any order of keys."""
    text = json.dumps(flatten(fingerprint), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the changes in words such as ``"precision was float32, now bfloat16"``."""
    before, now = flatten(known), flatten(wanted)
    return [
        f"{key} was {_words(before, key)}, now {_words(now, key)}"
        for key in {**before, **now}
        if key not in before or key not in now or before[key] != now[key]
    ]


def check(place: str | Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise an error if what is in ``place`` was made with another fingerprint.

    Raises:
        InputError: Says what differs, and the two ways on.
    """
    changed = differences(known, wanted)
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise InputError(
            f"{place}: made with other settings or data ({'; '.join(changed[:SHOWN])}{more}); "
            + REMEDY
        )


def claim(
    path: Path, fingerprint: Mapping[str, Any], provenance: Mapping[str, Any] | None = None
) -> bool:
    """Write the record of a folder, or check the one that is there.

    Args:
        path: Record, such as ``OUT/run.json``; its folder is made if need be.
        fingerprint: Settings and data that decide the results in the folder.
        provenance: Whatever else is known of them.

    Returns:
        True if the folder was claimed before, with an equal fingerprint.

    Raises:
        InputError: If the folder was made with another fingerprint, or the record is damaged.
    """
    if path.is_file():
        check(path.parent, read_record(path)[FINGERPRINT], fingerprint)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {FINGERPRINT: dict(fingerprint), PROVENANCE: dict(provenance or {})}
    write_text(path, json.dumps(record, indent=1, default=str) + "\n")
    return False


def is_finished(
    result: Path,
    record: Path,
    fingerprint: Mapping[str, Any],
    provenance: Mapping[str, Any] | None = None,
) -> bool:
    """Claim a folder whose last file is ``result``; return whether it is there already.

    Raises:
        InputError: If the folder was made with another fingerprint, or holds a result of which no
            record says what made it.
    """
    if result.is_file() and not record.is_file():
        raise InputError(f"{result}: made by another version, nothing records how; {REMEDY}")
    claim(record, fingerprint, provenance)
    return result.is_file()


def read_record(path: Path) -> dict[str, Any]:
    """Return a record that :func:`claim` wrote.

    Raises:
        InputError: If there is none, or it is damaged or of an earlier version.
    """
    record: dict[str, Any] = read_json(path, remedy=REMEDY)
    if not all(isinstance(record.get(part), dict) for part in (FINGERPRINT, PROVENANCE)):
        raise InputError(f"{path}: not a record of this version; {REMEDY}")
    return record


def start_over(path: Path) -> None:
    """Delete the folder of a record with all that is in it, if the record is there."""
    if path.is_file():
        shutil.rmtree(path.parent)


def file_stamp(path: str | os.PathLike[str]) -> dict[str, int]:
    """Return size and modification time of a file: cheap evidence that it is still the same.

    Raises:
        OSError: If there is no such file.
    """
    stat = os.stat(path)  # noqa: PTH116 - of a million files
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _words(values: Mapping[str, Any], key: str) -> str:
    text = str(values[key]) if key in values else ABSENT
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 3]}..."
