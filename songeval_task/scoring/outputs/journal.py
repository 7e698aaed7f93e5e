"""Journal of scores: each row on disk as soon as it is known, so that no work is repeated.

The journal begins with a line that holds the fingerprint of the scores, then has one line per clip
in the order they were done. A line is one ``write`` to a file opened for appending: whatever kills
the process, at most the last line is torn, and it is dropped when the run goes on. Rows survive the
process at once; against a power cut the file is synced every few seconds and at the end.

It is ``OUT.partial.jsonl`` while a run lasts and ``OUT.rows.jsonl`` from then on. The next run of
the same scores takes from it what was scored and is still the same file.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from hear_aesthetics.corpus.stored import stamp_of
from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import check
from songeval_task.scoring.rows import ERROR, AnySpan, ScoreRow

__all__ = ["Journal", "Key", "clip_key", "journal_path"]

Key = tuple[str | float | None, ...]
NO_STAMP = None, None  # size and time of a file that is not there
SYNC_SECONDS = 5.0
FIRST = b'{"fingerprint": '  # begins every journal
WAYS_ON = "take another --out, or --overwrite to replace what is there"


def journal_path(out: Path, *, finished: bool = False) -> Path:
    """Return the path of the journal of a run that writes ``out``, or of a finished one."""
    return out.with_name(f"{out.name}.{'rows' if finished else 'partial'}.jsonl")


def clip_key(clip: AnySpan) -> Key:
    """Return what identifies a clip: file, span, prompt, and the file's size and time."""
    try:
        stamp = tuple(stamp_of(clip.path).values())
    except (OSError, ValueError):  # what is wrong with it is told as it is scored
        stamp = ()
    span = (os.fspath(clip.path), clip.start, clip.end, clip.prompt)
    return (*span, *(stamp or NO_STAMP))


class Journal:
    """Rows of one run, appended as they come; a context manager.

    Args:
        out: The file that the run writes.
        fingerprint: What decides the scores; rows of another one are never mixed in.
        overwrite: Start over, whatever is there.
        path: The journal, during the run and afterwards; by default it lies beside ``out``.

    Attributes:
        done: Key -> row of the clips that earlier runs scored, without those that failed.
        fingerprint: What decides the scores.

    Raises:
        InputError: If what is there was made otherwise; names the differences and the ways on.
    """

    def __init__(
        self,
        out: Path,
        fingerprint: Mapping[str, Any],
        *,
        overwrite: bool = False,
        path: Path | None = None,
    ) -> None:
        self.path = path or journal_path(out)
        self._finished = path or journal_path(out, finished=True)
        self.done: dict[Key, ScoreRow] = {}
        self.fingerprint = dict(fingerprint)
        self._synced = time.monotonic()
        there = self.path if self.path.exists() else self._finished
        lines, whole = ([], 0) if overwrite else _read(there)
        if lines:
            self.done = _good_rows(out, there, lines, fingerprint)
            os.truncate(there, whole)  # a torn last line goes
        elif out.exists() and not overwrite:
            raise InputError(f"{out}: is there, without a record of what made it; {WAYS_ON}")
        if there is self._finished and there.exists():
            there.replace(self.path)
        fresh = 0 if lines else os.O_TRUNC
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | fresh, 0o666)
        if fresh:
            self._append({"fingerprint": self.fingerprint})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def add(self, key: Key, row: ScoreRow) -> None:
        """Append the row of a clip."""
        self._append({"clip": key, "row": row})

    def finish(self) -> None:
        """End the run, whose rows have reached their file."""
        os.fsync(self._file)
        self.path.replace(self._finished)

    def _append(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line, allow_nan=False) + "\n").encode()
        if os.write(self._file, data) < len(data):
            raise InputError(f"{self.path}: a row was cut off; is the disk full?")
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = time.monotonic()


def _read(path: Path) -> tuple[list[Any], int]:
    """Return the whole lines of a journal and their bytes; none if there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    whole = data.rfind(b"\n") + 1
    if not whole and data[: len(FIRST)] != FIRST[: len(data)]:
        raise InputError(f"{path}: not a journal; {WAYS_ON}")
    lines = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            lines.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{number}: not a journal ({error}); {WAYS_ON}") from error
    return lines, whole


def _good_rows(
    out: Path, path: Path, lines: Sequence[Any], fingerprint: Mapping[str, Any]
) -> dict[Key, ScoreRow]:
    """Return the rows without errors of a journal with this fingerprint."""
    try:
        known = dict(lines[0]["fingerprint"])
        rows = [(tuple(line["clip"]), line["row"]) for line in lines[1:]]
        good = {key: dict(row) for key, row in rows if row["status"] != ERROR}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a journal of this version; {WAYS_ON}") from error
    check(out, known, fingerprint)
    return good
