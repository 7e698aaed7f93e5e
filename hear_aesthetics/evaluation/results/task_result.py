"""Result of one model on one task, from the files of either kit or of mteb."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.folder import ORIGIN_FILE
from hear_aesthetics.evaluation.results.files import SCORES_FILE, read_mark, read_scores
from hear_aesthetics.evaluation.tasks.catalogue import published
from hear_aesthetics.evaluation.tasks.schema import read_json
from hear_aesthetics.evaluation.tasks.task import EmbeddedTask, load_task

__all__ = ["HEAR", "MTEB", "TaskResult", "read_result"]

HEAR, MTEB = "HEAR", "mteb"  # benchmarks; the latter is also the protocol of its results

# keys that a provenance needs to be shown, and their types
PROVENANCE_KEYS: dict[str, Any] = {
    "module": str,
    "sample_rate": int,
    "sizes": dict,
    "model": str | None,
    "options": dict,
    "provenance": dict | None,
}


@dataclass(frozen=True)
class TaskResult:
    """Result of one model on one task.

    ``scores`` is the content of ``test.predicted-scores.json``; under ``"robust"`` it has that of
    ``test.robust-scores.json``. ``protocol`` is ``"heareval"`` where the official kit ran, and
    ``"mteb"`` where mteb did.
    """

    model: str  # name of the folder of embeddings: module and options; or that in mteb
    task: str  # published name, or the name of the task folder
    score_name: str
    higher_is_better: bool
    score: float  # mean over folds and repetitions; NaN if it is undefined
    interval: tuple[float, float] | None  # 95 %, if the protocol has one that can be estimated
    protocol: str
    parts: tuple[str, ...]  # folders or subsets of the task that this counts
    provenance: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)

    @property
    def benchmark(self) -> str:
        """The benchmark that the task belongs to, ``HEAR`` or ``MTEB``."""
        return MTEB if self.protocol == MTEB else HEAR

    def describe(self) -> str:
        """Return score and interval in a few words."""
        return f"{self.score:.3f}" + (f" [{self.width}]" if self.width else "")

    @property
    def width(self) -> str:
        """The interval in a few words; empty under a protocol that has none."""
        if self.interval is None:
            return "not estimable" if self.protocol == "robust" else ""
        return "{:.3f}, {:.3f}".format(*self.interval)

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints: all but the scores of single runs."""
        shown = {key: value for key, value in vars(self).items() if key != "scores"}
        shown["maximised"] = shown.pop("higher_is_better")
        return shown | {"origin": shown.pop("provenance")}


def read_result(folder: Path) -> TaskResult:
    """Return the result in an embedding folder, whichever kit put it there.

    Raises:
        TaskError: If there is none, or it is incomplete.
    """
    task = EmbeddedTask(load_task(folder))
    entry = published(task)
    scores = read_scores(task)
    settings = read_mark(folder).get("settings")
    settings = settings if isinstance(settings, dict) else {}
    score, interval = _score(task, scores)
    return TaskResult(
        model=folder.resolve().parent.name,
        task=entry.title if entry else folder.resolve().name,
        score_name=task.scores[0].name,
        higher_is_better=task.scores[0].higher_is_better,
        score=score,
        interval=interval,
        protocol=str(settings.get("protocol", "heareval")),
        parts=(task.task_name,),
        provenance=_provenance(folder / ORIGIN_FILE),
        settings=settings,
        scores=scores,
    )


def _score(
    task: EmbeddedTask, scores: Mapping[str, Any]
) -> tuple[float, tuple[float, float] | None]:
    """Return the mean over all runs, or the only one, and its interval if there is one."""
    try:
        if "robust" in scores:
            robust = scores["robust"]
            low, high = map(float, robust["interval"] or (math.nan, math.nan))
            known = "method" in robust and not math.isnan(low)  # earlier versions resampled
            return float(robust["mean"]), (low, high) if known else None
        if "aggregated_scores" in scores:
            return float(scores["aggregated_scores"]["test_score_mean"]), None
        return float(scores[task.runs[0].test]["test_score"]), None
    except (KeyError, TypeError, ValueError) as e:
        reason = f"key {e} is missing" if isinstance(e, KeyError) else f"no score ({e})"
        raise TaskError(f"{task.folder / SCORES_FILE}: {reason}; evaluate again") from e


def _provenance(path: Path) -> dict[str, Any]:
    """Return the provenance of embeddings, also of an earlier version; empty if it is damaged."""
    record = read_json(path) if path.is_file() else {}
    told = record.get("provenance") if "fingerprint" in record else record
    told = told if isinstance(told, dict) else {}
    complete = all(isinstance(told.get(key), kind) for key, kind in PROVENANCE_KEYS.items())
    return told if complete else {}
