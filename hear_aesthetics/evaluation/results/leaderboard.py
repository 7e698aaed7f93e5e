"""Leaderboard: results of our models, by either kit, beside the official submissions.

A model is named by the folder of its embeddings. The *normalised* score makes tasks comparable:
where the official leaderboard has the task, 0 is the lowest and 1 the highest submission to it;
otherwise it is the score itself, which has 1 for perfect (an error rate counts as one minus the
rate).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.results.files import DONE_FILE
from hear_aesthetics.evaluation.results.submissions import Official
from hear_aesthetics.evaluation.results.task_result import TaskResult, read_result
from hear_aesthetics.evaluation.tasks.catalogue import CATALOGUE
from hear_aesthetics.evaluation.tasks.task import find_tasks

__all__ = ["Leaderboard", "collect_results", "make_leaderboard"]


@dataclass(frozen=True)
class Leaderboard:
    """Results by task and model, with the official submissions if they are joined."""

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    results: Mapping[tuple[str, str], TaskResult]  # by task and model
    official: Official | None = None

    def normalized(self, task: str, score: float, *, higher_is_better: bool = True) -> float:
        """Return a score on the scale of all tasks; above 1 if it beats every submission."""
        others = list(self.submitted(task).values())
        if len(set(others)) > 1:
            return (score - min(others)) / (max(others) - min(others))
        own = score if higher_is_better else 1 - score
        return own if math.isnan(own) else max(0.0, own)

    def rank(self, task: str, score: float) -> tuple[int, int] | None:
        """Return the place among the official submissions to a task, and their number with it."""
        others = self.submitted(task)
        if not others or math.isnan(score):
            return None
        return 1 + sum(other > score for other in others.values()), 1 + len(others)

    def best_official(self, task: str) -> tuple[str, float] | None:
        """Return the submission with the highest score."""
        others = self.submitted(task)
        return max(others.items(), key=lambda item: item[1]) if others else None

    def mean(self, model: str) -> tuple[float, int]:
        """Return the mean normalised score of one of our models, and the number of its tasks.

        With the official leaderboard, over the tasks that it has: scales do not mix.
        """
        found = [r for (_, name), r in self.results.items() if name == model]
        if self.official:
            found = [result for result in found if self.submitted(result.task)]
        values = [
            self.normalized(r.task, r.score, higher_is_better=r.higher_is_better) for r in found
        ]
        defined = [value for value in values if not math.isnan(value)]
        return (fmean(defined) if defined else math.nan), len(defined)

    def submitted(self, task: str) -> Mapping[str, float]:
        """Return the official scores on a task by model; empty without the official leaderboard."""
        return self.official.scores.get(task, {}) if self.official else {}


def collect_results(
    folders: Sequence[Path], failed: Callable[[TaskError], None] | None = None
) -> list[TaskResult]:
    """Return all results at or below the folders; the parts of one published task become one.

    ``failed`` is called with the error of a folder, which is then left out.

    Raises:
        TaskError: If a folder holds no result, or a broken one, and ``failed`` is None.
        InputError: If two folders hold the same model's result on one task.
    """

    @contextmanager
    def reported() -> Iterator[None]:
        try:
            yield
        except TaskError as error:
            if failed is None:
                raise
            failed(error)

    found: dict[tuple[str, str, str], list[TaskResult]] = {}
    for folder in folders:
        with reported():
            paths = [path for path in find_tasks(folder) if (path / DONE_FILE).is_file()]
            if not paths:
                raise TaskError(f"{folder}: no finished evaluation at or below it; evaluate it")
            for path in paths:
                with reported():
                    result = read_result(path)
                    key = result.model, result.protocol, result.task
                    found.setdefault(key, []).append(result)
    return [_joined(parts) for parts in found.values()]


def _joined(parts: list[TaskResult]) -> TaskResult:
    """Return one result of the parts of a task, scores and interval bounds averaged."""
    first = parts[0]
    names = tuple(name for part in parts for name in part.parts)
    if len(set(names)) < len(names):
        raise InputError(
            f"two results of {first.model} on {first.task} ({first.protocol} protocol); "
            "name one folder of results only, or rename the model's folder"
        )
    entry = next((e for e in CATALOGUE if e.title == first.task), None)
    whole = entry is None or len(names) == len(entry.task_names)
    bounds = [part.interval for part in parts if part.interval]
    low, high = (fmean(b[i] for b in bounds) if bounds else math.nan for i in (0, 1))
    return replace(
        first,
        task=first.task if whole else f"{first.task} ({', '.join(names)} only)",
        score=fmean(part.score for part in parts),
        interval=(low, high) if len(bounds) == len(parts) else None,
        parts=names,
    )


def make_leaderboard(
    results: Sequence[TaskResult], official: Official | None = None
) -> Leaderboard:
    """Order results into a table: published tasks first, in their order, then others by name.

    Models with more tasks come first, then those with the higher mean: a mean over the easy half of
    the tasks says little. A model evaluated by another protocol than the robust one says so in its
    name.
    """
    titles = [entry.title for entry in CATALOGUE]
    order = {title: i for i, title in enumerate(titles)}
    tasks = sorted({r.task for r in results}, key=lambda t: (order.get(t, len(order)), t))
    table = {(result.task, _label(result)): result for result in results}
    models = sorted({model for _, model in table})
    board = Leaderboard(tuple(tasks), tuple(models), table, official)
    means = {model: board.mean(model) for model in models}
    ranked = sorted(models, key=lambda m: (-means[m][1], -means[m][0] if means[m][1] else 0))
    return replace(board, models=tuple(ranked))


def _label(result: TaskResult) -> str:
    return result.model if result.protocol == "robust" else f"{result.model} ({result.protocol})"
