"""Listings on stdout: rows as a table, as CSV in a pipe as they come, or JSON; and best takes."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hear_aesthetics.commands.console import print_table, warning_line, write_json
from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.scoring.scorer_set import ScorerSet

__all__ = ["BestOf", "Listing", "ranked", "take_groups"]

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
        from songeval_task.scoring.outputs.formats import rows_csv

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


class BestOf(Listing):
    """Best take of each group on stdout: a table, or with the rows in a JSON object.

    Args:
        groups: Group of each input; None: in none.
        scorer_set: Scorers, of which the first chooses by its mean.
        out: File of the rows; the best takes go to ``OUT.best.csv``.
        as_json: Show JSON.
    """

    def __init__(
        self,
        groups: Sequence[str | None],
        scorer_set: "ScorerSet",
        out: Path | None,
        *,
        as_json: bool = False,
    ) -> None:
        from songeval_task.scoring.scorer_set import LOW

        self._groups, self._out, self._as_json = groups, out, as_json
        name, columns = next(iter(scorer_set.groups.items()))
        self._columns = (*columns, scorer_set.means[name])
        self._calibration = scorer_set.calibrated.get(name)
        intervals = columns[0] + LOW in scorer_set.interval_columns
        self._elsewhere = intervals and self._calibration is None

    def add(self, row: dict[str, Any]) -> None:
        """Wait for :meth:`finish`: the best take is known at the end."""

    def finish(self, rows: Sequence[dict[str, Any]]) -> None:
        """Show the best takes among ``rows``, which begin with those of the inputs."""
        from hear_aesthetics.files import write_text
        from songeval_task.scoring.outputs.formats import rows_csv
        from songeval_task.scoring.rows import rounded_row
        from songeval_task.uncertainty.choice import ROUGH, best_takes

        chosen = rows[: len(self._groups)], self._groups
        best, learned = best_takes(*chosen, self._columns, self._calibration)
        if self._elsewhere:
            typer.echo(
                "best of: how much of a lead is luck is told where the calibration is: leave out "
                "--server",
                err=True,
            )
        elif self._calibration is None:
            typer.echo(
                "best of: nothing tells how much of a lead is luck; --calibration FILE does",
                err=True,
            )
        elif learned and learned.freedom < ROUGH:
            warning_line(
                f"best of: {learned.freedom + len(best)} takes in {len(best)} groups hardly tell "
                "how much takes differ; expected ratings and probabilities are rough"
            )
        if self._out and best:
            text = rows_csv(map(rounded_row, best), list(best[0]))
            write_text(self._out.with_name(f"{self._out.name}.best.csv"), text)
        if self._as_json:
            write_json({"rows": rows, "best_of": list(map(rounded_row, best))})
            return
        mean = self._columns[-1]
        spans = any(record["start"] is not None or record["end"] is not None for record in best)
        names = ["group", "takes", "path", *(SPAN[1:3] if spans else ()), mean]
        names += [f"{mean}_expected", "lead", "probability"]
        cells = [[_cell(record[name], DECIMALS.get(name, 2)) for name in names] for record in best]
        print_table(names, cells, left=("group", "path"))


def take_groups(
    found: "Inputs", column: str | None, *, tables: bool = False
) -> list[str | None] | None:
    """Return the group of each input by a key of its row, or its folder; None: in none.

    Args:
        found: Inputs of the command.
        column: Key, or ``folder``; None: there are no groups.
        tables: Whether another table on stdout was asked for.

    Raises:
        InputError: If no input has the key, or stdout is taken.
    """
    from hear_aesthetics.engine.inputs import labels_of

    if column is None:
        return None
    if tables:
        raise InputError("--best-of has its own table; leave out --top, and give --format an --out")
    groups = labels_of(found.inputs, column)
    if found.inputs and not any(groups):
        raise InputError(
            f"--best-of {column}: no input has it; name a key of .jsonl rows, or folder"
        )
    if missing := groups.count(None):
        warning_line(f"{missing} of {len(groups)} inputs have no {column}: they are in no group")
    return groups


def ranked(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that were scored, best mean first; equal means by path."""
    good = [row for row in rows if row["error"] is None]
    return sorted(good, key=lambda row: (-row["mean"], row["path"]))


def _cell(value: Any, decimals: int) -> str:
    if value is None:
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)
