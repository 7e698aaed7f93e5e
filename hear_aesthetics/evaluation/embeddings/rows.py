"""Reader and writer of embedding folders in heareval's layout.

Per split: ``<split>.embedding-dimensions.json`` (``[rows, dim]``), ``<split>.embeddings.npy``
(despite its name a raw float32 dump), ``<split>.target-labels.pkl`` (a list with one label list per
row) and, for event tasks, ``<split>.filename-timestamps.json`` (``[path, ms]`` per row); beside
them the task's metadata, vocabulary and split files. Either kit's next stage can go on from the
other's.
"""

import json
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.checkpoints.pickles import read_plain_pickle
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.tasks.event_postprocessing import Timeline
from hear_aesthetics.evaluation.tasks.schema import check_file, read_json
from hear_aesthetics.evaluation.tasks.task import EmbeddedTask
from hear_aesthetics.files import atomic_file, write_text
from hear_aesthetics.metrics.events import Events

__all__ = [
    "DONE_FILE",
    "SplitRows",
    "embedding_blocks",
    "embedding_size",
    "fill_rows",
    "read_embeddings",
    "read_rows",
    "row_count",
    "write_rows",
]

DONE_FILE = ".done.embeddings"
_BLOCK_VALUES = 2**20  # of embeddings read at once


@dataclass(frozen=True)
class SplitRows:
    """What the rows of one or several splits stand for; their embeddings are read by themselves.

    Shape:
        - targets: ``(rows, labels)`` bool, one-hot or multi-hot; float32 for regression
        - timeline, events: file and time of each row and the true events; None for scene tasks
    """

    targets: NDArray[Any]
    timeline: Timeline | None = None
    events: Events | None = None


def embedding_size(task: EmbeddedTask) -> int:
    """Return the number of values per embedding, the same in every split.

    Raises:
        TaskError: If a split is missing or the sizes differ.
    """
    sizes = {split: _dimensions(task, split)[1] for split in task.splits}
    if len(set(sizes.values())) != 1:
        raise TaskError(f"{task.folder}: embedding sizes differ between splits: {sizes}")
    return next(iter(sizes.values()))


def read_rows(task: EmbeddedTask, splits: Sequence[str], *, with_times: bool = False) -> SplitRows:
    """Return the rows of the splits one after the other, in stored order.

    ``with_times`` adds the timeline and the true events of an event task.

    Raises:
        TaskError: If files are missing or disagree.
    """
    targets = np.concatenate([_read_targets(task, split) for split in splits])
    if not (with_times and task.is_event):
        return SplitRows(targets)
    rows = [row for split in splits for row in _read_times(task, split)]
    timeline = Timeline([name for name, _ in rows], [time for _, time in rows])
    labels = {k: v for split in splits for k, v in task.split_labels(split).items()}
    return SplitRows(targets, timeline, timeline.targets(labels, task.label_index))


def row_count(task: EmbeddedTask, splits: Sequence[str]) -> int:
    """Return the number of rows of the splits together."""
    return sum(_dimensions(task, split)[0] for split in splits)


def read_embeddings(task: EmbeddedTask, splits: Sequence[str]) -> NDArray[np.float32]:
    """Return the embeddings of the splits' rows, ``(rows, dim)`` float32: see ``read_rows``.

    Raises:
        TaskError: As :func:`embedding_blocks`.
    """
    embeddings = np.empty((row_count(task, splits), embedding_size(task)), dtype=np.float32)
    fill_rows(embeddings, embedding_blocks(task, splits))
    return embeddings


def fill_rows(whole: Any, blocks: Iterable[Any]) -> None:
    """Copy blocks of rows one after the other into an array or a tensor, which holds them all."""
    start = 0
    for block in blocks:
        whole[start : start + len(block)] = block
        start += len(block)


