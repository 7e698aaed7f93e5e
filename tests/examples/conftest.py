"""Runs the examples as their first lines say, in a folder of the test's own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.synthesis import compose, render

EXAMPLES = Path(__file__).parents[2] / "examples"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Runs Python with these arguments; what it prints."""

    def start(*words: object, **environment: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, **ENVIRONMENT, **{k: str(v) for k, v in environment.items()}},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return start


@pytest.fixture
def write_song() -> Callable[[Path, int], None]:
    """Composes a song of 10 s."""

    def write(path: Path, seed: int) -> None:
        write_audio(path, render(compose(seed, 10.0)), 24_000)

    return write
