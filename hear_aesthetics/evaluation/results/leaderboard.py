"""Results side by side: our models, whichever kit evaluated them, and the official leaderboard.

A *result* is what one model reached on one task, read from its embedding folder; its model is the
name of the folder above. The *normalised* score makes tasks comparable: where the official
leaderboard has the task, 0 is the lowest and 1 the highest submission to it; otherwise it is the
score itself, which has 1 for perfect (an error rate counts as one minus the rate).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.embeddings.folder import ORIGIN_FILE
from hear_aesthetics.evaluation.results.files import DONE_FILE, SCORES_FILE, read_mark, read_scores
from hear_aesthetics.evaluation.results.submissions import Official
from hear_aesthetics.evaluation.tasks.catalogue import CATALOGUE, published
from hear_aesthetics.evaluation.tasks.schema import read_json
from hear_aesthetics.evaluation.tasks.task import Task, find_tasks, load_task

__all__ = ["Leaderboard", "Result", "collect_results", "make_leaderboard", "read_result"]

# what a record must tell to be shown
TOLD: dict[str, Any] = {
    "module": str,
    "sample_rate": int,
    "sizes": dict,
    "model": str | None,
    "options": dict,
}
TOLD |= {"provenance": dict | None}


@dataclass(frozen=True)
class Result:
    """What one model reached on one task.

    Attributes:
        model: Name of the folder of embeddings: module and options.
        task: Published name, or the name of the task folder.
        score_name: The task's first score.
        maximised: Whether more is better.
        score: Mean over folds and repetitions; NaN if it is undefined.
        interval: Of the score, 95 %, if the protocol states one and it can be estimated.
        protocol: ``"robust"``, ``"official"``, or ``"heareval"`` where the official kit ran.
        parts: Folders of the task that this counts.
        origin: What made the embeddings, as far as it was recorded.
        settings: What was asked of the evaluation.
    """

    model: str
    task: str
    score_name: str
    maximised: bool
    score: float
    interval: tuple[float, float] | None
    protocol: str
    parts: tuple[str, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Score and interval in a few words."""
        return f"{self.score:.3f}" + (f" [{self.width}]" if self.width else "")

    @property
    def width(self) -> str:
        """The interval in a few words; empty under a protocol that has none."""
        if self.interval is None:
            return "not estimable" if self.protocol == "robust" else ""
        return "{:.3f}, {:.3f}".format(*self.interval)


@dataclass(frozen=True)
class Leaderboard:
    """Tasks by models."""

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    results: Mapping[tuple[str, str], Result]  # by task and model
    official: Official | None = None

    def normalised(self, task: str, score: float, *, maximised: bool = True) -> float:
        """A score on the scale that all tasks share; above 1 if it beats every submission."""
        others = list(self._submitted(task).values())
        if len(set(others)) > 1:
            return (score - min(others)) / (max(others) - min(others))
        own = score if maximised else 1 - score
        return own if math.isnan(own) else max(0.0, own)

    def rank(self, task: str, score: float) -> tuple[int, int] | None:
        """Place among the official submissions to a task, and how many there then are."""
        others = self._submitted(task)
        if not others or math.isnan(score):
            return None
        return 1 + sum(other > score for other in others.values()), 1 + len(others)

    def best_official(self, task: str) -> tuple[str, float] | None:
        """The submission with the highest score."""
        others = self._submitted(task)
        return max(others.items(), key=lambda item: item[1]) if others else None

    def mean(self, model: str) -> tuple[float, int]:
        """Mean normalised score of one of our models, and over how many tasks.

        With the official leaderboard, over the tasks that it has: scales do not mix.
        """
        found = [r for (_, name), r in self.results.items() if name == model]
        if self.official:
            found = [result for result in found if self._submitted(result.task)]
        values = [self.normalised(r.task, r.score, maximised=r.maximised) for r in found]
        defined = [value for value in values if not math.isnan(value)]
        return (fmean(defined) if defined else math.nan), len(defined)

    def _submitted(self, task: str) -> Mapping[str, float]:
        return self.official.scores.get(task, {}) if self.official else {}


