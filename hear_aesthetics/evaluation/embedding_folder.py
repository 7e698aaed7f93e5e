"""The folder of one task's embeddings: begun, gone on with, or begun again.

``origin.embeddings.json`` records what made the embeddings. The task's metadata, vocabulary and
split files lie beside them, for the predictions stage, and show whether the task has changed.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.atomic import atomic_file, remove_leftovers, write_text
from hear_aesthetics.evaluation.results import DONE_FILE as RESULTS_FILE
from hear_aesthetics.evaluation.schema import read_json
from hear_aesthetics.evaluation.store import DONE_FILE
from hear_aesthetics.evaluation.task import METADATA_FILE, VOCABULARY_FILE, Task

__all__ = ["ORIGIN_FILE", "begin_folder"]

ORIGIN_FILE = "origin.embeddings.json"

logger = logging.getLogger(__name__)


def begin_folder(folder: Path, origin: Mapping[str, Any], task: Task) -> bool:
    """Make a folder ready for the embeddings of a task.

    What is there is kept if it belongs to the same module, files and labels, and removed otherwise;
    results are done with once the metadata changes.

    Args:
        folder: Of one task's embeddings.
        origin: What decides the embeddings.
        task: Read from the task folder.

    Returns:
        Whether there is anything left to compute.

    Raises:
        TaskError: If the record of the origin is not JSON.
    """
    reason = _staleness(folder, origin, task)
    if reason:
        logger.warning("%s: %s, computed again", folder, reason)
        shutil.rmtree(folder)
    complete = (folder / DONE_FILE).is_file()
    if not complete:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        write_text(folder / ORIGIN_FILE, json.dumps(origin, indent=1))
    for name in (METADATA_FILE, VOCABULARY_FILE, *_split_files(task)):
        if not _alike(task.folder / name, folder / name):
            (folder / RESULTS_FILE).unlink(missing_ok=True)  # of other labels or options
            with atomic_file(folder / name) as copy:
                copy.write((task.folder / name).read_bytes())
    return not complete


def _staleness(folder: Path, origin: Mapping[str, Any], task: Task) -> str | None:
    """Why the embeddings that are there cannot be used; None if they can, or there are none."""
    if not folder.is_dir():
        return None
    record = folder / ORIGIN_FILE
    known = read_json(record) if record.is_file() else None
    if known is None and not (folder / DONE_FILE).is_file():
        return "unfinished and of unknown origin"  # heareval, which knows no resuming
    if known not in (None, origin):
        return "embeddings of another model or version"
    copies = [name for name in _split_files(task) if (folder / name).is_file()]
    if not all(_alike(task.folder / name, folder / name) for name in copies):
        return "embeddings of other files or labels"
    return None


def _split_files(task: Task) -> list[str]:
    return [f"{split}.json" for split in task.splits]


def _alike(path: Path, copy: Path) -> bool:
    return copy.is_file() and copy.read_bytes() == path.read_bytes()
