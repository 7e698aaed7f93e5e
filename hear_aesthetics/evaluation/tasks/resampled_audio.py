"""The sample rate a module wants, made once from one that the task folder has."""

import logging
from pathlib import Path

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.engine.progress import ProgressCallback
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.tasks.task import Task
from hear_aesthetics.files import remove_leftovers

__all__ = ["ensure_rate"]

logger = logging.getLogger(__name__)


def ensure_rate(task: Task, sample_rate: int, progress: ProgressCallback) -> None:
    """Make ``<sample rate>/<split>/`` complete: 16-bit files, resampled from the highest rate.

    Files that are there already are kept, so that an interrupted run goes on.

    Raises:
        TaskError: If a file exists at no rate, or the folder cannot be written.
        AudioError: If a file cannot be read.
    """
    names = [(split, name) for split in task.splits for name in task.split_labels(split)]
    folder = task.folder / str(sample_rate)
    missing = [(split, name) for split, name in names if not (folder / split / name).is_file()]
    if not missing:
        return
    source = _source(task, sample_rate, missing[0])
    remove_leftovers(folder)
    logger.info("%s: resampling %d files from %s Hz, once", folder, len(missing), source.name)
    for done, (split, name) in enumerate(missing):
        progress(done, len(missing))
        if not (source / split / name).is_file():
            raise TaskError(f"{source / split / name}: missing, but named in {split}.json")
        waveform = load_audio(source / split / name, sample_rate, min_samples=1)
        try:
            write_audio(folder / split / name, waveform, sample_rate, subtype="PCM_16")
        except OSError as e:
            raise TaskError(f"{folder}: cannot be written ({e}); copy the task elsewhere") from e


def _source(task: Task, sample_rate: int, missing: tuple[str, str]) -> Path:
    rates = [p for p in task.folder.iterdir() if p.is_dir() and p.name.isdecimal()]
    others = [p for p in rates if int(p.name) != sample_rate]
    if not others:
        where = task.folder / str(sample_rate) / missing[0] / missing[1]
        raise TaskError(f"{where}: missing, and there is no other rate to make it from")
    return max(others, key=lambda p: int(p.name))
