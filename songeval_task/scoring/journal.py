"""The journal of a scoring run: each row on disk as soon as it is known, so that a run can go on.

``OUT.partial.jsonl`` begins with a line that says what the run computes, then has one line per clip
in the order they were done. A line is one ``write`` to a file opened for appending: whatever kills
the process, at most the last line is torn, and it is dropped when the run goes on. Rows survive the
process at once; against a power cut the file is synced every few seconds and at the end.

The journal ends with the run. Where clips failed it stays, marked as finished, so that ``--resume``
can retry them alone.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import file_stamp
from songeval_task.scoring.rows import ERROR, Row

__all__ = ["Journal", "Key", "clip_key", "journal_path"]

Key = tuple[str, float | None, float | None, str | None, int | None, int | None]
SYNC_SECONDS = 5.0
FINISHED = {"finished": True}


def journal_path(out: Path) -> Path:
    """Where the journal of a run that writes ``out`` is."""
    return out.with_name(f"{out.name}.partial.jsonl")


def clip_key(clip: Any) -> Key:
    """What makes a clip the same in another run: file, its size and time, span and prompt."""
    try:
        stamp = file_stamp(clip.path)
    except (OSError, ValueError):  # what is wrong with it is told as it is scored
        stamp = {}
    span = (os.fspath(clip.path), clip.start, clip.end, getattr(clip, "prompt", None))
    return (*span, stamp.get("bytes"), stamp.get("mtime_ns"))


class Journal:
    """Rows of one run, appended as they come; a context manager.

    Args:
        path: The file.
        run: What the run computes, as JSON values; a journal of another run is not gone on with.
        resume: Go on with a journal that is there; without it, only one of a finished run is
            replaced.

    Attributes:
        done: Clip -> row, of the clips that earlier runs scored; failed ones are not among them.

    Raises:
        InputError: If the journal that is there is not to be touched; says what to do.
    """

    def __init__(self, path: Path, run: dict[str, Any], *, resume: bool = False) -> None:
        self.path = path
        self.done: dict[Key, Row] = {}
        self._synced = time.monotonic()
        lines = _read(path)
        if lines and not resume and lines[-1] != FINISHED:
            raise InputError(
                f"{path}: {len(lines) - 1} rows of an interrupted run; go on with --resume, or "
                "delete the file to start over"
            )
        if lines and resume:
            _check_same(path, lines[0].get("run"), json.loads(json.dumps(run)))
            self.done = _good_rows(path, lines[1:])
        fresh = 0 if self.done else os.O_TRUNC
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | fresh, 0o666)
        if fresh:
            self._append({"run": run})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def add(self, key: Key, row: Row) -> None:
        """Append the row of a clip."""
        self._append({"clip": key, "row": row})

    def finish(self, rows: Sequence[Row]) -> None:
        """End the run: nothing is left to go on with, unless a row is an error."""
        if any(row["status"] == ERROR for row in rows):
            self._append(FINISHED)
            os.fsync(self._file)
        else:
            self.path.unlink(missing_ok=True)

    def _append(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line) + "\n").encode()
        if os.write(self._file, data) < len(data):
            raise InputError(f"{self.path}: a row was cut off; is the disk full?")
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = time.monotonic()


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal, from which a torn last one is cut off; empty if there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    lines = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            lines.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path}:{number}: not a journal ({error}); delete the file to start over"
            ) from error
    return lines


def _good_rows(path: Path, lines: Sequence[dict[str, Any]]) -> dict[Key, Row]:
    try:
        rows = [(tuple(line["clip"]), line["row"]) for line in lines if line != FINISHED]
        return {key: row for key, row in rows if row["status"] != ERROR}
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a journal; delete the file to start over") from error


def _check_same(path: Path, old: Any, new: dict[str, Any]) -> None:
    old = old if isinstance(old, dict) else {}
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        raise InputError(
            f"{path}: was begun with another {', '.join(changed)}; use the same again, or delete "
            "the file to start over"
        )
