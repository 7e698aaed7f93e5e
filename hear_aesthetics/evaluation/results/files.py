"""Result files of an evaluation in the embedding folder, in heareval's layout.

``test.predicted-scores.json`` holds an entry per test split (and per repetition, for the robust
protocol), their mean and standard deviation, and the hyper-parameters;
``<test split>.predictions.pkl`` the predictions; ``prediction-done.json``, written last, says what
was run, and stops both kits from running it again. NaN and Infinity stand bare in the JSON, as
heareval writes them.
"""

import json
import logging
import math
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hear_aesthetics.evaluation.embeddings.rows import embedding_size
from hear_aesthetics.evaluation.probes.fold_result import FoldResult, decoded
from hear_aesthetics.evaluation.tasks.schema import read_json
from hear_aesthetics.evaluation.tasks.task import METADATA_FILE, VOCABULARY_FILE, EmbeddedTask
from hear_aesthetics.files import atomic_file, write_text
from hear_aesthetics.fingerprint import digest, file_stamp
from hear_aesthetics.metrics.events import Events

__all__ = [
    "DONE_FILE",
    "ROBUST_FILE",
    "SCORES_FILE",
    "finished",
    "read_mark",
    "read_scores",
    "write_results",
]

SCORES_FILE = "test.predicted-scores.json"
ROBUST_FILE = "test.robust-scores.json"
DONE_FILE = "prediction-done.json"

LOGGER = logging.getLogger(__name__)


def finished(task: EmbeddedTask, settings: Mapping[str, Any]) -> bool:
    """Return True if the folder holds results of these settings and of the embeddings there now.

    Results of these settings that another evaluation has set aside are put back.
    """
    if _holds(task, settings):
        return True
    aside = f"{_name(settings)}."
    if not _holds(task, settings, aside):
        return False
    _set_aside(task)
    _rename(task, aside, "")
    return True


def _holds(task: EmbeddedTask, settings: Mapping[str, Any], prefix: str = "") -> bool:
    mark = read_mark(task.folder, prefix)
    same = mark.get("evaluated", now := _evaluated(task)) == now
    there = (task.folder / f"{prefix}{SCORES_FILE}").is_file()
    robust = task.folder / f"{prefix}{ROBUST_FILE}"
    if robust.is_file():  # earlier versions resampled, and named no method
        there &= '"method"' in robust.read_text(encoding="utf-8", errors="replace")
    return there and same and mark.get("settings") == dict(settings)


def read_mark(folder: Path, prefix: str = "") -> dict[str, Any]:
    """Return the mark of a finished evaluation; empty if there is none, or it is no object."""
    path = folder / f"{prefix}{DONE_FILE}"
    mark = read_json(path) if path.is_file() else {}
    return mark if isinstance(mark, dict) else {}


def _evaluated(task: EmbeddedTask) -> str:
    """Return a digest of sizes and times of the files that an evaluation reads."""
    ends = ("json", "embeddings.npy", "target-labels.pkl", "filename-timestamps.json")
    names = [METADATA_FILE, VOCABULARY_FILE]
    names += [f"{split}.{end}" for split in task.splits for end in ends]
    found = [task.folder / name for name in names]
    return digest({path.name: file_stamp(path) for path in found if path.is_file()})


def read_scores(task: EmbeddedTask) -> dict[str, Any]:
    """Return the content of the scores file, with that of the robust one under ``robust``.

    Raises:
        TaskError: If a file is missing or holds anything else than an object.
    """
    scores: dict[str, Any] = read_json(task.folder / SCORES_FILE, dict, "evaluate again")
    robust = task.folder / ROBUST_FILE
    if robust.is_file():
        scores["robust"] = read_json(robust, dict, "evaluate again")
    return scores


