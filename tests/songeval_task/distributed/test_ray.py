"""``--ray`` gives the rows of the plain command, each once, whatever is killed in the middle."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scoring.ray import SCORE, kill_encoder, score_and_kill, three_nodes
from songeval_task import read_scores

CLIPS = 60
TOLERANCE = 1e-6

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


@pytest.fixture(scope="module")
def songs(write_clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for seed in range(CLIPS):
        write_clip(folder / f"{seed:03}.wav", 1.0, seed)
    return folder


@pytest.fixture(scope="module")
def plain(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("plain") / "scores.csv"
    subprocess.run([*SCORE, songs, "--out", out], check=True)
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
