"""Scores of a corpus: equal rows from every container, Parquet shards, merge, and going on.

Shards batch other clips together than a run over all, so that scores are compared to a tolerance.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from songeval_task import read_scores

MINI = ("--model", "mini")
NAMES = ("a.wav", "deep/b.flac", "deep/c.wav", "d.wav", "e.wav")
SBATCH = Path(__file__).parents[3] / "deploy/slurm/score.sbatch"


@pytest.fixture
def songs(tmp_path, write_clip, monkeypatch) -> Path:
    """Five songs in a folder, and another file that is none, in the working directory."""
    for seed, name in enumerate(NAMES):
        write_clip(tmp_path / "songs" / name, seconds=5, seed=seed)  # shorter ones round otherwise
    (tmp_path / "songs/z.wav").write_bytes(b"no audio at all")
    monkeypatch.chdir(tmp_path)
    return Path("songs")


def pack(songs: Path) -> tuple[Path, Path]:
    """The songs, and the other file, in a Parquet and a tar file."""
    paths = sorted(path for path in songs.rglob("*") if path.is_file())
    names = [path.relative_to(songs).as_posix() for path in paths]
    audio = [
        {"bytes": path.read_bytes(), "path": name} for path, name in zip(paths, names, strict=True)
    ]
    tags = {"prompt": [f"like {name}" for name in names], "year": list(range(len(names)))}
    pq.write_table(pa.table({"audio": audio, **tags}), "songs.parquet", row_group_size=4)
    with tarfile.open("songs.tar", "w") as tar:
        for path, name, prompt, year in zip(paths, names, *tags.values(), strict=True):
            tar.add(path, name)
            text = json.dumps({"prompt": prompt, "year": year}).encode()
            member = tarfile.TarInfo(f"{name.rpartition('.')[0]}.json")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return Path("songs.parquet"), Path("songs.tar")


def assert_equal_rows(made: pd.DataFrame, expected: pd.DataFrame, without: tuple = ()) -> None:
    columns = [name for name in expected.columns if name not in without]
    made, expected = made[columns], expected[columns]
    pd.testing.assert_frame_equal(made, expected, check_exact=False, atol=2e-5, rtol=0)


def test_containers_give_the_rows_of_the_folder(command, songs) -> None:
    parquet, tar = pack(songs)
    assert command("score", songs, *MINI, "--out", "folder.csv").code == 3
    folder = read_scores("folder.csv")
    for source in (parquet, tar):
        assert command("score", source, *MINI, "--out", "box.csv", "--overwrite").code == 3
        rows = read_scores("box.csv")
        assert_equal_rows(rows, folder, without=("path", "error"))
        keys = [Path(path).relative_to(songs).as_posix() for path in folder["path"]]
        assert list(rows["key"]) == keys
        assert list(rows["prompt"]) == [f"like {key}" for key in keys]
        assert list(rows["year"]) == list(range(6))
        assert str(rows["error"].iloc[-1]).startswith(f"{source}/z.wav: ")


def test_every_output_is_read_as_one_frame(command, songs) -> None:
    parquet, _ = pack(songs)
    for out in ("o.csv", "o.jsonl", "o.json", "o"):
        command("score", parquet, *MINI, "--out", out, "--timeline")
    command("merge", "o", "--out", "o.parquet")
    expected = read_scores("o.csv")
    assert str(expected["mean"].dtype) == "float64"
    assert expected["warnings"].notna().sum() == 5
    for out in ("o.jsonl", "o.json", "o", "o.parquet"):
        assert_equal_rows(read_scores(out), expected)
        assert read_scores(out)["timeline"].iloc[0][0]["start"] == 0.0


def test_shards_merge_to_the_unsharded_file(command, songs) -> None:
    pack(songs)
    assert command("score", "songs.parquet", *MINI, "--out", "all.csv").code == 3
    for shard in ("3/3", "1/3", "2/3"):
        command("score", "songs.parquet", *MINI, "--out", "out", "--shard", shard)
    outcome = command("merge", "out", "--out", "merged.csv")
    assert (outcome.code, outcome.errors) == (0, [])
    assert outcome.notes == ["6 rows in 3 shards, 1 of them failed"]
    assert_equal_rows(read_scores("merged.csv"), read_scores("all.csv"))
    lines = [Path(name).read_text().splitlines()[0] for name in ("merged.csv", "all.csv")]
    assert lines[0] == lines[1]


def test_shards_of_a_folder_merge_to_its_file(command, songs) -> None:
    for suffix in ("csv", "json"):
        command("score", songs, *MINI, "--out", f"all.{suffix}")
        for shard in ("1/2", "2/2"):
            command("score", songs, *MINI, "--out", "out", "--shard", shard)
        command("merge", "out", "--out", f"merged.{suffix}")
        merged, whole = (read_scores(f"{name}.{suffix}") for name in ("merged", "all"))
        assert list(merged.columns) == list(whole.columns)
        assert_equal_rows(merged, whole)


def test_a_missing_doubled_or_other_shard_is_named(command, songs) -> None:
    for shard in ("1/3", "3/3"):
        command("score", songs, *MINI, "--out", "out", "--shard", shard)
    outcome = command("merge", "out", "--out", "merged.csv")
    assert outcome.code == 1
    assert outcome.errors == ["error: shard 2/3 is missing; run it with --shard 2/3"]
    assert not Path("merged.csv").exists()

    command("score", songs, *MINI, "--out", "more", "--shard", "2/3")
    assert command("merge", "out", "more").code == 0
    shutil.copytree("more", "again")
    doubled = command("merge", "out", "more", "again").errors
    assert doubled == ["error: shard 2/3 is in more and in again; keep one"]

    command("score", songs, *MINI, "--out", "again", "--shard", "2/3", "--overwrite", "--timeline")
    (other,) = command("merge", "out", "again").errors
    assert "made otherwise than shard 1/3 in out (timeline was False, now True)" in other

    (part,) = Path("more").glob("shard-00002-of-00003-0*.parquet")
    shutil.copy(part, part.with_name("shard-00002-of-00003-000009.parquet"))
    assert any("equal rows" in line for line in command("merge", "out", "more").errors)
    part.with_name("shard-00002-of-00003-000009.parquet").unlink()
    part.unlink()
    (lacking,) = command("merge", "out", "more").errors
    assert "shard 2/3 in more holds" in lacking


def test_a_list_that_grew_is_told_until_every_shard_has_seen_it(command, songs, write_clip) -> None:
    for shard in ("1/2", "2/2"):
        command("score", songs, *MINI, "--out", "out", "--shard", shard)
    before = {path.name for path in Path("out").glob("*-0*.parquet")}
    write_clip(songs / "new.wav", seed=77)
    command("score", songs, *MINI, "--out", "out", "--shard", "1/2")
    (line,) = command("merge", "out").errors
    assert "of another list" in line
    command("score", songs, *MINI, "--out", "out", "--shard", "2/2")
    assert command("merge", "out").code == 0
    assert before <= {path.name for path in Path("out").glob("*-0*.parquet")}
    assert len(read_scores("out")) == 7


def test_a_run_goes_on_with_what_is_new_changed_or_failed(
    command, songs, write_clip, monkeypatch
) -> None:
    from hear_aesthetics.audio import measured

    loaded = []
    original = measured.load_waveforms

    def counted(path, *args, **options):
        loaded.append(Path(path).name)
        return original(path, *args, **options)

    monkeypatch.setattr(measured, "load_waveforms", counted)
    command("score", songs, *MINI, "--out", "out")
    assert sorted(loaded) == ["a.wav", "b.flac", "c.wav", "d.wav", "e.wav", "z.wav"]
    loaded.clear()
    write_clip(songs / "a.wav", seed=9, seconds=0.7)
    write_clip(songs / "z.wav", seed=8)
    outcome = command("score", songs, *MINI, "--out", "out")
    assert (outcome.code, sorted(loaded)) == (0, ["a.wav", "z.wav"])
    assert "4 of 6 rows are there already" in outcome.notes
    frame = read_scores("out")
    assert list(frame["status"]) == ["ok"] * 6
    assert frame["duration"].iloc[0] == pytest.approx(0.7, abs=1e-3)
    fresh = command("score", songs, *MINI, "--out", "fresh")
    assert fresh.code == 0
    assert_equal_rows(frame, read_scores("fresh"))


def test_rows_of_songs_that_are_not_given_are_never_dropped(command, songs) -> None:
    command("score", songs, *MINI, "--out", "out")
    outcome = command("score", songs / "a.wav", *MINI, "--out", "out")
    assert outcome.code == 2
    assert "rows of inputs that are not given now" in outcome.errors[0]
    assert len(read_scores("out")) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shard", "1/3"), "--shard needs --out DIR"),
        (("--shard", "4/3", "--out", "out"), "--shard 4/3: write the number of the shard"),
        (("--top", "3", "--out", "out"), "--top needs all rows at once"),
        (("--shard", "1/3", "--out", "o.csv"), "--shard needs --out DIR"),
    ],
)
def test_wrong_usage_is_said_in_one_line(command, songs, options, message) -> None:
    outcome = command("score", songs / "a.wav", *MINI, *options)
    assert (outcome.code, len(outcome.errors)) == (2, 1)
    assert message in outcome.errors[0]


def test_another_number_of_shards_and_other_settings_are_refused(command, songs) -> None:
    command("score", songs, *MINI, "--out", "out", "--shard", "1/2")
    refused = command("score", songs, *MINI, "--out", "out", "--shard", "1/3")
    assert "out: holds shard 1/2, not shards of 3" in refused.errors[0]
    other = command("score", songs, *MINI, "--out", "out", "--shard", "2/2", "--loudness", "-14")
    assert "loudness was None, now -14.0" in other.errors[0]


def test_a_shard_has_units_and_its_fingerprint(command, songs) -> None:
    command("score", songs, *MINI, "--out", "out")
    schema = pq.read_schema("out/shard-00001-of-00001-000000.parquet")
    units = {field.name: (field.metadata or {}).get(b"unit") for field in schema}
    assert (units["duration"], units["loudness_lufs"]) == (b"s", b"LUFS")
    about = json.loads(schema.metadata[b"hear_aesthetics"])
    assert about["fingerprint"]["model"]
    assert about["shard"] == "1/1"


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_rows(command, songs, write_clip) -> None:
    for seed in range(20, 40):
        write_clip(songs / f"more/{seed}.wav", seed=seed, seconds=2.0)
    words = [sys.executable, "-m", "hear_aesthetics", "score", songs, *MINI, "--out", "out"]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        running.wait(timeout=12)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
    running.stderr.close()
    assert command("score", songs, *MINI, "--out", "out").code == 3
    assert command("merge", "out").code == 0
    assert len(read_scores("out")) == 26


@pytest.mark.slow
def test_the_slurm_script_scores_every_shard(command, songs) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for task in ("1", "2"):
        environment |= {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"}
        done = subprocess.run(
            ["bash", SBATCH, str(songs), "out", *MINI],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 3), done.stderr
    assert command("merge", "out").code == 0
    assert len(read_scores("out")) == 6
    assert np.isfinite(read_scores("out")["mean"].iloc[:5]).all()
