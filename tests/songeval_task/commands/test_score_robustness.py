"""``score`` under bad conditions: killed at any moment, very many clips, very long ones."""

import json
import multiprocessing
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.cli import main

pytestmark = pytest.mark.slow

CLIPS, KILLS = 200, 20
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def clips(tmp_path_factory, write_clip) -> Path:
    """200 clips of a few lengths, two of them with one name."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS - 1):
        write_clip(folder / f"{number:03}.wav", seconds=0.3 + 0.1 * (number % 5), seed=number)
    write_clip(folder / "again" / "000.wav", seed=CLIPS)
    return folder


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have imported everything and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["songeval_task.scoring.scorer", "hear_aesthetics.cli"])
    return context


def score(folder: Path, out: Path, *words: str) -> tuple[str, ...]:
    return ("score", str(folder), "--model", "mini", "--out", str(out), *words)


def rows_of(journal: Path) -> int:
    try:
        return journal.read_bytes().count(b"\n") - 1
    except FileNotFoundError:  # not begun, or renamed: at the end it is kept under another name
        return 0


def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(
    processes, clips, tmp_path
) -> None:
    with pytest.raises(SystemExit) as whole:
        main(score(clips, tmp_path / "whole.json"))
    assert whole.value.code == 0
    expected = json.loads((tmp_path / "whole.json").read_text())

    rng = random.Random(0)
    out, journal = tmp_path / "out.json", tmp_path / "out.json.partial.jsonl"
    for kill in range(KILLS):
        process = processes.Process(target=main, args=(score(clips, out),))
        process.start()
        limit = time.monotonic() + 60
        goal = rows_of(journal) + rng.randrange(2 * CLIPS // KILLS)
        while process.is_alive() and rows_of(journal) < goal and time.monotonic() < limit:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        process.kill()
        process.join()
        assert process.exitcode in {-9, 0}, f"round {kill} did not start"
        if out.exists():  # whole or absent
            assert len(json.loads(out.read_text())) == CLIPS
    final = processes.Process(target=main, args=(score(clips, out),))
    final.start()
    final.join(300)
    assert final.exitcode == 0

    rows = json.loads(out.read_text())
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    assert len({row["path"] for row in rows}) == CLIPS
    for row, other in zip(rows, expected, strict=True):
        for name in ("Coherence", "Musicality", "Memorability", "Clarity", "Naturalness", "mean"):
            assert abs(row[name] - other[name]) <= TOLERANCE
    assert not journal.exists()


MEMORY = """
import sys
from pathlib import Path
from hear_aesthetics.engine.inputs import collect_inputs
from songeval_task import AestheticScorer
from songeval_task.scoring.run import ScoreOptions, score_inputs

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

found = collect_inputs([sys.argv[1]])
marks = {int(mark) for mark in sys.argv[2:]}
rows = []
for row in score_inputs(AestheticScorer.from_pretrained(model="mini"), found, ScoreOptions()):
    rows.append(row)
    if len(rows) in marks:
        print(resident())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_memory_does_not_grow_with_the_number_of_clips(tmp_path, write_clip) -> None:
    early, late = 300, 1200
    write_clip(tmp_path / "clips" / "0.wav", seconds=0.25)
    for number in range(1, late):
        (tmp_path / "clips" / f"{number}.wav").hardlink_to(tmp_path / "clips" / "0.wav")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "clips"), str(early), str(late)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after - before < 20e6, f"{before / 1e6:.0f} MB, then {after / 1e6:.0f} MB"


def test_a_long_file_ends_in_a_row(command, tmp_path) -> None:
    seconds, rate = 10 * 60, 24_000
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(tmp_path / "long.flac", "w", rate, 1) as file:
        for _ in range(seconds // 10):
            file.write(0.001 * rng.standard_normal(10 * rate).astype(np.float32))
    outcome = command("score", tmp_path / "long.flac", "--model", "mini", "--json")
    (row,) = json.loads(outcome.out)
    assert (outcome.code, row["status"], row["duration"]) == (0, "ok", seconds)
