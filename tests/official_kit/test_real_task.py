"""A real HEAR task, from its archive to official scores."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.official_kit, pytest.mark.slow]

TASK = "speech_commands_pooled-1.0.0-small"
CHANCE = 1 / 12


@pytest.fixture
def speech_commands(shared: Path, tmp_path: Path) -> Path:
    """A tasks directory with real spoken commands at 48 kHz (233 clips of 1 s, 12 classes)."""
    tasks = tmp_path / "tasks"
    with tarfile.open(shared / f"hear/tasks/{TASK}-16000.tar.gz") as archive:
        archive.extractall(tasks, filter="data")
    make_rate = shared / "hear/tasks/make_rate.py"
    subprocess.run([sys.executable, make_rate, tasks / TASK, "48000"], check=True)
    return tasks


def test_bundled_model_hears_more_than_chance_in_real_speech(kit, speech_commands: Path) -> None:
    task = kit.embed("hear_aesthetics", speech_commands) / TASK
    scores = kit.predict(task, grid_points=4)
    assert scores["test"]["test_top1_acc"] > CHANCE
