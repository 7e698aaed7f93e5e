"""A small set in MusicEval's layout: tones and noises as clips, and a tiny random RoBERTa."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from musiceval_task.data.dataset import PREFIX
from musiceval_task.features.tiny_text import write_tiny_roberta

PROMPTS = {"P001": "a slow waltz with harp", "P002": "fast rock with drums", "P003": "solo flute"}
SYSTEMS = ("S001", "S002", "S003")  # S001 is known by its demos alone
SPLITS = {"P001": "train", "P002": "train", "P003": "test"}


def clip_name(system: str, prompt: str) -> str:
    return f"{PREFIX}{system}_{prompt}.wav"


def write_clip(path: Path, seed: int, seconds: float = 0.5) -> None:
    rng = np.random.default_rng(seed)
    samples = 0.1 * rng.standard_normal(round(seconds * 24_000))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype(np.float32), 24_000)


def write_set(root: Path) -> Path:
    """Nine clips of unequal length; the scores follow the system."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    demos = []
    for index, system in enumerate(SYSTEMS):
        for number, (prompt, text) in enumerate(PROMPTS.items()):
            name = clip_name(system, prompt)
            write_clip(root / "wav" / name, seed=10 * index + number, seconds=0.4 + 0.1 * number)
            lists[SPLITS[prompt]].append(f"{name},{2 + index},{4.5 - index}")
            if system == "S001":
                demos.append(f"{name.removesuffix('.wav')}\tdemo of {text}")
    (root / "sets").mkdir()
    for split, lines in lists.items():
        (root / "sets" / f"{split}_mos_list.txt").write_text("\n".join(lines) + "\n")
    prompts = "".join(f"{key}\t{text}\n" for key, text in PROMPTS.items())
    (root / "prompt_info.txt").write_text("id\ttext\n" + prompts)
    (root / "demo_prompt_info.txt").write_text("id\ttext\n" + "\n".join(demos) + "\n")
    return root


@pytest.fixture
def musiceval(tmp_path: Path) -> Path:
    """A set of the test's own, to be spoilt."""
    return write_set(tmp_path / "set")


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same set, shared by tests that only read it."""
    return write_set(tmp_path_factory.mktemp("musiceval") / "set")


@pytest.fixture(scope="session")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa with random weights that knows the words of the prompts."""
    folder = tmp_path_factory.mktemp("roberta") / "tiny"
    return write_tiny_roberta(folder, ["demo of", *PROMPTS.values()], dim=16, layers=1)


def with_dev(root: Path) -> Path:
    """Move the clips of one training prompt to a dev list."""
    train = root / "sets" / "train_mos_list.txt"
    lines = train.read_text().splitlines(keepends=True)
    dev = [line for line in lines if "P002" in line]
    train.write_text("".join(line for line in lines if line not in dev))
    (root / "sets" / "dev_mos_list.txt").write_text("".join(dev))
    return root


@pytest.fixture(scope="session")
def set_with_dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with a dev list of three clips, shared by tests that only read it."""
    return with_dev(write_set(tmp_path_factory.mktemp("musiceval") / "set"))
