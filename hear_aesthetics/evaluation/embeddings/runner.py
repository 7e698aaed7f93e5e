"""Embedding stage: from a task folder and a module to an embedding folder in heareval's layout.

Each file's embedding is written, whole or not at all, as soon as it is known: a run that was killed
goes on where it stopped. Files of equal length are computed in batches, and which files share a
batch depends only on the split, so that a resumed run computes the same numbers. Embeddings of
another module, or of a task that has changed since, are never replaced unasked.
"""

import json
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from hear_aesthetics.audio.decoding import promised_times
from hear_aesthetics.engine.prefetch import Prefetcher
from hear_aesthetics.engine.progress import ProgressCallback, no_progress
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.folder import begin_folder
from hear_aesthetics.evaluation.embeddings.module import HearModule
from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE, write_rows
from hear_aesthetics.evaluation.tasks.resampled_audio import check_source, ensure_sample_rate
from hear_aesthetics.evaluation.tasks.schema import read_json
from hear_aesthetics.evaluation.tasks.task import Task, load_task
from hear_aesthetics.files import atomic_file, write_text

__all__ = ["embed_task"]

_BATCH_SAMPLES = 1_344_000  # 0.7 * 120 s at 16 kHz: heareval's rule
_AHEAD_SAMPLES = 4 * _BATCH_SAMPLES
_END_INCLUDED = 0.0001  # ms; a label holds at start <= t < end + this
_SHUFFLE_SEED = 0
_CUT = 1.01  # times what a clip holds; a header may be a few bytes off

logger = logging.getLogger(__name__)


def embed_task(
    module: HearModule,
    task_folder: str | Path,
    out: str | Path,
    progress: ProgressCallback = no_progress,
    *,
    resampling: ProgressCallback = no_progress,
    overwrite: bool = False,
) -> Path:
    """Compute a task's embeddings into ``out/<module and options>/<task>``; return that folder.

    What is there already is kept, unless ``overwrite``. ``progress`` is called with the number of
    files done and of all files; ``resampling`` likewise, first with 0, where the audio is not at
    the module's rate yet.

    Raises:
        TaskError: If the task folder is broken; names the file.
        ModuleError: If the module breaks its contract; what was computed before is kept.
        AudioError: If a file cannot be read.
    """
    task = load_task(Path(task_folder))
    folder = Path(out) / module.folder_name / task.folder.name
    audio = task.folder / str(module.sample_rate)
    start = time.perf_counter()
    if overwrite or not (folder / DONE_FILE).is_file():
        ensure_sample_rate(task, module.sample_rate, resampling)
    else:
        check_source(task, module.sample_rate)
    made = module.fingerprint("timestamps" if task.is_event else "scene")
    if not begin_folder(folder, made, module.provenance, task, audio, overwrite=overwrite):
        return folder
    splits = [
        _Split(name, task.split_labels(name), audio / name, folder / name) for name in task.splits
    ]
    done, total = 0, sum(len(split.labels) for split in splits)
    for split in splits:
        for count in _compute(task, module, split):
            done += count
            progress(done, total)
    _merge(task, splits, folder)
    profile = {"time_elapsed": time.perf_counter() - start, "gpu_max_mem": None}
    write_text(folder / "profile.embeddings.json", json.dumps(profile, indent=4))
    write_text(folder / DONE_FILE, "")
    return folder