def write_results(
    task: EmbeddedTask,
    results: Sequence[FoldResult],
    settings: Mapping[str, Any],
    seconds: float,
    robust: Mapping[str, Any] | None = None,
) -> None:
    """Write predictions and scores, then the mark that they are complete.

    The mark keeps the settings and the duration in seconds; ``robust`` is the content of the robust
    protocol's own file.
    """
    _set_aside(task)
    for result in results:
        with atomic_file(task.folder / f"{result.name}.predictions.pkl") as file:
            pickle.dump(_predictions(task, result), file)
    if robust is not None:
        write_text(task.folder / ROBUST_FILE, json.dumps(robust, indent=4))
    write_text(task.folder / SCORES_FILE, json.dumps(_scores(task, results), indent=4))
    mark = {
        "time": seconds,
        "embedding_path": str(task.folder),
        "embedding_size": embedding_size(task),
        "settings": dict(settings),
        "evaluated": _evaluated(task),
    }
    write_text(task.folder / DONE_FILE, json.dumps(mark, indent=4))


def _name(settings: Any) -> str:
    """Return the name of results that are set aside; those of heareval state no settings."""
    if not isinstance(settings, dict):
        return "heareval"
    return f"{settings.get('protocol')}-{digest(settings)[:8]}"


def _set_aside(task: EmbeddedTask) -> None:
    """Give the results of an earlier evaluation other names, or remove what has no mark."""
    if mark := read_mark(task.folder):
        earlier = _name(mark.get("settings"))
        _rename(task, "", f"{earlier}.")
        LOGGER.info("%s: earlier results kept as %s.*", task.folder, earlier)
    for stale in (task.folder / DONE_FILE, task.folder / ROBUST_FILE):
        stale.unlink(missing_ok=True)


def _rename(task: EmbeddedTask, before: str, after: str) -> None:
    """Move results to names that begin otherwise: the scores first, the mark last."""
    patterns = [SCORES_FILE, ROBUST_FILE]
    patterns += [f"{escape(run.test)}*.predictions.pkl" for run in task.runs]
    for pattern in (*patterns, DONE_FILE):
        for path in task.folder.glob(before + pattern):
            path.replace(path.with_name(after + path.name.removeprefix(before)))


def _scores(task: EmbeddedTask, results: Sequence[FoldResult]) -> dict[str, Any]:
    content: dict[str, Any] = {result.name: result.as_json() for result in results}
    if len(results) > 1:
        content["aggregated_scores"] = _aggregated(list(content.values()))
    # where runs chose for themselves, the most frequent choice stands here
    point, _ = Counter(result.selection.point for result in results).most_common(1)[0]
    first = next(r.selection for r in results if r.selection.point == point)
    return content | {
        "hparams": dict(sorted(asdict(point).items())),
        "postprocessing": [list(pair) for pair in first.postprocessing],
        "score_mode": task.score_mode,
        "embedding_path": str(task.folder),
    }


def _aggregated(entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return mean and standard deviation (ddof 1) of every value; as in pandas, without NaN."""
    aggregated = {}
    for key in entries[0]:
        values = np.array([entry[key] for entry in entries], dtype=np.float64)
        values = values[~np.isnan(values)]
        finite = len(values) > 1 and np.isfinite(values).all()
        aggregated[f"{key}_mean"] = float(values.mean()) if len(values) else math.nan
        aggregated[f"{key}_std"] = float(values.std(ddof=1)) if finite else math.nan
    return aggregated


def _predictions(task: EmbeddedTask, result: FoldResult) -> dict[str, Any]:
    """Return the tensors, and for events the lists, that heareval pickles."""
    rows, predictions = result.rows, result.predictions
    content: dict[str, Any] = {
        "target": torch.from_numpy(rows.targets).float(),
        "prediction": torch.from_numpy(predictions),
        "prediction_logit": torch.from_numpy(result.logits),
    }
    if rows.timeline is None:
        return content
    events, _ = decoded(rows, predictions, result.selection.postprocessing)
    assert isinstance(events, Events)
    return content | {
        "target_events": task.split_labels(result.split),
        "predicted_events": events.as_dicts(rows.timeline.files, task.labels),
        "timestamp": torch.from_numpy(rows.timeline.timestamps),
    }
