"""Results in Parquet files of bounded size: the parts of a shard, and its record.

A folder holds, of shard 1 of 3, ``shard-00001-of-00003-000000.parquet`` and so on, each whole or
absent; rows that failed are in ``shard-00001-of-00003-errors-000000.parquet``, which the next run
replaces. ``shard-00001-of-00003.json`` says what made them and how many there are to be. The
fingerprint is also in the metadata of every file, under ``hear_aesthetics``; units are in the
metadata of its columns.

Every row has its ``key``, and at the end ``_position``, its place in the list as it was then, and
``_stamp``, evidence of the audio it is of.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hear_aesthetics.corpus.keys import Shard
from hear_aesthetics.corpus.parquet_rows import import_parquet
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, write_text
from hear_aesthetics.fingerprint import FINGERPRINT, PROVENANCE, read_record

__all__ = [
    *("INTERNAL", "KEY", "POSITION", "STAMP", "ShardRecord"),
    *("METADATA", "part_paths", "read_part", "read_records", "stem", "write_part"),
]

KEY, POSITION, STAMP = "key", "_position", "_stamp"
INTERNAL = (POSITION, STAMP)
METADATA = b"hear_aesthetics"
PLAN = "plan"
NAME = re.compile(r"shard-(\d{5,})-of-(\d{5,})")
REMEDY = "remove it and run the same command again, which makes its rows anew"
GROUP_ROWS, GROUP_BYTES = 1024, 16 << 20  # of a row group, at most


@dataclass(frozen=True)
class ShardRecord:
    """Record of a shard.

    Attributes:
        shard: Which one it is.
        fingerprint: What decided the numbers.
        provenance: Whatever else is known of them.
        inputs: Rows of all shards.
        listed: Digest of the keys of all shards, in whatever order.
        rows: Rows of this shard, those that failed among them.
        failed: How many of these failed.
        columns: Columns of a table of the rows.
        finished: Whether all rows are there.
    """

    shard: Shard
    fingerprint: Mapping[str, Any]
    provenance: Mapping[str, Any]
    inputs: int = 0
    listed: str = ""
    rows: int = 0
    failed: int = 0
    columns: tuple[str, ...] = ()
    finished: bool = False

    def path(self, folder: Path) -> Path:
        """Return the path of the record in a folder."""
        return folder / f"{stem(self.shard)}.json"

    def write(self, folder: Path) -> None:
        """Write the record."""
        plan = {**vars(self), "shard": str(self.shard)}
        made = {FINGERPRINT: plan.pop("fingerprint"), PROVENANCE: plan.pop("provenance")}
        text = json.dumps({**made, PLAN: plan}, indent=1, default=str)
        write_text(self.path(folder), text + "\n")


def stem(shard: Shard) -> str:
    """Return how the names of a shard's files begin."""
    return f"shard-{shard.index:05}-of-{shard.count:05}"


def read_records(folder: Path) -> Iterator[ShardRecord]:
    """Yield the records in a folder, by shard.

    Raises:
        InputError: If one is damaged.
    """
    for path in sorted(folder.glob("shard-*-of-*.json")):
        if not (name := NAME.fullmatch(path.stem)):
            continue
        record = read_record(path)
        shard = Shard(int(name[1]), int(name[2]))
        made = ShardRecord(shard, record[FINGERPRINT], record[PROVENANCE])
        try:
            plan = dict(record[PLAN])
            plan.update(shard=shard, columns=tuple(plan["columns"]))
            yield replace(made, **plan)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a record of a shard ({error}); {REMEDY}") from error


def part_paths(folder: Path, shard: Shard, *, errors: bool = False) -> list[Path]:
    """Return the Parquet files of a shard in order: those of its rows, or of its errors."""
    marked = "-errors" if errors else ""
    pattern = re.compile(rf"{stem(shard)}{marked}-\d{{6,}}\.parquet")
    return sorted(path for path in folder.glob("*.parquet") if pattern.fullmatch(path.name))


def read_part(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Return a part, or some of its columns, as an Arrow table.

    Raises:
        InputError: If it is damaged.
    """
    parquet = import_parquet()
    import pyarrow as pa

    try:
        return parquet.read_table(path, columns=columns, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a whole Parquet file ({reason}); {REMEDY}") from error


def write_part(path: Path, table: Any) -> None:
    """Write a part, whole or not at all, in row groups of bounded size."""
    parquet = import_parquet()
    rows = min(GROUP_ROWS, max(1, GROUP_BYTES * len(table) // max(table.nbytes, 1)))
    with atomic_file(path) as file:
        parquet.write_table(table, file, row_group_size=rows, compression="zstd")
