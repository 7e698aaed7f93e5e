"""The folder of one task's embeddings: begun, or gone on with.

``origin.embeddings.json`` records what made the embeddings. The task's metadata, vocabulary and
split files lie beside them, for the predictions stage, and show whether the task has changed.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE
from hear_aesthetics.evaluation.tasks.task import METADATA_FILE, VOCABULARY_FILE, Task
from hear_aesthetics.files import atomic_file, remove_leftovers
from hear_aesthetics.fingerprint import FINGERPRINT, check, claim, digest, file_stamp, read_record

__all__ = ["ORIGIN_FILE", "begin_folder"]

ORIGIN_FILE = "origin.embeddings.json"


def begin_folder(
    folder: Path,
    fingerprint: Mapping[str, Any],
    provenance: Mapping[str, Any],
    task: Task,
    audio: Path,
    *,
    overwrite: bool = False,
) -> bool:
    """Make a folder ready for the embeddings of a task; nothing that is there is deleted.

    Args:
        folder: Of one task's embeddings.
        fingerprint: Of the module.
        provenance: What else is known of the embeddings.
        task: Read from the task folder.
        audio: Folder with the task's audio at the module's rate.
        overwrite: Delete embeddings and results that are there.

    Returns:
        True if there is anything left to compute.

    Raises:
        InputError: If the folder holds embeddings of another module, model, audio or labels; says
            what differs.
        TaskError: If an audio file is missing.
    """
    record, done = folder / ORIGIN_FILE, folder / DONE_FILE
    complete = done.is_file() and not overwrite
    stamp = None
    if not complete or (record.is_file() and audio.is_dir()):  # once complete, it may be gone
        stamp = _audio_stamp(task, audio)
    if overwrite and folder.is_dir():
        done.unlink(missing_ok=True)  # first: should this be killed, nothing passes for finished
        shutil.rmtree(folder)
    if not complete:
        remove_leftovers(folder)
    labels = {f"{name} of the task": _sha256(task.folder / name) for name in _split_files(task)}
    if complete and not record.is_file():  # written by heareval
        copies = [name for name in _split_files(task) if (folder / name).is_file()]
        known = {f"{name} of the task": _sha256(folder / name) for name in copies}
        check(folder, known, {key: labels[key] for key in known})
    elif folder.is_dir() and not record.is_file() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: holds unfinished embeddings of unknown origin; take another --out, or "
            "--overwrite to replace what is there"
        )
    else:
        known_audio = stamp or read_record(record)[FINGERPRINT].get("audio")
        claim(record, {**fingerprint, **labels, "audio": known_audio}, provenance)
    for name in (METADATA_FILE, VOCABULARY_FILE, *_split_files(task)):
        if not _alike(task.folder / name, folder / name):
            with atomic_file(folder / name) as copy:
                copy.write((task.folder / name).read_bytes())
    return not complete


def _audio_stamp(task: Task, audio: Path) -> str:
    """Return a digest of the names, sizes and times of the task's audio files."""
    stamps = {}
    for split in task.splits:
        for name in task.split_labels(split):
            path = audio / split / name
            try:
                stamps[f"{split}/{name}"] = file_stamp(path)
            except OSError as error:
                reason = "missing; restore it from the task's archive"
                raise TaskError(f"{path}: {reason}") from error
    return digest(stamps)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _split_files(task: Task) -> list[str]:
    return [f"{split}.json" for split in task.splits]


def _alike(path: Path, copy: Path) -> bool:
    return copy.is_file() and copy.read_bytes() == path.read_bytes()
