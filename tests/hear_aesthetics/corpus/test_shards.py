"""Parquet shards: what a run lacks, rows in bounded files, one writer at a time, rows in order."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hear_aesthetics.corpus import merging, shard_writer
from hear_aesthetics.corpus.arrow import concat, rows_table
from hear_aesthetics.corpus.keys import Shard, digests
from hear_aesthetics.corpus.merging import check_shards, find_shards, row_tables, write_parquet
from hear_aesthetics.corpus.shard_writer import ShardWriter
from hear_aesthetics.errors import InputError

SCHEMA = pa.schema([pa.field("key", pa.string()), pa.field("score", pa.float64())])


@dataclass(frozen=True)
class Song:
    path: Path
    start: float | None = None
    end: float | None = None
    prompt: str | None = None


@pytest.fixture
def songs(tmp_path) -> list[Song]:
    paths = [tmp_path / f"{number}.wav" for number in range(50)]
    for path in paths:
        path.write_bytes(b"x")
    return [Song(path) for path in paths]


def open_writer(folder: Path, shard: str = "1/1", **options) -> ShardWriter:
    return ShardWriter(folder, Shard.parse(shard), SCHEMA, {"model": "m"}, {}, **options)


def fill(folder: Path, songs: list[Song], shard: str = "1/1", most: int = 10**6, **more) -> int:
    """Write rows of a shard, at most so many; return how many were to be done."""
    with open_writer(folder, shard) as writer:
        plan = writer.plan((song.path.name for song in songs), songs)
        for place, stamp in list(zip(plan.positions.tolist(), plan.stamps, strict=True))[:most]:
            row = {"key": songs[place].path.name, "score": place / 7, **more}
            writer.add(place, stamp, row, failed=place == 13)
        if most >= len(plan.positions):
            writer.finish()
    return len(plan.positions)


def rows(folder: Path) -> list[dict]:
    return [row for table in row_tables(find_shards([folder])) for row in table.to_pylist()]


def test_every_key_is_in_one_shard_whatever_else_is_in_the_list() -> None:
    keys = [f"songs/{number}.flac" for number in range(30_000)]
    owned = [Shard(index, 7).owns(digests(keys)) for index in range(1, 8)]
    assert (np.sum(owned, axis=0) == 1).all()
    assert max(mine.sum() for mine in owned) < 1.1 * len(keys) / 7
    np.testing.assert_array_equal(Shard(2, 7).owns(digests(keys[100:200])), owned[1][100:200])


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", ""])
def test_what_is_no_shard_is_refused(text) -> None:
    with pytest.raises(InputError, match="write the number of the shard and of all, as 1/3"):
        Shard.parse(text)


def test_an_interrupted_run_goes_on_and_failed_rows_are_made_again(tmp_path, songs) -> None:
    out = tmp_path / "out"
    assert fill(out, songs, most=20) == 50
    assert fill(out, songs) == 50 - 20 + 1  # number 13 had failed
    assert check_shards(find_shards([out])) == []
    assert [row["score"] for row in rows(out)] == [place / 7 for place in range(50)]
    assert fill(out, songs) == 1


def test_a_song_that_changed_is_done_again_and_its_old_row_is_gone(tmp_path, songs) -> None:
    out = tmp_path / "out"
    fill(out, songs)
    os.utime(songs[7].path, (1, 1))
    songs[9] = Song(songs[9].path, prompt="calm")
    assert fill(out, songs) == 3
    assert Counter(row["key"] for row in rows(out)).most_common(1)[0][1] == 1


def test_files_and_row_groups_are_bounded(tmp_path, songs, monkeypatch) -> None:
    monkeypatch.setattr(shard_writer, "PART_ROWS", 8)
    monkeypatch.setattr("hear_aesthetics.corpus.shard_files.GROUP_ROWS", 3)
    fill(tmp_path / "out", songs)
    files = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(files) == 8  # seven of rows, one of the row that failed
    sizes = [pq.ParquetFile(path).metadata for path in files]
    assert max(one.num_rows for one in sizes) == 8
    assert max(one.row_group(0).num_rows for one in sizes) == 3


def test_rows_wait_a_minute_at_most(tmp_path, songs, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(shard_writer.time, "monotonic", lambda: clock[0])
    with open_writer(tmp_path / "out") as writer:
        writer.add(0, "s", {"key": "a", "score": 1.0})
        assert not list((tmp_path / "out").glob("*.parquet"))
        clock[0] = 61.0
        writer.add(1, "s", {"key": "b", "score": 1.0})
        assert len(list((tmp_path / "out").glob("*.parquet"))) == 1


def test_one_shard_has_one_writer(tmp_path) -> None:
    with (
        open_writer(tmp_path / "out", "1/2"),
        open_writer(tmp_path / "out", "2/2"),
        pytest.raises(InputError, match="another process writes shard 1/2"),
    ):
        open_writer(tmp_path / "out", "1/2")
    open_writer(tmp_path / "out", "1/2").__exit__()


def test_rows_come_in_the_order_of_the_list_however_they_are_read(
    tmp_path, songs, monkeypatch
) -> None:
    monkeypatch.setattr(merging, "WINDOW_ROWS", 7)
    for shard in ("2/3", "3/3", "1/3"):
        fill(tmp_path / "out", songs, shard)
    assert [row["key"] for row in rows(tmp_path / "out")] == [song.path.name for song in songs]
    shards = find_shards([tmp_path / "out"])
    assert write_parquet(tmp_path / "all.parquet", shards) == 50
    merged = pq.read_table(tmp_path / "all.parquet")
    assert merged["key"].to_pylist() == [song.path.name for song in songs]
    assert merged.column_names == ["key", "score"]
    assert b"shard" not in merged.schema.metadata[b"hear_aesthetics"]


def test_a_column_of_several_types_becomes_text(tmp_path, songs) -> None:
    fill(tmp_path / "out", songs, "1/2", extra=3)
    fill(tmp_path / "out", songs, "2/2", extra={"a": [1]})
    assert {row["extra"] for row in rows(tmp_path / "out")} == {"3", '{"a": [1]}'}
    mixed = rows_table([{"x": 1}, {"x": "one"}, {"x": None}], pa.schema([]))
    assert mixed["x"].to_pylist() == ["1", "one", None]
    wider = concat([pa.table({"n": [1]}), pa.table({"n": [0.5]}), pa.table({"m": [1]})])
    assert wider["n"].to_pylist() == [1.0, 0.5, None]


def test_vectors_and_matrices_are_lists_of_fixed_size() -> None:
    vector = pa.list_(pa.float32(), 3)
    schema = pa.schema([pa.field("scene", vector), pa.field("frames", pa.list_(vector))])
    scene, frames = np.arange(3, dtype=np.float32), np.ones((2, 3), np.float32)
    table = rows_table([{"scene": scene, "frames": frames}, {}], schema)
    assert table.schema == schema
    assert table["scene"].to_pylist() == [[0, 1, 2], None]
    assert table["frames"].to_pylist() == [[[1, 1, 1], [1, 1, 1]], None]


def test_a_damaged_part_names_its_remedy(tmp_path, songs) -> None:
    fill(tmp_path / "out", songs)
    part = tmp_path / "out" / "shard-00001-of-00001-000000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(InputError, match="remove it and run the same command again"):
        fill(tmp_path / "out", songs)
    part.unlink()
    assert fill(tmp_path / "out", songs) == 50


def test_rows_without_their_record_are_not_taken_for_ours(tmp_path, songs) -> None:
    fill(tmp_path / "out", songs)
    (tmp_path / "out" / "shard-00001-of-00001.json").unlink()
    with pytest.raises(InputError, match=r"holds rows without shard-00001-of-00001\.json"):
        open_writer(tmp_path / "out")
    with open_writer(tmp_path / "out", overwrite=True):
        assert not list((tmp_path / "out").glob("*-0*.parquet"))
