"""Rows in files, by suffix: ``.csv``, ``.jsonl``, ``.json`` (a list), and ``.scp``.

``.scp`` is what the challenge takes: a line per song, ``utt score`` for track 1 and ``utt s1 s2 s3
s4 s5`` for track 2, the utterance being the file's name without its extension; songs that failed
have no line. In ``.json`` and ``.jsonl`` the windows of ``--timeline`` and ``--explain`` are part
of a row; beside the other formats they are tables, ``OUT.timeline.csv`` and ``OUT.explain.csv``.
What made the numbers is in ``OUT.meta.json``. Every file is written whole and then renamed into its
place.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, csv_text, json_text
from songeval_task.protocol import scp_text
from songeval_task.scoring.outputs.released_formats import Document
from songeval_task.scoring.rows import DETAILS, OK, ScoreRow

__all__ = ["check_out", "check_scp_scores", "check_utterances", "rows_csv", "write_rows"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets compute cells that begin so
SCP_WIDTHS = (1, 5)  # columns of track 1 and of track 2


def rows_csv(rows: Iterable[ScoreRow], columns: Sequence[str], header: bool = True) -> str:
    """Return rows as CSV: booleans in lower case, missing values empty, ``'`` before formulas."""
    cells = ([_cell(row.get(column)) for column in columns] for row in rows)
    return csv_text([columns, *cells] if header else cells)


def jsonl_text(rows: Iterable[ScoreRow]) -> str:
    """Return rows as JSON, one per line."""
    options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "default": str}
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


FORMATS: dict[str, Callable[[Sequence[ScoreRow], Sequence[str], Sequence[str]], str]] = {
    ".csv": lambda rows, columns, scores: rows_csv(rows, columns),
    ".jsonl": lambda rows, columns, scores: jsonl_text(rows),
    ".json": lambda rows, columns, scores: json_text(rows, ensure_ascii=False, default=str),
    ".scp": lambda rows, columns, scores: scp_text(
        (row["path"], [row[name] for name in scores]) for row in rows if row["status"] == OK
    ),
}
NESTING = {".json", ".jsonl"}


def check_out(out: Path) -> None:
    """Check that rows can be written there.

    Raises:
        InputError: If the suffix is unknown, the folder is missing or takes no files, or a folder
            has the name.
    """
    if out.suffix.lower() not in FORMATS:
        raise InputError(
            f"{out}: unknown format; its name must end with {' or '.join(FORMATS)}; a folder of "
            "Parquet files has a name without an ending"
        )
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise InputError(f"{out}: is a folder; name a file")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: nothing can be written in {out.parent}; take another --out")


def check_utterances(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Check that clips can be named in an ``.scp`` file; needs no model.

    Raises:
        InputError: If two have one name, or a name is empty or holds a space.
    """
    seen: dict[str, str] = {}
    for path in (os.fspath(path) for path in paths):
        name = Path(path).stem
        if name in seen:
            raise InputError(
                f"{path}: has the utterance id {name!r} of {seen[name]}; rename one, or write .csv"
            )
        if len(name.split()) != 1:
            raise InputError(f"{path}: a space in the utterance id {name!r}; rename the file")
        seen[name] = path


def check_scp_scores(scores: Sequence[str]) -> None:
    """Check that an ``.scp`` file takes as many scores.

    Raises:
        InputError: If it fits neither track.
    """
    if len(scores) not in SCP_WIDTHS:
        raise InputError(
            f".scp holds one score (track 1) or five (track 2), not {len(scores)}; choose one such "
            "head, or write .csv"
        )


def write_rows(
    out: Path,
    rows: Sequence[ScoreRow],
    columns: Sequence[str],
    scores: Sequence[str],
    meta: dict[str, Any],
    document: Document | None = None,
) -> list[Path]:
    """Write rows, and what goes beside them, in the format of ``out``'s suffix.

    Args:
        out: The file.
        rows: Rows in their final order.
        columns: Columns of the table.
        scores: Columns that hold scores, for ``.scp``.
        meta: Provenance of the rows.
        document: Rows -> text of another format, which ``out`` holds instead.

    Returns:
        The files, ``out`` first.
    """
    suffix = out.suffix.lower()
    text = document(rows) if document else FORMATS[suffix](rows, columns, scores)
    texts = {out: text}
    for name in DETAILS:
        windows = [{"path": row["path"], **window} for row in rows for window in row.get(name, ())]
        if (document or suffix not in NESTING) and any(name in row for row in rows):
            header = list(dict.fromkeys(key for window in windows for key in window))
            texts[out.with_name(f"{out.name}.{name}.csv")] = rows_csv(windows, header)
    texts[out.with_name(f"{out.name}.meta.json")] = json_text(meta, ensure_ascii=False, default=str)
    for path, text in reversed(texts.items()):  # `out` last: where it is, all is
        with atomic_file(path) as file:
            # Names that are not UTF-8 become escapes, which JSON reads back.
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes its place
    return list(texts)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    if isinstance(value, dict | list):  # carried from a corpus
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).lower() if isinstance(value, bool) else value
