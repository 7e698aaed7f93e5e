"""Shards to one whole: what is missing, doubled or of another make, and their rows in order."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hear_aesthetics.corpus.arrow import concat
from hear_aesthetics.corpus.keys import Shard, digests
from hear_aesthetics.corpus.parquet_rows import import_parquet
from hear_aesthetics.corpus.shard_files import (
    INTERNAL,
    KEY,
    METADATA,
    POSITION,
    ShardRecord,
    part_paths,
    read_part,
    read_records,
)
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file
from hear_aesthetics.fingerprint import differences

__all__ = ["Shards", "check_shards", "find_shards", "row_tables", "write_parquet"]

WINDOW_ROWS = 8192  # places in the list that are in memory at once
SHOWN = 5  # shards or keys that a message names


class _Found(NamedTuple):
    folder: Path
    record: ShardRecord


@dataclass(frozen=True)
class Shards:
    """Shards in one or several folders, and the files of their rows."""

    found: tuple[_Found, ...]
    parts: tuple[Path, ...]

    @property
    def first(self) -> ShardRecord:
        """Record of the first shard."""
        return self.found[0].record

    @property
    def columns(self) -> list[str]:
        """Columns of a table of the rows: those of all shards."""
        return list(dict.fromkeys(name for one in self.found for name in one.record.columns))


def find_shards(folders: Sequence[Path]) -> Shards:
    """Return the shards in some folders.

    Raises:
        InputError: If a folder holds none, or a record is damaged.
    """
    found = []
    for folder in folders:
        here = [_Found(folder, record) for record in read_records(folder)]
        if not here:
            raise InputError(f"{folder}: holds no shards; name the --out of score or embed")
        found += here
    found.sort(key=lambda one: one.record.shard.index)
    parts = [
        path
        for folder, record in found
        for errors in (False, True)
        for path in part_paths(folder, record.shard, errors=errors)
    ]
    return Shards(tuple(found), tuple(parts))


def check_shards(shards: Shards) -> list[str]:
    """Return what is wrong, a line each: nothing if the shards make a whole.

    Raises:
        InputError: If a part is damaged.
    """
    first_folder, first = shards.found[0]
    count = first.shard.count
    problems = []
    owners: dict[Shard, Path] = {}
    for folder, record in shards.found:
        place, shard = record.path(folder), record.shard
        if shard.count != count:
            problems.append(f"{place}: is one of {shard.count} shards, {first.shard} of {count}")
        elif shard in owners:
            problems.append(f"shard {shard} is in {owners[shard]} and in {folder}; keep one")
        owners.setdefault(shard, folder)
        if changed := differences(first.fingerprint, record.fingerprint):
            problems.append(
                f"{place}: made otherwise than shard {first.shard} in {first_folder} "
                f"({'; '.join(changed[:SHOWN])}); make it again"
            )
        elif (record.inputs, record.listed) != (first.inputs, first.listed):
            problems.append(
                f"{place}: of another list, {record.inputs} inputs where shard {first.shard} has "
                f"{first.inputs}; run the same command for each shard again, it goes on"
            )
        elif not record.finished:
            problems.append(f"shard {shard} in {folder} is not finished; run it again, it goes on")
    missing = [n for n in range(1, count + 1) if Shard(n, count) not in owners]
    problems += [f"shard {n}/{count} is missing; run it with --shard {n}/{count}" for n in missing]
    return problems or _check_rows(shards)


def _check_rows(shards: Shards) -> list[str]:
    """Return what is wrong with the rows of shards whose records are whole."""
    problems, keys, places = [], [], []
    for folder, record in shards.found:
        count = 0
        for errors in (False, True):
            for path in part_paths(folder, record.shard, errors=errors):
                names = read_part(path, [KEY])[KEY].drop_null().to_pylist()
                keys.append(digests(names))
                places.append(path)
                count += len(names)
        if count != record.rows:
            problems.append(
                f"shard {record.shard} in {folder} holds {count} of {record.rows} rows; "
                "run it again, it goes on"
            )
    together = np.concatenate([*keys, digests([])])
    order = np.argsort(together, kind="stable")
    twice = np.flatnonzero(together[order[1:]] == together[order[:-1]])
    if len(twice):
        ends = np.cumsum([len(part) for part in keys])
        one, other = (
            places[int(np.searchsorted(ends, order[twice[0] + step], side="right"))]
            for step in (0, 1)
        )
        problems.append(f"{one} and {other} hold {len(twice)} equal rows; remove one of them")
    return problems


def row_tables(shards: Shards) -> Iterator[Any]:
    """Yield the rows in the order of the list, a bounded number at a time, as Arrow tables.

    All tables have one schema: the columns of all parts; of those that hold several types, text.
    """
    parquet = import_parquet()
    spans = {}
    empty = []
    for path in shards.parts:
        places = read_part(path, [POSITION])[POSITION].to_numpy()
        spans[path] = places.min(), places.max()
        empty.append(parquet.read_schema(path).empty_table())
    if not empty:
        return
    schema = concat(empty).schema
    about = json.loads((empty[0].schema.metadata or {}).get(METADATA, b"{}"))
    about.pop("shard", None)
    metadata = {METADATA: json.dumps(about).encode()}
    last = max(high for _, high in spans.values())
    for low in range(0, int(last) + 1, WINDOW_ROWS):
        high = low + WINDOW_ROWS
        inside = [(POSITION, ">=", low), (POSITION, "<", high)]
        tables = [
            parquet.read_table(path, filters=inside, partitioning=None)
            for path, (begin, end) in spans.items()
            if begin < high and end >= low
        ]
        if tables:
            table = concat([schema.empty_table(), *tables]).sort_by([(POSITION, "ascending")])
            yield table.drop_columns(list(INTERNAL)).replace_schema_metadata(metadata)


def write_parquet(path: Path, shards: Shards) -> int:
    """Write all rows to one Parquet file; return how many there are."""
    parquet = import_parquet()
    count, writer = 0, None
    with atomic_file(path) as file:
        for table in row_tables(shards):
            if writer is None:
                writer = parquet.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
            count += len(table)
        if writer is not None:
            writer.close()
    return count