@dataclass(frozen=True)
class _Split:
    """Labels by file of one split, and the folders of its audio and its embeddings."""

    name: str
    labels: Mapping[str, list[Any]]
    audio: Path
    out: Path

    def embedding(self, file: str) -> Path:
        return self.out / f"{file}.embedding.npy"

    def timestamps(self, file: str) -> Path:
        return self.out / f"{file}.timestamps.json"

    def batches(self, sample_rate: int) -> list[list[str]]:
        """Return batches of files of equal length; the longest first, to fail early."""
        lengths = {file: _length(self.audio / file, sample_rate) for file in self.labels}
        ordered = sorted(self.labels, key=lambda file: -lengths[file])
        batches = []
        for samples, group in groupby(ordered, key=lengths.__getitem__):
            alike = list(group)
            size = max(1, _BATCH_SAMPLES // samples)
            batches += [alike[start : start + size] for start in range(0, len(alike), size)]
        return batches


def _length(path: Path, sample_rate: int) -> int:
    try:
        info = soundfile.info(path)
    except (OSError, soundfile.LibsndfileError) as e:
        raise TaskError(f"{path}: cannot be read ({e}); restore it from the archive") from e
    if info.samplerate != sample_rate or info.channels != 1 or not info.frames:
        raise TaskError(
            f"{path}: {info.frames} frames at {info.samplerate} Hz in {info.channels} channels; "
            f"expected mono at {sample_rate} Hz (a folder that is removed is made again)"
        )
    times = promised_times(info.extra_info)
    if times > _CUT:
        logger.warning(
            "%s: holds %.2f of the %.2f s its header promises; restore it from the archive",
            path,
            info.duration,
            info.duration * times,
        )
    return int(info.frames)


def _compute(task: Task, module: HearModule, split: _Split) -> Iterator[int]:
    """Compute the batches of a split that are not complete; yield how many files are done."""
    batches = split.batches(module.sample_rate)
    pending = [b for b in batches if not all(split.embedding(file).is_file() for file in b)]
    yield sum(map(len, batches)) - sum(map(len, pending))

    def load(file: str) -> NDArray[np.float32]:
        waveform, _ = soundfile.read(split.audio / file, dtype="float32")
        if not np.isfinite(waveform).all():
            raise ValueError("it holds NaN or infinity")
        return np.asarray(waveform)

    files = (file for batch in pending for file in batch)
    with Prefetcher(files, load, ahead_samples=_AHEAD_SAMPLES) as ahead:
        for batch in pending:
            waveforms = []
            for loaded in islice(ahead, len(batch)):
                if loaded.waveform is None:
                    raise TaskError(f"{split.audio / loaded.item}: cannot be read ({loaded.error})")
                waveforms.append(loaded.waveform)
            _save(task, split, batch, module, np.stack(waveforms))
            yield len(batch)


def _save(
    task: Task,
    split: _Split,
    files: Sequence[str],
    module: HearModule,
    audio: NDArray[np.float32],
) -> None:
    """Compute and write one batch; a file's embedding is written last and makes it complete."""
    embeddings, times = (
        module.timestamps(audio, files) if task.is_event else (module.scenes(audio, files), None)
    )
    for i, file in enumerate(files):
        split.embedding(file).parent.mkdir(parents=True, exist_ok=True)
        labels = split.labels[file]
        if times is not None:
            write_text(split.timestamps(file), json.dumps(times[i].tolist()))
            labels = _labels_at(labels, times[i])
        write_text(split.out / f"{file}.target-labels.json", json.dumps(labels))
        with atomic_file(split.embedding(file)) as out:
            np.save(out, embeddings[i])


def _labels_at(events: Sequence[Mapping[str, Any]], times: NDArray[np.floating]) -> list[list[Any]]:
    """Return the labels at each time, compared in the precision of the times, as in heareval.

    Overlapping events of one label repeat it; the very same event given twice does not.
    """
    labels: list[list[Any]] = [[] for _ in times]
    for label, start, end in dict.fromkeys((e["label"], e["start"], e["end"]) for e in events):
        first, last = np.array([start, end + _END_INCLUDED]).astype(times.dtype)
        for frame in np.nonzero((first <= times) & (times < last))[0]:
            labels[frame].append(label)
    return labels


def _merge(task: Task, splits: Sequence[_Split], folder: Path) -> None:
    """Write the files that the predictions stage reads, rows in heareval's order."""
    generator = random.Random(_SHUFFLE_SEED)
    for split in splits:
        files = list(split.labels)
        generator.shuffle(files)
        labels: list[Any] = []
        times: list[tuple[str, float]] = []
        for file in files:
            if not task.is_event:
                labels.append(split.labels[file])
                continue
            stamps = read_json(split.timestamps(file))
            labels += read_json(split.out / f"{file}.target-labels.json")
            times += [(str(split.out / file), stamp) for stamp in stamps]
        blocks = (np.atleast_2d(np.load(split.embedding(file))) for file in files)
        write_rows(folder, split.name, blocks, labels, times if task.is_event else None)
