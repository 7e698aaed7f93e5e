"""Results that mteb wrote: ``results/<model>/<revision>/<task>.json`` beside ``model_meta.json``.

A file has the scores of each split, one entry per subset (a language, say), each with its main
score. A model's result is the mean of these over splits and subsets, as in mteb's own tables. The
files state no intervals, and do not name the main score: it is named here where one score alone
has its value.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.results.task_result import MTEB, TaskResult
from hear_aesthetics.evaluation.tasks.schema import read_json
from hear_aesthetics.fingerprint import flatten

__all__ = ["find_mteb_results", "read_mteb_result"]

META_FILE = "model_meta.json"
SEARCH_DEPTH = 5  # OUT/results/<model>/<revision>/experiments/<options>
REMEDY = "evaluate again with mteb 2"


def find_mteb_results(folder: Path) -> list[Path]:
    """Return the result files at or below ``folder``, sorted."""
    patterns = ["*/" * depth + META_FILE for depth in range(SEARCH_DEPTH + 1)]
    folders = {path.parent for pattern in patterns for path in folder.glob(pattern)}
    return sorted(p for f in folders for p in f.glob("*.json") if p.name != META_FILE)


def read_mteb_result(path: Path) -> TaskResult:
    """Return the result in a file.

    Raises:
        TaskError: If the file or ``model_meta.json`` beside it is none of mteb's, or damaged.
    """
    meta = read_json(path.parent / META_FILE, dict, REMEDY)
    content = read_json(path, dict, REMEDY)
    try:
        model, options = str(meta["name"]), flatten(meta.get("experiment_kwargs") or {})
        entries = [entry for split in content["scores"].values() for entry in split]
        score = fmean(float(entry["main_score"]) for entry in entries)
        subsets = tuple(dict.fromkeys(str(entry["hf_subset"]) for entry in entries))
        task, splits = str(content["task_name"]), " + ".join(content["scores"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise TaskError(f"{path}: no result of mteb ({reason}); {REMEDY}") from error
    chosen = ", ".join(f"{key} {value}" for key, value in options.items())
    return TaskResult(
        model=f"{model} ({chosen})" if chosen else model,
        task=f"{task} (mteb, {splits})",
        score_name=_main_score_name(entries),
        higher_is_better=True,  # mteb sorts every main score so
        score=score,
        interval=None,
        protocol=MTEB,
        parts=subsets,
        settings={
            "model": model,
            "model_revision": meta.get("revision"),
            "mteb_version": content.get("mteb_version"),
            "dataset_revision": content.get("dataset_revision"),
        },
    )


def _main_score_name(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the score that is the main one in every entry, if only one can be."""
    names = [
        key
        for key in entries[0]
        if key != "main_score" and all(entry.get(key) == entry["main_score"] for entry in entries)
    ]
    return names[0] if len(names) == 1 else "main score"