def read_result(folder: Path) -> Result:
    """The result in an embedding folder, whichever kit put it there.

    Raises:
        TaskError: If there is none, or it is incomplete.
    """
    task = load_task(folder)
    entry = published(task)
    scores = read_scores(task)
    settings = read_mark(folder).get("settings")
    settings = settings if isinstance(settings, dict) else {}
    score, interval = _score(task, scores)
    return Result(
        model=folder.resolve().parent.name,
        task=entry.title if entry else folder.resolve().name,
        score_name=task.scores[0].name,
        maximised=task.scores[0].higher_is_better,
        score=score,
        interval=interval,
        protocol=str(settings.get("protocol", "heareval")),
        parts=(task.task_name,),
        origin=_provenance(folder / ORIGIN_FILE),
        settings=settings,
    )


def _score(task: Task, scores: Mapping[str, Any]) -> tuple[float, tuple[float, float] | None]:
    """The mean over all runs, or the only one, and its interval if there is one."""
    try:
        if "robust" in scores:
            robust = scores["robust"]
            low, high = map(float, robust["interval"] or (math.nan, math.nan))
            return float(robust["mean"]), None if math.isnan(low) else (low, high)
        if "aggregated_scores" in scores:
            return float(scores["aggregated_scores"]["test_score_mean"]), None
        return float(scores[task.runs[0].test]["test_score"]), None
    except (KeyError, TypeError, ValueError) as e:
        raise TaskError(f"{task.folder / SCORES_FILE}: {_reason(e)}; evaluate again") from e


def _reason(error: Exception) -> str:
    return f"key {error} is missing" if isinstance(error, KeyError) else f"no score ({error})"


def _provenance(path: Path) -> dict[str, Any]:
    """Return what is known of embeddings, also by an earlier version; empty where it is damaged."""
    record = read_json(path) if path.is_file() else {}
    told = record.get("provenance") if "fingerprint" in record else record
    told = told if isinstance(told, dict) else {}
    return told if all(isinstance(told.get(key), kind) for key, kind in TOLD.items()) else {}


def collect_results(
    folders: Sequence[Path], failed: Callable[[TaskError], None] | None = None
) -> list[Result]:
    """All results at or below the folders; the parts of one published task become one.

    Args:
        folders: Evaluated embedding folders, or folders of such folders.
        failed: Called with what is wrong with a folder, which is then left out.

    Raises:
        TaskError: If a folder holds no result, or a broken one, and ``failed`` is None.
        InputError: If two folders hold the same model's result on one task.
    """
    found: dict[tuple[str, str, str], list[Result]] = {}
    for folder in folders:
        try:
            here = [path for path in find_tasks(folder) if (path / DONE_FILE).is_file()]
            if not here:
                raise TaskError(f"{folder}: no finished evaluation at or below it; evaluate it")
        except TaskError as error:
            _report(error, failed)
            continue
        for path in here:
            try:
                result = read_result(path)
            except TaskError as error:
                _report(error, failed)
                continue
            found.setdefault((result.model, result.protocol, result.task), []).append(result)
    return [_joined(parts) for parts in found.values()]


def _report(error: TaskError, failed: Callable[[TaskError], None] | None) -> None:
    if failed is None:
        raise error
    failed(error)


def _joined(parts: list[Result]) -> Result:
    """One result from the parts of a task, scores and interval bounds averaged."""
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
    return Result(
        model=first.model,
        task=first.task if whole else f"{first.task} ({', '.join(names)} only)",
        score_name=first.score_name,
        maximised=first.maximised,
        score=fmean(part.score for part in parts),
        interval=(low, high) if len(bounds) == len(parts) else None,
        protocol=first.protocol,
        parts=names,
        origin=first.origin,
        settings=first.settings,
    )


def make_leaderboard(results: Sequence[Result], official: Official | None = None) -> Leaderboard:
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
    ranked = sorted(models, key=lambda model: (-means[model][1], -_finite(means[model][0])))
    return Leaderboard(board.tasks, tuple(ranked), table, official)


def _label(result: Result) -> str:
    return result.model if result.protocol == "robust" else f"{result.model} ({result.protocol})"


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
