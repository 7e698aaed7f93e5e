"""Pipeline of Ray Data: decoding tasks, encoder actors, and results as they come.

Rows travel as pickled items; what is decoded waits in the object stores of the nodes, and Ray Data
decodes no further than there is room. An encoder takes a block at a time through the engine, which
batches clips of equal length. What is lost with a node or a process, Ray computes again; a result
that comes twice counts once. Where Ray gives up or stands still, what is missing is started anew
on the nodes that are left.
"""

import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hear_aesthetics.distributed.cluster import Cluster
from hear_aesthetics.distributed.decoder import Decoder
from hear_aesthetics.distributed.work import LoadedItem, Work, picklable
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.errors import HearAestheticsError

if TYPE_CHECKING:  # decoding tasks import this module: PyTorch would be all that they load
    from hear_aesthetics.engine.inference import Result

__all__ = ["in_order", "run_on_ray"]

Item = TypeVar("Item")
FILE_SECONDS = 300.0  # for loading one file
STALL_SECONDS = 300.0  # without any progress, of loading a model too, before a new start
# Rows of one decoding task, which an encoder takes together. A clip that is alone in its batch may
# round otherwise, so that blocks hold whole batches of the usual lengths.
BLOCK_ROWS = (24, 12, 6, 3, 2)
BLOCK_BYTES = 64 << 20
TASKS_PER_WORKER = 4  # so that all have something to do until the end
STARTS = 4
MAX_REASON = 200  # characters of what Ray says
FAILED = -1  # place of what ends the run
DECODER_CPUS = 0.25

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Settings:
    """What every process of the pipeline needs."""

    work: bytes
    load: bytes
    folder: str  # working directory, to which paths are relative
    file_seconds: float


def run_on_ray(
    cluster: Cluster,
    items: Sequence[Item],
    work: Work,
    *,
    file_seconds: float | None = None,
    stall_seconds: float | None = None,
) -> "Iterator[tuple[int, Result[Item]]]":
    """Yield the place and the result of each item, as they come.

    Args:
        cluster: From :func:`hear_aesthetics.distributed.cluster.joined`.
        items: Inputs, or other items that can be pickled and have a ``path``.
        work: What is done with them; of inputs it does not see the fields.
        file_seconds: Time for loading one item; one that takes longer is an error.
        stall_seconds: Time without progress before what is missing is started anew.

    Raises:
        Exception: What the work raises where it opens, such as ``WeightsUnavailableError``.
    """
    from hear_aesthetics.engine.inference import Result

    parts = pickle.dumps(work), pickle.dumps(work.load)
    settings = _Settings(*parts, str(Path.cwd()), file_seconds or FILE_SECONDS)
    ray = cluster.ray
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = BLOCK_BYTES
    context.execution_no_progress_timeout_s = stall_seconds or STALL_SECONDS
    missing = np.ones(len(items), bool)
    for start in range(STARTS):
        places = np.flatnonzero(missing)
        if not len(places):
            return
        alone = start == STARTS - 1  # an item that kills whatever computes it leaves the others
        try:
            for place, result in _stream(cluster, items, places, settings, alone=alone):
                if missing[place]:
                    missing[place] = False
                    yield place, result
        except _failures(ray) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:MAX_REASON]
            LOGGER.debug("start %d ended early", start + 1, exc_info=error)
            LOGGER.warning(
                *("Ray stopped with %d of %d rows missing (%s)", missing.sum(), len(items), reason)
            )
    for place in np.flatnonzero(missing).tolist():
        item: Any = items[place]
        message = f"{item.path}: Ray gave it up {STARTS} times; run it without --ray to see why"
        yield place, Result(item, 0.0, error=HearAestheticsError(message))


def in_order(results: "Iterator[tuple[int, Result[Item]]]") -> "Iterator[Result[Item]]":
    """Yield results in the order of their places; those that come early wait."""
    waiting: dict[int, Result[Item]] = {}
    wanted = 0
    for place, result in results:
        waiting[place] = result
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted += 1


