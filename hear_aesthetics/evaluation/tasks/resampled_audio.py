"""Audio of a task: stamps that tell whether it has changed, and files at other sample rates.

``<sample rate>/source.json`` records which audio the resampled files were made from.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.engine.progress import ProgressCallback
from hear_aesthetics.errors import StorageError, TaskError
from hear_aesthetics.evaluation.tasks.schema import read_json
from hear_aesthetics.evaluation.tasks.task import Task
from hear_aesthetics.files import remove_leftovers, write_text
from hear_aesthetics.fingerprint import digest, file_stamp

__all__ = ["CONTENT", "STAMP", "check_source", "ensure_sample_rate", "file_sha256", "stamp_audio"]

SOURCE_FILE = "source.json"
CONTENT, STAMP = "audio", "audio_stamp"  # keys of the digests of contents, and of sizes and times
MISSING = "missing; restore it from the task's archive"

logger = logging.getLogger(__name__)


def stamp_audio(folder: Path, names: Iterable[str], known: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of the contents of audio files, and of their sizes and times.

    Contents are read only if sizes or times are not those of ``known``, an earlier stamp or empty:
    a folder that was copied has other times and the same contents.

    Raises:
        TaskError: If a file is missing.
    """
    files = {name: folder / name for name in names}
    try:
        stamp = digest({name: file_stamp(path) for name, path in files.items()})
        if known.get(STAMP) == stamp:
            return {CONTENT: known[CONTENT], STAMP: stamp}
        contents = digest({name: file_sha256(path) for name, path in files.items()})
    except FileNotFoundError as error:
        raise TaskError(f"{error.filename}: {MISSING}") from error
    return {CONTENT: contents, STAMP: stamp}


def file_sha256(path: Path) -> str:
    """Return the hash of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ensure_sample_rate(task: Task, sample_rate: int, progress: ProgressCallback) -> None:
    """Make ``<sample rate>/<split>/`` complete: 16-bit files, resampled from the highest rate.

    Files that are there already are kept, so that an interrupted run goes on.

    Raises:
        TaskError: If a file exists at no rate, the folder cannot be written, or its files were made
            from audio that has changed since.
        AudioError: If a file cannot be read.
    """
    check_source(task, sample_rate)
    folder = task.folder / str(sample_rate)
    missing = [name for name in task.audio_files if not (folder / name).is_file()]
    if not missing:
        return
    rates = {int(p.name): p for p in task.folder.iterdir() if p.is_dir() and p.name.isdecimal()}
    rates.pop(sample_rate, None)
    if not rates:
        raise TaskError(
            f"{folder / missing[0]}: missing, and there is no other rate to make it from"
        )
    source = rates[max(rates)]
    remove_leftovers(folder)
    logger.info("%s: resampling %d files from %s Hz, once", folder, len(missing), source.name)
    try:
        folder.mkdir(exist_ok=True)
        write_text(folder / SOURCE_FILE, json.dumps(_stamp(task, source, {})))
        for done, name in enumerate(missing):
            progress(done, len(missing))
            if not (source / name).is_file():
                raise TaskError(f"{source / name}: {MISSING}")
            waveform = load_audio(source / name, sample_rate, min_samples=1)
            write_audio(folder / name, waveform, sample_rate, subtype="PCM_16")
    except OSError as e:
        raise TaskError(f"{folder}: cannot be written ({e}); copy the task elsewhere") from e


def check_source(task: Task, sample_rate: int) -> None:
    """Check that resampled audio, if it was made here, was made from the audio there is now.

    Raises:
        TaskError: If the source has changed since.
    """
    folder = task.folder / str(sample_rate)
    record = folder / SOURCE_FILE
    if not record.is_file():
        return
    known = read_json(record)
    if not isinstance(known, dict) or not isinstance(known.get("source"), str):
        raise TaskError(f"{record}: damaged; remove {folder}, it is made again")
    source = task.folder / known["source"]
    if not source.is_dir():  # removed to save room
        return
    now = _stamp(task, source, known)
    if now[CONTENT] != known.get(CONTENT):
        raise TaskError(
            f"{folder}: made from {source}, which has changed since; remove {folder}, then "
            "evaluate with --overwrite"
        )
    if now != known:
        with suppress(OSError, StorageError):  # the task may be read-only
            write_text(record, json.dumps(now))


def _stamp(task: Task, source: Path, known: dict[str, Any]) -> dict[str, str]:
    names = [name for name in task.audio_files if (source / name).is_file()]
    return {"source": source.name, **stamp_audio(source, names, known)}
