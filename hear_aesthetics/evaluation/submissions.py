"""The official leaderboard, a CSV of submissions: ``Model,URL,Submission Date,<task columns>``.

Scores lie in [0, 1]; a blank is a task that was not run. Columns are matched with the published
tasks, whose names they abbreviate.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hear_aesthetics.errors import InputError
from hear_aesthetics.evaluation.catalogue import by_column

__all__ = ["ABOUT_COLUMNS", "Official", "read_official"]

ABOUT_COLUMNS = ("Model", "URL", "Submission Date")  # those that are not tasks


@dataclass(frozen=True)
class Official:
    """The official leaderboard: its rows as they are, and scores by task and model."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    scores: Mapping[str, Mapping[str, float]]

    def column(self, task: str) -> str | None:
        """The column of a task, if there is one."""
        return next((c for c in self.columns if _column_task(c) == task), None)


def read_official(path: Path) -> Official:
    """The official leaderboard's CSV: ``Model,URL,...`` and one column of scores per task.

    Raises:
        InputError: If it cannot be read or is another table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise InputError(f"{path}: cannot be read as the official leaderboard ({e})") from e
    tasks = [column for column in columns if column not in ABOUT_COLUMNS]
    if "Model" not in columns or not any(by_column(column) for column in tasks):
        raise InputError(f"{path}: not the official leaderboard, which starts Model,URL,...")
    scores: dict[str, dict[str, float]] = {}
    for line, row in enumerate(rows, start=2):
        for column in tasks:
            if text := (row[column] or "").strip():
                place = f"{path}: line {line}, column {column!r}"
                scores.setdefault(_column_task(column), {})[row["Model"]] = _number(text, place)
    return Official(columns, tuple(rows), scores)


def _column_task(column: str) -> str:
    entry = by_column(column)
    return entry.title if entry else column


def _number(text: str, place: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{place} holds {text!r}; expected a score or nothing")
    return score