def embedding_blocks(task: EmbeddedTask, splits: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    """Yield the embeddings of the splits' rows, some ``(rows, dim)`` at a time, float32.

    Raises:
        TaskError: If files are missing, disagree, or hold values that are not finite.
    """
    for split in splits:
        yield from _split_blocks(task, split)


def write_rows(
    folder: Path,
    split: str,
    embeddings: Iterable[NDArray[np.float32]],
    labels: list[Any],
    times: Sequence[tuple[str, float]] | None = None,
) -> None:
    """Write one split's merged files, each complete or not at all.

    Embeddings are blocks ``(some rows, dim)``, written one by one; there is one label list per row
    and, for event tasks, one pair of path and time (ms).
    """
    dim = 0
    with atomic_file(folder / f"{split}.embeddings.npy") as file:
        for block in embeddings:
            dim = block.shape[1]
            file.write(np.ascontiguousarray(block, dtype=np.float32).tobytes())
    with atomic_file(folder / f"{split}.target-labels.pkl") as file:
        pickle.dump(labels, file)
    if times is not None:
        write_text(folder / f"{split}.filename-timestamps.json", json.dumps(times, indent=4))
    write_text(folder / f"{split}.embedding-dimensions.json", json.dumps([len(labels), dim]))


def _dimensions(task: EmbeddedTask, split: str) -> tuple[int, int]:
    path = task.folder / f"{split}.embedding-dimensions.json"
    match read_json(path):
        case [int(rows), int(dim)]:
            return rows, dim
        case other:
            raise TaskError(f"{path}: holds {other!r}; expected [rows, dimensions]")


def _split_blocks(task: EmbeddedTask, split: str) -> Iterator[NDArray[np.float32]]:
    rows, dim = _dimensions(task, split)
    path = task.folder / f"{split}.embeddings.npy"
    check_file(path, "compute the embeddings again")
    stored = path.stat().st_size // np.dtype(np.float32).itemsize
    if stored != rows * dim:
        raise TaskError(
            f"{path}: {stored} values, but {rows} x {dim} in {split}.embedding-dimensions.json"
        )
    step = max(1, _BLOCK_VALUES // max(1, dim))
    with path.open("rb") as file:
        for start in range(0, rows, step):
            count = min(step, rows - start) * dim
            block = np.fromfile(file, dtype=np.float32, count=count).reshape(-1, dim)
            if not np.isfinite(block).all():
                row = start + int(np.nonzero(~np.isfinite(block))[0][0])
                raise TaskError(
                    f"{path}: row {row} holds NaN or infinity; mend the embedding module"
                )
            yield block


def _read_targets(task: EmbeddedTask, split: str) -> NDArray[Any]:
    path = task.folder / f"{split}.target-labels.pkl"
    check_file(path, "compute the embeddings again")
    try:
        labels = read_plain_pickle(path)
    except (OSError, pickle.UnpicklingError) as e:
        raise TaskError(f"{path}: not a list of labels ({e}); compute the embeddings again") from e
    if not (isinstance(labels, list) and all(map(_is_labels, labels))):
        raise TaskError(f"{path}: not a list of labels per row; compute the embeddings again")
    rows, _ = _dimensions(task, split)
    if len(labels) != rows:
        raise TaskError(f"{path}: {len(labels)} label lists for {rows} embeddings")
    if task.prediction_type == "regression":
        try:
            return np.array(labels, dtype=np.float32).reshape(rows, len(task.labels))
        except (TypeError, ValueError) as e:
            raise TaskError(f"{path}: not {len(task.labels)} numbers a row ({e})") from e
    return _multi_hot(task, labels, path)


def _is_labels(row: Any) -> bool:
    return isinstance(row, list | tuple) and all(isinstance(x, str | int | float) for x in row)


def _multi_hot(task: EmbeddedTask, labels: list[list[Any]], path: Path) -> NDArray[np.bool_]:
    targets = np.zeros((len(labels), len(task.labels)), dtype=bool)
    index = cache(task.label_index)
    for row, row_labels in enumerate(labels):
        for label in row_labels:
            try:
                targets[row, index(label)] = True
            except KeyError as e:
                raise TaskError(f"{path}: row {row}: label {label!r} is not known") from e
    if task.prediction_type == "multiclass" and not (targets.sum(1) == 1).all():
        row = int(np.nonzero(targets.sum(1) != 1)[0][0])
        raise TaskError(f"{path}: row {row} has {len(labels[row])} labels; expected exactly one")
    return targets


def _read_times(task: EmbeddedTask, split: str) -> list[tuple[str, float]]:
    path = task.folder / f"{split}.filename-timestamps.json"
    times = read_json(path, list)
    rows, _ = _dimensions(task, split)
    if len(times) != rows:
        raise TaskError(f"{path}: expected a list of {rows} pairs of file and time")
    try:
        rows_of = [(str(name), float(time)) for name, time in times]
    except (TypeError, ValueError) as e:
        raise TaskError(f"{path}: expected pairs of file and time ({e})") from e
    known = {name: name for name in task.split_labels(split)}
    known |= {name.rsplit("/", 1)[-1]: name for name in known if "/" in name}
    key = cache(partial(_key, known))
    return [(key(name), time) for name, time in rows_of]


def _key(known: Mapping[str, str], path: str) -> str:
    """Return the name in the split file that a stored path ends with."""
    parts = path.split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((known[end] for end in ends if end in known), parts[-1])
