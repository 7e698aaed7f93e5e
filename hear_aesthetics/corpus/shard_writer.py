"""Writer of a shard: rows to Parquet files as they come, and what of them is there already.

Rows are written when there are enough of them, or enough time has passed, and when the block ends,
by an error or an interrupt too. What kills the process costs the rows of the last minute.
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from hear_aesthetics.corpus.arrow import rows_table
from hear_aesthetics.corpus.keys import Shard, digests
from hear_aesthetics.corpus.shard_files import (
    INTERNAL,
    KEY,
    METADATA,
    POSITION,
    STAMP,
    ShardRecord,
    part_paths,
    read_part,
    read_records,
    stem,
    write_part,
)
from hear_aesthetics.corpus.stored import stamp_of
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import remove_leftovers
from hear_aesthetics.fingerprint import REMEDY, check

__all__ = ["Plan", "ShardWriter"]

PART_ROWS, PART_BYTES, PART_SECONDS = 4096, 64 << 20, 60.0  # of a file; the first that is reached
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a shard has to do.

    Attributes:
        positions: Numbers of the inputs whose rows are not there yet, ``(n,)`` int64.
        stamps: Evidence of the audio of each of them.
        rows: Rows of this shard.
        kept: How many of these are there already.
        inputs: Inputs of all shards.
        listed: Digest of the keys of all shards.
    """

    positions: np.ndarray
    stamps: list[str]
    rows: int
    kept: int
    inputs: int
    listed: str


class _Rows(NamedTuple):
    """Rows of the parts of a shard: the part of each, digests of its key, and of key and stamp."""

    paths: list[Path]
    parts: np.ndarray
    keys: np.ndarray
    pairs: np.ndarray


