"""Features of a whole data set: the engine over all songs and versions, into the feature store.

While the model computes, the engine's threads decode the next songs and have copies of them made in
worker processes. What the store has already, of the same audio and seed, is not computed again. A
song that cannot be read costs its own files and no other's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.engine.workers import worker_pool
from hear_aesthetics.errors import HearAestheticsError, InputError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.fingerprint import check
from hear_aesthetics.model import HearModel
from hear_aesthetics.scorers import FUSED
from hear_aesthetics.spec import FRAME_RATE
from songeval_task.data.prepared import Prepared, PreparedSong
from songeval_task.features.augmentation import ORIGINAL, augmentation_ids, load_version
from songeval_task.features.augmented_files import find_copy, read_copies
from songeval_task.features.store import DTYPES, Entry, FeatureStore

__all__ = [
    "Job",
    "Outcome",
    "bytes_needed",
    "extract",
    "fingerprint",
    "middle_state",
    "plan",
    "todo",
]

HEADER_BYTES = 4096  # of a file, about


@dataclass
class Job:
    """One version of one song.

    Attributes:
        song: Which song.
        version: ``"original"`` or a copy's name.
        path: Its audio file: the song's, or a copy's that ``songeval augment`` wrote.
        seed: Of the augmentation.
        augmentation: What was done to the audio; of a copy that is made here, once it is loaded.
        made: Whether the file is this version already.
    """

    song: PreparedSong
    version: str
    path: Path
    seed: int = 0
    augmentation: list[dict[str, Any]] = field(default_factory=list)
    made: bool = True

    def load(self, pool: Executor) -> np.ndarray:
        """The waveform, augmented in the pool unless the file is this version already."""
        if self.made:
            return load_audio(self.path)
        try:
            waveform, self.augmentation = pool.submit(
                load_version,
                self.path,
                name=self.song.name,
                version=self.version,
                seed=self.seed,
            ).result()
        except BrokenProcessPool as error:
            raise HearAestheticsError(
                f"{self.path}: the process that augmented it was killed, perhaps for want of "
                "memory; run the same command with fewer --workers"
            ) from error
        return waveform


class Outcome(NamedTuple):
    """What became of a job: an entry of the store, or an error of one line."""

    job: Job
    entry: Entry | None
    error: str | None


def plan(
    prepared: Prepared, copies: int, protocol: str, seed: int, augmented: Path | None = None
) -> list[Job]:
    """What the protocol needs: every song as it is, and copies of those that train.

    Args:
        prepared: The songs.
        copies: Augmented copies of each.
        protocol: See ``augmentation_ids``.
        seed: Of the copies that are made here.
        augmented: Folder of ``songeval augment``, to take the copies from.

    Raises:
        ValueError: If the protocol is unknown or takes copies that are not made.
        InputError: If a copy is not in ``augmented``.
    """
    names = [name for name in augmentation_ids(copies, protocol) if name != ORIGINAL]
    written = read_copies(augmented) if augmented else None
    jobs = []
    for song in prepared.songs:
        path = prepared.path(song)
        jobs.append(Job(song, ORIGINAL, path))
        for name in names if song.split == "train" else ():
            if augmented and written is not None:
                copy = find_copy(written, augmented, song, name)
                jobs.append(Job(song, name, copy.path, copy.seed, copy.augmentation))
            else:
                jobs.append(Job(song, name, path, seed, made=False))
    return jobs


def todo(jobs: Iterable[Job], store: FeatureStore) -> list[Job]:
    """The jobs whose files the store lacks, or has from other audio.

    Raises:
        InputError: If a file was made with another seed.
    """
    return [job for job in jobs if not _is_done(job, store)]


def done(jobs: Iterable[Job], store: FeatureStore) -> Iterator[Entry]:
    """Yield the entries of the jobs whose files the store has, in the order of the jobs."""
    for job in jobs:
        entry = store.entry(job.song.name, job.version)
        if entry is not None and entry.sha256 == job.song.sha256:
            yield entry


def middle_state(model: HearModel) -> HiddenState:
    """Return MuQ's middle hidden state, 6 of the published one; the SongEval baseline reads it."""
    return HiddenState("muq", model.depth("muq") // 2)


def fingerprint(model: HearModel, states: Sequence[HiddenState], dtype: str) -> dict[str, Any]:
    """Return what decides the numbers in a store."""
    return {**model.fingerprint("features"), "dtype": dtype, "states": list(map(str, states))}


def bytes_needed(
    jobs: Iterable[Job], model: HearModel, states: Sequence[HiddenState], dtype: str
) -> int:
    """Disk that the files of these jobs take, about."""
    width = model.timestamp_embedding_size + sum(model.encoder_dim(s.source) for s in states)
    per_frame = width * DTYPES[dtype].itemsize
    return sum(HEADER_BYTES + round(job.song.seconds * FRAME_RATE) * per_frame for job in jobs)


def extract(
    jobs: Sequence[Job],
    store: FeatureStore,
    model: HearModel,
    *,
    states: Sequence[HiddenState] = (),
    dtype: str = "float16",
    workers: int = 1,
) -> Iterator[Outcome]:
    """Compute and store features; each outcome once its file is there.

    Args:
        jobs: From :func:`todo`.
        store: From ``FeatureStore.create``.
        model: From ``load_model``, with the states that are asked for.
        states: Hidden states to store beside the fused feature.
        dtype: One of ``DTYPES``.
        workers: Processes that make copies.

    Raises:
        OSError: If a file cannot be written.
    """

    def work(model: HearModel, waveform: Tensor) -> dict[str, Tensor]:
        # One song at a time: which songs share a batch depends on what is left to do, and the last
        # bits would depend on that.
        passes = [model.extract(row, states) for row in waveform.split(1)]
        tensors = {FUSED: [one.fused for one in passes]}
        tensors |= {str(state): [one.states[state] for one in passes] for state in states}
        return {name: torch.cat(parts).to(DTYPES[dtype]) for name, parts in tensors.items()}

    making = any(not job.made for job in jobs)
    with worker_pool(workers) as pool:
        load = partial(_load, pool=pool)
        for result in run(jobs, model, work, load=load, workers=workers if making else None):
            yield _outcome(result, store, model.name)


def _load(job: Job, pool: Executor) -> np.ndarray:
    return job.load(pool)


def _outcome(result: Result[Job], store: FeatureStore, model: str) -> Outcome:
    """Store what was computed."""
    job = result.item
    if result.error is not None:
        return Outcome(job, None, str(result.error))
    try:
        return Outcome(job, _store(job, result.output, store, model), None)
    except InputError as error:
        return Outcome(job, None, str(error))


def _store(job: Job, tensors: Mapping[str, Tensor], store: FeatureStore, model: str) -> Entry:
    song = job.song
    frames = len(tensors[FUSED])
    entry = Entry(song.name, job.version, song.sha256, frames, model, job.augmentation, job.seed)
    store.write(entry, tensors)
    return entry


def _is_done(job: Job, store: FeatureStore) -> bool:
    entry = store.entry(job.song.name, job.version)
    if entry is None or entry.sha256 != job.song.sha256:
        return False
    if job.version != ORIGINAL:
        check(store.root, {"seed": entry.seed}, {"seed": job.seed})
    return True
