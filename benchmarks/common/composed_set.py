"""Composed data set of SongEval's benchmarks, made by the commands of docs/tutorials/songeval.md.

It stays in a folder of the system's temporary directory: every command resumes an earlier run, and
two benchmarks share one set.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FULL", "QUICK", "Size", "composed_set", "features", "songeval", "training_options"]

ROOT = Path(__file__).parents[2]
WORK = Path(tempfile.gettempdir()) / "songeval-evidence"


@dataclass(frozen=True)
class Size:
    """Size of a set, and of the training on it.

    Attributes:
        name: Name of its folder.
        songs: Number of songs.
        seconds: Shortest and longest song.
        test_songs: Number of test songs.
        augmentations: Augmented versions of each training song.
        epochs: Epochs of training.
        seeds: Training runs.
    """

    name: str
    songs: int
    seconds: str
    test_songs: int
    augmentations: int
    epochs: int
    seeds: int

    @property
    def folder(self) -> Path:
        """Folder of the set and of all runs on it."""
        return WORK / self.name


FULL = Size("full", 400, "30-50", 100, augmentations=1, epochs=10, seeds=3)
QUICK = Size("quick", 48, "8-12", 12, augmentations=1, epochs=3, seeds=2)


def training_options(size: Size) -> dict[str, str]:
    """Return the fields of the training configuration that differ from the published ones."""
    return {
        "head_size": "small",
        "standardize": "true",
        "learning_rate": "1e-3",
        "batch_size": "16",
        "accumulation": "1",
        "epochs": str(size.epochs),
        "patience": "0",
    }


def songeval(folder: Path, command: str, *arguments: str) -> None:
    """Run a command of ``hear-aesthetics songeval`` in a folder.

    Raises:
        RuntimeError: If it fails; with its error output.
    """
    line = [sys.executable, "-m", "hear_aesthetics", "songeval", command, *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"songeval {command} failed in {folder}:\n{done.stderr}")


def composed_set(size: Size) -> Path:
    """Make songs, splits and features if they are missing; return the folder."""
    folder = size.folder
    folder.mkdir(parents=True, exist_ok=True)
    made = ("--songs", str(size.songs), "--seconds", size.seconds)
    songeval(folder, "synthesize", "songs", *made)
    songeval(folder, "prepare", "songs", "--out", "prepared", "--test-songs", str(size.test_songs))
    features(size, "features", "mini")
    return folder


def features(size: Size, out: str, model: str) -> None:
    """Compute the features of the set with a model, into ``out`` in its folder."""
    wanted = ("--out", out, "--model", model, "--augmentations", str(size.augmentations))
    songeval(size.folder, "features", "prepared", *wanted)