class ShardWriter:
    """Writer of one shard; a context manager.

    Args:
        folder: Folder of the shards, made if need be.
        shard: The one to write.
        schema: Arrow schema of the columns whose types are known; others are inferred.
        fingerprint: What decides the rows; rows of another one are never mixed in.
        provenance: Whatever else is known of them.
        columns: Columns of a table of the rows.
        overwrite: Start over, whatever is there of this shard.

    Raises:
        InputError: If what is there was made otherwise, in other shards, or is being written.
    """

    def __init__(
        self,
        folder: Path,
        shard: Shard,
        schema: Any,
        fingerprint: Mapping[str, Any],
        provenance: Mapping[str, Any],
        *,
        columns: Sequence[str] = (),
        overwrite: bool = False,
    ) -> None:
        import pyarrow as pa

        self.folder, self.shard = folder, shard
        self.failed = 0
        self._record = ShardRecord(shard, fingerprint, provenance, columns=tuple(columns))
        about = {"shard": str(shard), "fingerprint": fingerprint, "provenance": provenance}
        own = [pa.field(POSITION, pa.int64()), pa.field(STAMP, pa.string())]
        metadata = {METADATA: json.dumps(about, default=str).encode()}
        self._schema = pa.schema([*schema, *own], metadata=metadata)
        self._rows: dict[bool, list[dict[str, Any]]] = {False: [], True: []}  # failed -> rows
        self._bytes, self._written = 0, time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._check(overwrite)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            self._release()

    def plan(self, keys: Iterable[str], inputs: Sequence[Any]) -> Plan:
        """Return what is to be done of all inputs; rows of audio that has changed are dropped.

        Args:
            keys: Key of each input, of all shards, in their order.
            inputs: The inputs, each with ``path``, ``start``, ``end`` and ``prompt``.

        Raises:
            InputError: If there are rows of inputs that are not given, or a part is damaged.
        """
        listed = digests(keys)
        owned = np.flatnonzero(self.shard.owns(listed))
        stamps = [_stamp(inputs[int(index)]) for index in owned]
        wanted = _pair(listed[owned], digests(stamps))
        there = self._rows_there()
        self._check_given(there, listed)
        current = np.isin(there.pairs, wanted)
        kept = np.isin(wanted, there.pairs[current])
        for part in np.unique(there.parts[~current]):
            _keep(there.paths[part], current[there.parts == part])
        changed = int(np.count_nonzero(~current))
        if changed:
            LOGGER.warning("%s: %d rows are of audio that has changed since", self.folder, changed)
        for path in part_paths(self.folder, self.shard, errors=True):
            path.unlink()  # what failed is tried again
        todo = np.flatnonzero(~kept)
        together = np.bitwise_xor.reduce(listed.view("<u8").reshape(-1, 2), axis=0)
        plan = Plan(
            positions=owned[todo],
            stamps=[stamps[index] for index in todo],
            rows=len(owned),
            kept=int(np.count_nonzero(kept)),
            inputs=len(listed),
            listed="".join(f"{int(half):016x}" for half in together),
        )
        self._record = replace(self._record, inputs=plan.inputs, listed=plan.listed, rows=plan.rows)
        self._record.write(self.folder)
        return plan

    def add(
        self, position: int, stamp: str, row: Mapping[str, Any], *, failed: bool = False
    ) -> None:
        """Add a row, which has its ``key``; failed rows are made again by the next run."""
        self._rows[failed].append({**row, POSITION: position, STAMP: stamp})
        self.failed += failed
        self._bytes += sum(value.nbytes for value in row.values() if isinstance(value, np.ndarray))
        count = sum(map(len, self._rows.values()))
        waited = time.monotonic() - self._written
        if count >= PART_ROWS or self._bytes >= PART_BYTES or waited >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were added since the last part."""
        for failed, rows in self._rows.items():
            if rows:
                paths = part_paths(self.folder, self.shard, errors=failed)
                number = int(paths[-1].stem.rpartition("-")[2]) + 1 if paths else 0
                name = f"{stem(self.shard)}{'-errors' if failed else ''}-{number:06}.parquet"
                write_part(self.folder / name, rows_table(rows, self._schema, INTERNAL))
                rows.clear()
        self._bytes, self._written = 0, time.monotonic()

    def finish(self) -> None:
        """Write what is left, and that all rows are there."""
        self.flush()
        self._record = replace(self._record, finished=True, failed=self.failed)
        self._record.write(self.folder)

    # Folder

    def _rows_there(self) -> "_Rows":
        """Return the rows of all parts."""
        paths = part_paths(self.folder, self.shard)
        keys, pairs, sizes = [digests([])], [digests([])], []
        for path in paths:
            table = read_part(path, [KEY, STAMP])
            keys.append(digests(table[KEY].to_pylist()))
            pairs.append(_pair(keys[-1], digests(table[STAMP].to_pylist())))
            sizes.append(len(table))
        parts = np.repeat(np.arange(len(paths)), sizes)
        return _Rows(paths, parts, np.concatenate(keys), np.concatenate(pairs))

    def _check_given(self, there: "_Rows", listed: np.ndarray) -> None:
        """Raise an error if there are rows of inputs that are not listed."""
        others = np.flatnonzero(~np.isin(there.keys, listed))
        if not len(others):
            return
        part = there.parts[others[0]]
        path, place = there.paths[part], others[0] - np.searchsorted(there.parts, part)
        key = read_part(path, [KEY])[KEY][int(place)].as_py()
        raise InputError(
            f"{self.folder}: holds {len(others)} rows of inputs that are not given now, such as "
            f"{key!r}; give all inputs, or {REMEDY}"
        )

    def _check(self, overwrite: bool) -> None:
        own = self._record.path(self.folder)
        remove_leftovers(self.folder, recursive=False)
        if overwrite:
            own.unlink(missing_ok=True)
            for errors in (False, True):
                for path in part_paths(self.folder, self.shard, errors=errors):
                    path.unlink()
        elif not own.is_file() and part_paths(self.folder, self.shard):
            raise InputError(f"{self.folder}: holds rows without {own.name}; {REMEDY}")
        for record in read_records(self.folder):
            if record.shard.count != self.shard.count:
                raise InputError(
                    f"{self.folder}: holds shard {record.shard}, not shards of {self.shard.count}; "
                    "take another --out, or the same number of shards"
                )
            check(record.path(self.folder), record.fingerprint, self._record.fingerprint)

    def _take_lock(self) -> int:
        path = self._lock_path
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise InputError(
                f"{self.folder}: another process writes shard {self.shard}; wait for it, or take "
                "another --shard"
            ) from error
        except OSError:  # some file systems have no locks
            LOGGER.debug("%s: no lock", path)
        return file

    def _release(self) -> None:
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)

    @property
    def _lock_path(self) -> Path:
        return self.folder / f".{stem(self.shard)}.lock"


def _stamp(item: Any) -> str:
    """Return what of an input, besides its key, decides its row: span, prompt, state of the file.

    A file that is not there has none: what is wrong with it is told when its turn comes.
    """
    try:
        stamp = list(stamp_of(item.path).values())
    except (OSError, ValueError):
        stamp = []
    return json.dumps([item.start, item.end, item.prompt, *stamp])


def _pair(keys: np.ndarray, stamps: np.ndarray) -> np.ndarray:
    """Return the digests of keys with their stamps: ``(n,)`` of ``S16``."""
    halves = keys.view("<u8") ^ np.roll(stamps.view("<u8").reshape(-1, 2), 1, axis=1).ravel()
    return halves.view(keys.dtype)


def _keep(path: Path, rows: np.ndarray) -> None:
    """Leave some rows of a part in it; a part without any goes."""
    import pyarrow as pa

    table = read_part(path).filter(pa.array(rows))
    if len(table):
        write_part(path, table)
    else:
        path.unlink()
