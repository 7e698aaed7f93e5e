"""``--ray`` gives the rows of the plain command, each once, whatever is killed in the middle."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.scoring.ray import (
    SCORE,
    SHORT_SECONDS,
    kill_encoder,
    score_and_kill,
    score_on_one_thread,
    three_nodes,
)
from songeval_task import read_scores
from songeval_task.features.store import FeatureStore

CLIPS = 60
TOLERANCE = 1e-6

# A cluster of three nodes takes minutes on two cores: `make cluster`.
pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.skipif(
        os.environ.get("RAY") != "required", reason="starts a cluster: make cluster"
    ),
]


@pytest.fixture(scope="module")
def songs(write_clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for seed in range(CLIPS):
        write_clip(folder / f"{seed:03}.wav", SHORT_SECONDS, seed)
    return folder


@pytest.fixture(scope="module")
def plain(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("plain") / "scores.csv"
    score_on_one_thread(songs, out)
    return read_scores(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, Any]]:
    pytest.importorskip("ray")
    with three_nodes() as found:
        yield found


def _same(made: Any, plain: Any) -> None:
    assert made["path"].tolist() == plain["path"].tolist()
    scores = list(plain.columns[4 : list(plain.columns).index("loudness_lufs")])
    difference = (made[scores] - plain[scores]).abs().max().max()
    assert difference <= TOLERANCE * 1.001  # one digit of what is rounded to it


def _kill_command(process: "subprocess.Popen[bytes]") -> None:
    process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("kill", [lambda _: kill_encoder(), _kill_command], ids=["actor", "driver"])
def test_rows_are_those_of_the_plain_command(
    kill: Callable[[Any], object], songs: Path, plain: Any, cluster: Any, tmp_path: Path
) -> None:
    score_and_kill(songs, tmp_path / "scores.csv", cluster[0], kill, CLIPS // 3)
    _same(read_scores(tmp_path / "scores.csv"), plain)


@pytest.mark.slow
def test_shards_are_written_and_done_rows_are_skipped(
    songs: Path, plain: Any, cluster: Any, tmp_path: Path
) -> None:
    command = [*SCORE, songs, "--ray", cluster[0], "--out", tmp_path / "scores"]
    subprocess.run(command, check=True)
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{CLIPS} of {CLIPS} rows are there already" in again.stderr
    made = read_scores(tmp_path / "scores").drop(columns="key").sort_values("path")
    _same(made, plain)


def _run(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "hear_aesthetics", *map(str, words)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as a node
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=one_thread
    )


@pytest.mark.slow
def test_a_corpus_with_broken_songs_is_embedded_as_without_ray(
    songs: Path, cluster: Any, tmp_path: Path
) -> None:
    audio = [path.read_bytes() for path in sorted(songs.iterdir())[:5]]
    table = pa.table({"audio": [*audio, b"no audio"], "key": list("abcdef"), "n": range(6)})
    pq.write_table(table, tmp_path / "songs.parquet")
    words = ["embed", tmp_path / "songs.parquet", "--format", "parquet"]
    plain = _run(*words, "--out", tmp_path / "plain")
    made = _run(*words, "--out", tmp_path / "made", f"--ray={cluster[0]}")
    assert made.returncode == plain.returncode == 3
    assert made.stderr == plain.stderr
    tables = [_rows(tmp_path / name) for name in ("plain", "made")]
    assert tables[0]["n"].tolist() == tables[1]["n"].tolist() == list(range(6))
    vectors = [np.stack(rows["embedding"].dropna().tolist()) for rows in tables]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=TOLERANCE)


def _rows(folder: Path) -> Any:
    parts = [pq.read_table(path).to_pandas() for path in sorted(folder.glob("*.parquet"))]
    return pd.concat(parts).sort_values("key")


@pytest.mark.slow
def test_an_audit_has_the_rows_of_one_without_ray(
    songs: Path, cluster: Any, tmp_path: Path
) -> None:
    few = sorted(songs.iterdir())[:3]
    words = ["audit", *few, "--model", "mini", "--variants", "gain,repeat"]
    plain = _run(*words, "--out", tmp_path / "plain")
    made = _run(*words, "--out", tmp_path / "made", f"--ray={cluster[0]}")
    assert plain.returncode == made.returncode == 0, made.stderr
    tables = [pd.read_csv(tmp_path / name / "audit.csv") for name in ("plain", "made")]
    pd.testing.assert_frame_equal(*tables, atol=TOLERANCE)


@pytest.mark.slow
def test_features_are_those_of_one_process(prepared: Path, cluster: Any, tmp_path: Path) -> None:
    words = ["songeval", "features", prepared, "--model", "mini", "--augmentations", "1"]
    plain = _run(*words, "--out", tmp_path / "plain")
    made = _run(*words, "--out", tmp_path / "made", f"--ray={cluster[0]}")
    assert plain.returncode == made.returncode == 0, made.stderr
    ours, theirs = (FeatureStore(tmp_path / name) for name in ("made", "plain"))
    pd.testing.assert_frame_equal(ours.index(), theirs.index())
    for path in (tmp_path / "plain").rglob("*.safetensors"):
        wanted = load_file(path)
        found = load_file(tmp_path / "made" / path.relative_to(tmp_path / "plain"))
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, atol=4e-3, rtol=0)  # a step of float16


@pytest.mark.slow
def test_a_lost_node_costs_no_row(songs: Path, plain: Any, cluster: Any, tmp_path: Path) -> None:
    def kill_node(_: Any) -> None:
        cluster[1].remove_node(next(iter(cluster[1].worker_nodes)), allow_graceful=False)

    score_and_kill(songs, tmp_path / "scores.csv", cluster[0], kill_node, CLIPS // 3)
    _same(read_scores(tmp_path / "scores.csv"), plain)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "--ray 127.0.0.1:1: nothing answers there"),
        ("ray://here:1", "--ray ray://here:1: Ray Client is not taken"),
        ("nowhere", "--ray nowhere: write local, auto or HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_wrong_usage(
    address: str, message: str, command, write_clip, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    song = write_clip(tmp_path / "song.wav")
    said = command("score", song, f"--ray={address}", "--model", "mini")
    assert said.code == 2
    assert said.errors[0].startswith(f"error: {message}")


def test_without_ray_the_extra_is_named(
    command, write_clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = command("score", write_clip(tmp_path / "song.wav"), "--ray", "--model", "mini")
    assert said.code == 2
    assert 'pip install "hear-aesthetics[ray]"' in said.errors[0]


def test_features_are_scored_without_ray(command, tmp_path: Path) -> None:
    (tmp_path / "song.npy").touch()
    said = command("score", tmp_path / "song.npy", "--ray", "--model", "mini")
    assert said.code == 2
    assert "--ray is for audio" in said.errors[0]
