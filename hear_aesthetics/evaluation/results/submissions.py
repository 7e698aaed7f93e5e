"""Official leaderboard, a CSV of submissions: ``Model,URL,Submission Date,<task columns>``.

Scores lie in [0, 1]; a blank is a task that was not run. Columns are matched with the published
tasks, whose names they abbreviate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hear_aesthetics.errors import InputError
from hear_aesthetics.evaluation.tasks.catalogue import by_column
from hear_aesthetics.text_files import finite_number, read_table

__all__ = ["ABOUT_COLUMNS", "Official", "read_official"]

ABOUT_COLUMNS = ("Model", "URL", "Submission Date")  # those that are not tasks


@dataclass(frozen=True)
class Official:
    """Official leaderboard: its rows as they are, and scores by task and model."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    scores: Mapping[str, Mapping[str, float]]

    def column(self, task: str) -> str | None:
        """Return the column of a task, if there is one."""
        return next((c for c in self.columns if _column_task(c) == task), None)


def read_official(path: Path) -> Official:
    """Read the official leaderboard's CSV.

    Raises:
        InputError: If it cannot be read, is another table, or a score is no finite number.
    """
    columns, rows = read_table(path)
    tasks = [column for column in columns if column not in ABOUT_COLUMNS]
    if "Model" not in columns or not any(by_column(column) for column in tasks):
        raise InputError(f"{path}: not the official leaderboard, which starts Model,URL,...")
    scores: dict[str, dict[str, float]] = {}
    for place, row in rows:
        if not row["Model"]:
            raise InputError(f"{place} names no model; fill in the column Model")
        for column in tasks:
            if text := row[column]:
                value = finite_number(text, f"{place}, column {column!r}")
                scores.setdefault(_column_task(column), {})[row["Model"]] = value
    return Official(columns, tuple(row for _, row in rows), scores)


def _column_task(column: str) -> str:
    entry = by_column(column)
    return entry.title if entry else column