def _stream(
    cluster: Cluster,
    items: Sequence[Item],
    places: np.ndarray,
    settings: _Settings,
    *,
    alone: bool,
) -> "Iterator[tuple[int, Result[Item]]]":
    """Run the pipeline once over the items at some places."""
    from hear_aesthetics.engine.inference import Result

    data, share = cluster.ray.data, cluster.share()
    each = len(places) // (max(share.decoders, share.encoders) * TASKS_PER_WORKER)
    rows = 1 if alone else next((size for size in BLOCK_ROWS if size <= each), BLOCK_ROWS[-1])
    starts = list(range(0, max(1, len(places) - (not alone)), rows))  # the last is not one alone
    blocks = [_block(items, part) for part in np.split(places, starts[1:])]
    encoders = min(share.encoders, len(blocks))
    decoded = data.from_arrow(blocks).map_batches(
        _decode,
        batch_size=None,
        batch_format="pyarrow",
        compute=data.TaskPoolStrategy(size=share.decoders),
        num_cpus=DECODER_CPUS,
        fn_args=(settings,),
    )
    encoded = decoded.map_batches(
        _Encoder,
        batch_size=None,
        batch_format="pyarrow",
        compute=data.ActorPoolStrategy(min_size=1, max_size=encoders, initial_size=encoders),
        num_cpus=share.cpus,
        num_gpus=share.gpus,
        fn_constructor_args=(settings, share.threads, "cuda" if share.gpus else "cpu"),
    )
    for batch in encoded.iter_batches(batch_size=None, batch_format="pyarrow"):
        for place, made in zip(
            *(batch[name].to_pylist() for name in ("place", "made")), strict=True
        ):
            if place == FAILED:
                raise pickle.loads(made)
            seconds, output, error, warnings = pickle.loads(made)
            for line in warnings:
                LOGGER.warning("%s", line)
            yield place, Result(items[place], seconds, output, error)


def _block(items: Sequence[Any], places: np.ndarray) -> Any:
    chosen = (items[int(place)] for place in places)
    return _table(places.tolist(), item=[pickle.dumps(_portable(item)) for item in chosen])


def _portable(item: Any) -> Any:
    """Return an item without what stays here: the row of its list."""
    return replace(item, fields={}) if isinstance(item, Input) else item


def _table(places: Sequence[int], **columns: Sequence[bytes]) -> Any:
    import pyarrow as pa

    data = {name: pa.array(values, pa.large_binary()) for name, values in columns.items()}
    return pa.table({"place": pa.array(places, pa.int64()), **data})


def _decode(table: Any, settings: _Settings) -> Iterator[Any]:
    """Load the items of a block, one by one."""
    decoder = _decoder(settings)
    for place, item in zip(table["place"].to_pylist(), table["item"].to_pylist(), strict=True):
        yield _table([place], loaded=[decoder.load(item)])


@lru_cache(maxsize=1)
def _decoder(settings: _Settings) -> Decoder:
    """Return the decoder of this process, which later tasks use too."""
    _enter(settings.folder)
    return Decoder(settings.load, settings.file_seconds)


class _Encoder:
    """Actor that holds a model.

    What the work raises is sent as a row: Ray would take it for a lost process, and start over.
    """

    def __init__(self, settings: _Settings, threads: int, device: str) -> None:
        import torch

        _enter(settings.folder)
        torch.set_num_threads(threads)
        self._failure: Exception | None = None
        try:
            work: Work = pickle.loads(settings.work)
            self._compute = work.open(device)
        except Exception as error:  # noqa: BLE001 - raised where the run was started
            self._failure = error

    def __call__(self, table: Any) -> Iterator[Any]:
        try:
            if self._failure is not None:
                raise self._failure
            yield from self._made(table)
        except Exception as error:  # noqa: BLE001 - raised where the run was started
            yield _table([FAILED], made=[pickle.dumps(picklable(error))])

    def _made(self, table: Any) -> Iterator[Any]:
        items: list[LoadedItem] = [pickle.loads(item) for item in table["loaded"].to_pylist()]
        places = table["place"].to_pylist()
        for place, item, done in zip(places, items, self._compute(items), strict=True):
            made = (done.seconds, done.output, done.error, item.warnings)
            yield _table([place], made=[pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL)])


def _failures(ray: Any) -> tuple[type[Exception], ...]:
    """Return the errors of lost nodes and processes, and of executions that stand still."""
    from ray.data.exceptions import ExecutionTimeoutError, SystemException

    return ray.exceptions.RayError, ExecutionTimeoutError, SystemException


def _enter(folder: str) -> None:
    """Work where the command was started, as far as this machine has the folder."""
    with suppress(OSError):
        os.chdir(folder)
