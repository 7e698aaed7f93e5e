"""Leaderboard: results of our models, by either kit or mteb, beside the official submissions.

A model is named by the folder of its embeddings. The *normalised* score makes tasks comparable:
where the official leaderboard has the task, 0 is the lowest and 1 the highest submission to it;
otherwise it is the score itself, which has 1 for perfect (an error rate counts as one minus the
rate).

HEAR and mteb measure differently even on the same recordings, so that each has a mean of its own.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.results.files import DONE_FILE
from hear_aesthetics.evaluation.results.mteb_files import find_mteb_results, read_mteb_result
from hear_aesthetics.evaluation.results.submissions import Official
from hear_aesthetics.evaluation.results.task_result import HEAR, MTEB, TaskResult, read_result
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

    def mean(self, model: str, benchmark: str = HEAR) -> tuple[float, int]:
        """Return the mean normalised score of one of our models, and the number of its tasks.

        With the official leaderboard, over the HEAR tasks that it has: scales do not mix.
        """
        found = [r for (_, name), r in self.results.items() if name == model]
        found = [result for result in found if result.benchmark == benchmark]
        if self.official and benchmark == HEAR:
            found = [result for result in found if self.submitted(result.task)]
        values = [
            self.normalized(r.task, r.score, higher_is_better=r.higher_is_better) for r in found
        ]
        defined = [value for value in values if not math.isnan(value)]
        return (fmean(defined) if defined else math.nan), len(defined)

    def tasks_of(self, benchmark: str) -> list[str]:
        """Return the tasks of a benchmark, in the order of the table."""
        of = {task: result.benchmark for (task, _), result in self.results.items()}
        return [task for task in self.tasks if of[task] == benchmark]

    def submitted(self, task: str) -> Mapping[str, float]:
        """Return the official scores on a task by model; empty without the official leaderboard."""
        return self.official.scores.get(task, {}) if self.official else {}


def collect_results(
    folders: Sequence[Path],
    failed: Callable[[TaskError], None] | None = None,
    *,
    aliases: Mapping[str, str] | None = None,
) -> list[TaskResult]:
    """Return all results at or below the folders; the parts of one published task become one.

    Results of mteb take the name that the same model has among the others, where its module and
    model are the organisation and model of mteb (``hear-aesthetics/mini``). ``aliases`` says it of
    other models: name in mteb -> name here.

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
            for path in _find_results(folder):
                with reported():
                    result = read_mteb_result(path) if path.is_file() else read_result(path)
                    key = result.model, result.protocol, result.task
                    found.setdefault(key, []).append(result)
    return _named_alike([_joined(parts) for parts in found.values()], aliases or {})


def _find_results(folder: Path) -> list[Path]:
    """Return finished embedding folders and mteb's files at or below a folder, at least one."""
    files = find_mteb_results(folder)
    try:
        tasks = find_tasks(folder)
    except TaskError:
        if not files:
            raise
        return files
    done = [path for path in tasks if (path / DONE_FILE).is_file()]
    if not done and not files:
        raise TaskError(f"{folder}: no finished evaluation at or below it; evaluate it")
    return done + files


def _named_alike(results: list[TaskResult], aliases: Mapping[str, str]) -> list[TaskResult]:
    """Return the results with one name for a model that both benchmarks have."""
    names: dict[str, set[str]] = {}
    for result in results:
        if (origin := result.provenance) and not origin["options"]:
            model = (origin["provenance"] or {}).get("model") or origin["model"]
            key = f"{origin['module']}/{model}".replace("_", "-")
            names.setdefault(key, set()).add(result.model)
    same = {key: name for key, (name, *others) in names.items() if not others} | dict(aliases)
    return [
        replace(result, model=same.get(result.model, result.model))
        if result.benchmark == MTEB
        else result
        for result in results
    ]


def _joined(parts: list[TaskResult]) -> TaskResult:
    """Return one result of the parts of a task, scores and interval bounds averaged."""
    first = parts[0]  # mteb has no parts of tasks
    names = tuple(name for part in parts for name in part.parts)
    if len(set(names)) < len(names) or (len(parts) > 1 and first.benchmark == MTEB):
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

    Tasks of mteb come last, in the column of the same model's other results.

    Models with more tasks come first, then those with the higher mean: a mean over the easy half of
    the tasks says little. A model evaluated by another protocol than the robust one says so in its
    name.
    """
    titles = [entry.title for entry in CATALOGUE]
    order = {title: i for i, title in enumerate(titles)}
    places = {(r.benchmark == MTEB, order.get(r.task, len(order)), r.task) for r in results}
    tasks = [task for _, _, task in sorted(places)]
    labels: dict[str, list[str]] = {}  # model -> its columns with HEAR tasks
    for result in results:
        if result.benchmark == HEAR:
            labels.setdefault(result.model, []).append(_label(result))
    columns = {model: min(found, key=len) for model, found in labels.items()}
    table = {
        (r.task, _label(r) if r.benchmark == HEAR else columns.get(r.model, r.model)): r
        for r in results
    }
    models = sorted({model for _, model in table})
    board = Leaderboard(tuple(tasks), tuple(models), table, official)

    def rank(model: str) -> list[float]:
        means = [board.mean(model, benchmark) for benchmark in (HEAR, MTEB)]
        return [value for mean, tasks in means for value in (-tasks, -mean if tasks else 0)]

    return replace(board, models=tuple(sorted(models, key=rank)))


def _label(result: TaskResult) -> str:
    return result.model if result.protocol == "robust" else f"{result.model} ({result.protocol})"
