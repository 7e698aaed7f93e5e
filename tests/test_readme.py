"""The README's commands, run in its order, in one folder."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from musiceval_task.features.tiny_text import write_tiny_roberta

README = Path(__file__).parents[1] / "README.md"
RUN = r"^(hear-aesthetics (?:embed|score|compare|doctor|models list)\b.*)$"
PUBLISHED = (  # weights that would be downloaded
    *("large", "track1", "track2", "songeval", "audiobox", "muq-eval"),
)


def commands() -> list[str]:
    """Lines of the README's blocks, and what its text names in backticks, that need no training."""
    text = README.read_text(encoding="utf-8")
    return re.findall(RUN, re.sub(r"`(hear-aesthetics doctor)`", r"\n\1\n", text), re.MULTILINE)


def offline(command: str) -> list[str]:
    """The command with `mini` and its demo head in place of published weights."""
    words = shlex.split(command, comments=True)[1:]
    for place in range(len(words) - 2, 0, -1):
        if words[place] in ("--model", "--head") and words[place + 1] in PUBLISHED:
            del words[place : place + 2]
    if words[0] in ("score", "compare") and "--model" not in words:
        words += ["--model", "mini"]
    return words


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hear_aesthetics", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, tiny_model_directory: Path) -> Path:
    """What the commands read: songs and lists of them, two folders of takes, a model, a run."""
    folders = [tmp_path / name for name in ("songs", "takes_a", "takes_b")]
    songs = [folder / f"{take}.wav" for folder in folders for take in range(3)]
    for seed, path in enumerate([*songs, tmp_path / "clip.wav"]):
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(seed).uniform(-0.5, 0.5, 48_000)
        soundfile.write(path, noise, 24_000)
    (tmp_path / "list.txt").write_text("songs/0.wav\nsongs/1.wav\n")
    paths = [str(path.relative_to(tmp_path)) for path in songs]
    pq.write_table(pa.table({"path": paths}), tmp_path / "songs.parquet")
    (tmp_path / "pair").symlink_to(tiny_model_directory)
    rows = [f"{path},solo flute,{1 + n % 4},{1 + n % 3},S{n % 3}" for n, path in enumerate(songs)]
    table = "path,prompt,overall,textual,system\n" + "\n".join(rows) + "\n"
    (tmp_path / "clips.csv").write_text(table)
    write_tiny_roberta(tmp_path / "text", ["solo flute"], dim=16, layers=1)
    words = (
        "musiceval train clips.csv --model mini --text text --member coral --epochs 1 --out runs"
    )
    trained = run(shlex.split(words), tmp_path)
    assert trained.returncode == 0, trained.stderr
    return tmp_path


@pytest.mark.slow
def test_its_commands_run_as_printed_in_one_folder(folder: Path) -> None:
    found = commands()
    assert {name.split()[1] for name in found} == {"embed", "score", "compare", "doctor", "models"}
    failed = {}
    for command in found:
        done = run(offline(command), folder)
        if done.returncode:
            failed[command] = done.stderr
    assert failed == {}


def test_published_weights_and_heads_are_left_out() -> None:
    command = "hear-aesthetics score a --head track2 --head songeval --model large --top 2  # best"
    assert offline(command) == ["score", "a", "--top", "2", "--model", "mini"]
    assert offline("hear-aesthetics embed a --model pair") == ["embed", "a", "--model", "pair"]
