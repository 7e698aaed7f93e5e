"""Listing of rows on stdout: a table on a terminal, CSV in a pipe as rows come, or JSON."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hear_aesthetics.commands.console import print_table, write_json

__all__ = ["Listing", "ranked"]

BEFORE, AFTER = ("path", "duration"), ("loudness_lufs",)  # of the scores, in a table for eyes
SPAN = ("path", "start", "end", "duration")
DECIMALS = {"start": 1, "end": 1, "duration": 1, "loudness_lufs": 1}  # others: 2


class Listing:
    """Rows on stdout: in a pipe each as it comes, on a terminal all at the end.

    Args:
        columns: Columns of a row.
        scores: Columns that hold scores and means.
        as_json: Show a JSON list at the end.
        top: Number of rows to show at the end, best mean first; None: all.
        document: Rows -> text of a format to show instead.
    """

    def __init__(
        self,
        columns: Sequence[str],
        scores: Sequence[str],
        *,
        as_json: bool = False,
        top: int | None = None,
        document: Callable[[Sequence[dict[str, Any]]], str] | None = None,
    ) -> None:
        self._columns, self._scores = columns, scores
        self._as_json, self._top, self._document = as_json, top, document
        self._streams = not (as_json or top or document or sys.stdout.isatty())
        self._header = True

    def add(self, row: dict[str, Any]) -> None:
        """Write a row at once in a pipe; elsewhere wait for :meth:`finish`."""
        from songeval_task.scoring.formats import rows_csv

        if self._streams:
            sys.stdout.write(rows_csv([row], self._columns, header=self._header))
            sys.stdout.flush()
            self._header = False

    def finish(self, rows: Sequence[dict[str, Any]]) -> None:
        """Show all ``rows``, unless they were written as they came."""
        chosen = ranked(rows)[: self._top] if self._top else rows
        if self._document:
            sys.stdout.write(self._document(chosen))
        elif self._as_json:
            write_json(chosen)
        elif not self._streams:
            self._show(chosen)

    def _show(self, rows: Sequence[dict[str, Any]]) -> None:
        good = [row for row in rows if row["error"] is None]
        spans = any(row["start"] is not None or row["end"] is not None for row in good)
        names = [*(SPAN if spans else BEFORE), *self._scores, *AFTER]
        cells = [[_cell(row[name], DECIMALS.get(name, 2)) for name in names] for row in good]
        if self._top:
            names = ["rank", *names]
            cells = [[str(rank), *line] for rank, line in enumerate(cells, start=1)]
        print_table(names, cells, left=("path",))


def ranked(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that were scored, best mean first; equal means by path."""
    good = [row for row in rows if row["error"] is None]
    return sorted(good, key=lambda row: (-row["mean"], row["path"]))


def _cell(value: Any, decimals: int) -> str:
    if value is None:
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)
