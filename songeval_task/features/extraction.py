"""Features of a whole data set: the engine over all songs and versions, into the feature store.

While the model computes, the engine's threads decode the next songs and have them augmented in
worker processes. What the store has already, of the same audio and seed, is not computed again. A
song that cannot be read costs its own files and no other's.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.audio.loading import LENGTH_RULE, load_audio
from hear_aesthetics.corpus.stored import StoredBytes, StoredFile
from hear_aesthetics.distributed.cluster import Cluster
from hear_aesthetics.distributed.pipeline import run_on_ray
from hear_aesthetics.distributed.work import Compute, LoadedItem, check_same
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.engine.workers import worker_pool
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.fingerprint import check
from hear_aesthetics.model import HearModel, load_model
from hear_aesthetics.scorers import FUSED
from hear_aesthetics.spec import FRAME_RATE
from songeval_task.features.augmentation import load_version
from songeval_task.features.augmented_files import SongVersion
from songeval_task.features.store import DTYPES, Entry, FeatureStore

__all__ = ["bytes_needed", "done", "extract", "fingerprint", "load", "middle_state", "todo"]

HEADER_BYTES = 4096  # of a file, about


def todo(versions: Iterable[SongVersion], store: FeatureStore) -> list[SongVersion]:
    """Return the versions whose files the store lacks, or has from other audio.

    Raises:
        InputError: If a file was made with another seed.
    """
    missing = []
    for version in versions:
        entry = _entry(version, store)
        if entry is None:
            missing.append(version)
        else:
            check(store.root, {"seed": entry.seed}, {"seed": version.seed})
    return missing


def done(versions: Iterable[SongVersion], store: FeatureStore) -> Iterator[Entry]:
    """Yield the entries of the versions whose files the store has, in their order."""
    yield from filter(None, (_entry(version, store) for version in versions))


def middle_state(model: HearModel) -> HiddenState:
    """Return MuQ's middle hidden state, 6 of the published one; the SongEval baseline reads it."""
    return HiddenState("muq", model.depth("muq") // 2)


def fingerprint(model: HearModel, states: Sequence[HiddenState], dtype: str) -> dict[str, Any]:
    """Return what decides the numbers in a store."""
    stored = {"dtype": dtype, "states": list(map(str, states))}
    return {**LENGTH_RULE, **model.fingerprint("features"), **stored}


def bytes_needed(
    versions: Iterable[SongVersion], model: HearModel, states: Sequence[HiddenState], dtype: str
) -> int:
    """Return the disk space that the files of these versions take, about."""
    width = model.timestamp_embedding_size + sum(model.encoder_dim(s.source) for s in states)
    per_frame = width * DTYPES[dtype].itemsize
    return sum(HEADER_BYTES + round(v.song.seconds * FRAME_RATE) * per_frame for v in versions)


def extract(
    versions: Sequence[SongVersion],
    store: FeatureStore,
    model: HearModel,
    *,
    states: Sequence[HiddenState] = (),
    dtype: str = "float16",
    workers: int = 1,
    cluster: Cluster | None = None,
    loading: Mapping[str, Any] | None = None,
) -> Iterator[tuple[SongVersion, str | None]]:
    """Compute and store features of versions.

    Args:
        versions: From :func:`todo`.
        store: From ``FeatureStore.create``.
        model: From ``load_model``, with the states that are asked for.
        states: Hidden states to store beside the fused feature.
        dtype: One of ``DTYPES``.
        workers: Number of processes that augment.
        cluster: Cluster whose nodes compute; None: this process does.
        loading: Options of ``load_model``, with which the nodes load the model.

    Yields:
        Each version once its file is there, with None, or with the error that leaves it out.

    Raises:
        OSError: If a file cannot be written.
    """
    if cluster is not None:
        names = tuple(map(str, states))
        work = _FeatureWork(dict(loading or {}), names, dtype, fingerprint(model, states, dtype))
        for _, result in run_on_ray(cluster, versions, work):
            if result.error is None:
                tensors, result.item.augmentation = result.output
                result = replace(result, output=tensors)
            yield result.item, _store(result, store, model.name)
        return
    threads = None if all(version.made for version in versions) else workers
    compute = partial(_compute, states=states, dtype=dtype)
    with worker_pool(workers) as pool:
        for result in run(
            *(versions, model, compute), load=partial(load, pool=pool), workers=threads
        ):
            yield result.item, _store(result, store, model.name)


def _compute(
    model: HearModel, waveform: Tensor, *, states: Sequence[HiddenState], dtype: str
) -> dict[str, Tensor]:
    # One song at a time: which songs share a batch depends on what is left to do, and the last
    # bits would depend on that.
    passes = [model.extract(row, states) for row in waveform.split(1)]
    tensors = {FUSED: [one.fused for one in passes]}
    tensors |= {str(state): [one.states[state] for one in passes] for state in states}
    return {name: torch.cat(parts).to(DTYPES[dtype]) for name, parts in tensors.items()}


@dataclass(frozen=True)
class _FeatureWork:
    """Features of songs; a :class:`hear_aesthetics.distributed.work.Work`."""

    loading: dict[str, Any]
    states: tuple[str, ...]
    dtype: str
    fingerprint: dict[str, Any]  # that the nodes must have too

    @property
    def load(self) -> Callable[[SongVersion], tuple[np.ndarray, list[dict[str, Any]]]]:
        """What loads the waveform of a version, and tells what was done to it."""
        return _load_here

    def open(self, device: str) -> Compute:
        """Load the model."""
        states = [HiddenState.parse(name) for name in self.states]
        model = load_model(**self.loading, device=device)
        check_same(self.fingerprint, fingerprint(model, states, self.dtype))
        return partial(self._compute, model, states)

    def _compute(
        self, model: HearModel, states: Sequence[HiddenState], items: Sequence[LoadedItem]
    ) -> Iterator[Result[Any]]:
        compute = partial(_compute, states=states, dtype=self.dtype)
        results = run(items, model, compute, load=lambda item: item.take()[0])
        for item, result in zip(items, results, strict=True):
            if result.error is None:  # without the rest of the batch, which would travel along
                tensors = {name: tensor.clone() for name, tensor in result.output.items()}
                result = replace(result, output=(tensors, item.value[1]))
            yield result


def _load_here(version: SongVersion) -> tuple[np.ndarray, list[dict[str, Any]]]:
    return load(version), version.augmentation


def load(version: SongVersion, pool: Executor | None = None) -> np.ndarray:
    """Return the waveform, augmented unless the file is this version already.

    Args:
        version: The version; what was done to the audio is noted in it.
        pool: Processes that augment; None: this one does.

    Raises:
        AudioError: If the file cannot be read, or is not the audio that was prepared.
        HearAestheticsError: If the worker process was killed.
    """
    path = version.path
    if isinstance(path, StoredFile):
        path = StoredBytes(str(path), path.read())
        if hashlib.sha256(path.read()).hexdigest() != version.song.sha256:
            raise AudioError(f"{path}: not the audio that was prepared; prepare the songs again")
    if version.made:
        return load_audio(path)
    make = partial(load_version, name=version.song.name, version=version.version, seed=version.seed)
    try:
        made = pool.submit(make, path).result() if pool else make(path)
        waveform, version.augmentation = made
    except BrokenProcessPool as error:
        raise HearAestheticsError(
            f"{version.path}: the process that augmented it was killed, perhaps for want of "
            "memory; run the same command with fewer --workers"
        ) from error
    return waveform


def _store(result: Result[SongVersion], store: FeatureStore, model: str) -> str | None:
    """Write what was computed; return what went wrong."""
    version, song, tensors = result.item, result.item.song, result.output
    if result.error is not None:
        return str(result.error)
    facts = song.sha256, len(tensors[FUSED]), model, version.augmentation, version.seed
    try:
        store.write(Entry(song.name, version.version, *facts), tensors)
    except InputError as error:
        return str(error)
    return None


def _entry(version: SongVersion, store: FeatureStore) -> Entry | None:
    """Return the entry of a version if it was made from the song's audio as it is now."""
    entry = store.entry(version.song.name, version.version)
    return entry if entry is not None and entry.sha256 == version.song.sha256 else None
