"""``hear-aesthetics embed`` of a corpus: Parquet shards with the embeddings of the .npz files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hear_aesthetics.cli import main


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["embed", *map(str, words), "--model", "mini"])
    return int(exit_.value.code or 0)


@pytest.fixture
def songs(tmp_path, write_tone, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        write_tone(tmp_path / "songs" / f"{number}.wav", frequency=200.0 + 90 * number)
    return Path("songs")


@pytest.mark.parametrize("kind", ["scene", "timestamps"])
def test_shards_hold_the_embeddings_of_the_files(songs, kind) -> None:
    assert run(songs, "--out", "npz", "--kind", kind) == 0
    for shard in ("1/2", "2/2"):
        out = ("--out", "out", "--format", "parquet", "--shard", shard)
        assert run(songs, "--kind", kind, *out) == 0
    with pytest.raises(SystemExit) as exit_:
        main(["merge", "out", "--out", "all.parquet"])
    assert not exit_.value.code
    table = pq.read_table("all.parquet")
    assert table["key"].to_pylist() == [f"{number}.wav" for number in range(5)]
    vector = table.schema.field("embedding").type
    assert pa.types.is_fixed_size_list(vector if kind == "scene" else vector.value_type)
    for row in table.to_pylist():
        with np.load(f"npz/{row['key']}.npz") as file:
            np.testing.assert_allclose(row["embedding"], file["embedding"], atol=2e-4)
            if kind == "timestamps":
                np.testing.assert_array_equal(row["timestamps_ms"], file["timestamps_ms"])


def test_what_is_there_is_kept_and_what_failed_is_a_row(songs, capsys) -> None:
    (songs / "bad.wav").write_bytes(b"no audio")
    audio = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(songs.iterdir())]
    pq.write_table(pa.table({"audio": audio, "year": list(range(6))}), "songs.parquet")
    words = ("songs.parquet", "--out", "out", "--format", "parquet")
    assert run(*words) == 3
    capsys.readouterr()
    assert run(*words) == 3
    assert "5 of them were there already" in capsys.readouterr().err
    errors = pq.read_table("out/shard-00001-of-00001-errors-000000.parquet").to_pylist()
    assert [(row["key"], row["status"], row["year"]) for row in errors] == [("bad.wav", "error", 5)]


def test_no_key_leads_out_of_the_folder(songs) -> None:
    rows = {"key": ["../../up", "/abs"], "path": ["songs/0.wav", "songs/1.wav"]}
    pq.write_table(pa.table(rows), "t.parquet")
    assert run("t.parquet", "--out", "deep/npz") == 0
    assert sorted(path.name for path in Path("deep/npz").iterdir()) == ["abs.npz", "up.npz"]


def test_shards_of_npz_files_make_the_whole(songs) -> None:
    for shard in ("1/3", "2/3", "3/3"):
        assert run(songs, "--out", "npz", "--shard", shard) == 0
    assert len(list(Path("npz").glob("*.npz"))) == 5
    listed = ("--kind", "features", "--format", "npy", "--shard", "1/3")
    assert run(songs, "--out", "npy", *listed) == 2
