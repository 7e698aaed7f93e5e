"""Claim on the folder of one task's embeddings, so that a run goes on or is refused.

``origin.embeddings.json`` records what made the embeddings. The task's metadata, vocabulary and
split files lie beside them, for the predictions stage, and show whether the task has changed.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE
from hear_aesthetics.evaluation.tasks.resampled_audio import (
    CONTENT,
    STAMP,
    file_sha256,
    stamp_audio,
)
from hear_aesthetics.evaluation.tasks.task import METADATA_FILE, VOCABULARY_FILE, Task
from hear_aesthetics.files import atomic_file, json_text, remove_leftovers, write_text
from hear_aesthetics.fingerprint import FINGERPRINT, check, claim, read_record

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
    """Make a folder ready for the embeddings of a task; return True if any are left to compute.

    Nothing that is there is deleted, unless ``overwrite``. The fingerprint is the module's;
    ``audio`` is the folder of the task's audio at the module's rate.

    Raises:
        InputError: If the folder holds embeddings of another module, model, audio or labels; says
            what differs.
        TaskError: If an audio file is missing.
    """
    record, done = folder / ORIGIN_FILE, folder / DONE_FILE
    complete = done.is_file() and not overwrite
    known: dict[str, Any] = {}
    if record.is_file() and not overwrite:
        kept = read_record(record)
        content = kept[FINGERPRINT].get(CONTENT)
        known = {CONTENT: content, STAMP: kept.get(STAMP, content)}  # earlier versions had one
    stamp = known
    if not complete or (known and audio.is_dir()):  # once complete, the audio may be gone
        stamp = stamp_audio(audio, task.audio_files, known)
    if overwrite and folder.is_dir():
        done.unlink(missing_ok=True)  # first: should this be killed, nothing passes for finished
        shutil.rmtree(folder)
    if not complete:
        remove_leftovers(folder)
    splits = [f"{split}.json" for split in task.splits]
    labels = {f"{name} of the task": file_sha256(task.folder / name) for name in splits}
    if complete and not known:  # written by heareval
        copies = [name for name in splits if (folder / name).is_file()]
        copied = {f"{name} of the task": file_sha256(folder / name) for name in copies}
        check(folder, copied, {key: labels[key] for key in copied})
    elif folder.is_dir() and not record.is_file() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: holds unfinished embeddings of unknown origin; take another --out, or "
            "--overwrite to replace what is there"
        )
    else:
        claim(record, {**fingerprint, **labels, CONTENT: stamp[CONTENT]}, provenance)
        if stamp != known:
            write_text(record, json_text(read_record(record) | {STAMP: stamp[STAMP]}))
    for name in (METADATA_FILE, VOCABULARY_FILE, *splits):
        content = (task.folder / name).read_bytes()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            with atomic_file(folder / name) as copy:
                copy.write(content)
    return not complete
