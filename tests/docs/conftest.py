"""The folder in which a page is walked: songs, takes, lists and tables that its commands read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from songeval_task.data.prepared import LABELS

RATED = 56  # songs, of which 50 are needed
OFFICIAL = "Model,URL,Submission Date,ESC-50\nother,https://example.org,2021-12-01,0.9\n"


def write_noise(path: Path, seed: int, seconds: float = 2.0) -> None:
    """Write a clip of noise, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(24_000 * seconds))
    soundfile.write(path, noise, 24_000)


def write_inputs(folder: Path) -> None:
    """Write what pages take for granted."""
    groups = ("songs", "takes_a", "takes_b", "takes/one", "takes/two", "concerts", "recordings")
    songs = []
    for group in (*groups, "catalogue"):
        for take in range(3):
            name = f"take{take}" if group == "songs" else str(take)
            songs.append(f"{group}/{name}.wav")
            write_noise(folder / songs[-1], len(songs))
    write_noise(folder / "clip.wav", 0)
    (folder / "list.txt").write_text("songs/take0.wav\nsongs/take1.wav\n")
    pq.write_table(pa.table({"path": songs}), folder / "songs.parquet")
    rows = [{"path": path, "prompt": Path(path).parent.name} for path in songs[:9]]
    (folder / "takes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "leaderboard.csv").write_text(OFFICIAL)
    (folder / "weights").mkdir()
    generator = np.random.default_rng(0)
    table = [",".join(["path", *LABELS])]
    for song in range(RATED):
        write_noise(folder / f"rated/{song}.wav", 1000 + song, 0.3)
        ratings = generator.uniform(1, 5, len(LABELS)).round(2)
        table.append(",".join([f"rated/{song}.wav", *map(str, ratings)]))
    (folder / "ratings.csv").write_text("\n".join(table) + "\n")


@pytest.fixture(scope="session")
def furnish() -> Callable[[Path], None]:
    """Writes what pages take for granted into a folder."""
    return write_inputs


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of what is in such a folder from the start."""
    folder = tmp_path_factory.mktemp("furnished")
    write_inputs(folder)
    return {path.name for path in folder.iterdir()}
