"""Small task folders, embedding folders and HEAR modules, made on the spot."""

import csv
import importlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE, write_rows

METADATA = {
    "task_name": "tones",
    "version": "1.0.0",
    "embedding_type": "scene",
    "prediction_type": "multiclass",
    "split_mode": "trainvaltest",
    "splits": ["train", "valid", "test"],
    "sample_duration": 0.2,
    "evaluation": ["top1_acc"],
}
# A probe that trains in milliseconds.
PROBE = {"lr": [0.01], "max_epochs": [60], "check_val_every_n_epoch": [3], "hidden_dim": [16]}
PROBE |= {"patience": [20]}
RATE = 16_000  # Hz, of the module below
SECONDS = 0.2
MODULE = """
import torch

class Levels(torch.nn.Module):
    sample_rate, scene_embedding_size, timestamp_embedding_size = 16000, 3, 3

def load_model(model_file_path="", scale=1.0):
    model = Levels()
    model.scale = scale
    return model

def get_timestamp_embeddings(audio, model):
    windows = torch.nn.functional.pad(audio, (320, 320)).unfold(1, 640, 640) * model.scale
    parts = [windows.abs().mean(-1), windows.std(-1), windows.diff().abs().mean(-1)]
    times = 40.0 * torch.arange(windows.shape[1]).expand(len(audio), -1)
    return torch.stack(parts, -1), times

def get_scene_embeddings(audio, model):
    return get_timestamp_embeddings(audio, model)[0].mean(1)
"""


def write_task(folder, labels, split_labels, **metadata):
    """Write metadata, vocabulary and split files; ``None`` removes a key."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {k: v for k, v in (METADATA | metadata).items() if v is not None}
    (folder / "task_metadata.json").write_text(json.dumps(content))
    with (folder / "labelvocabulary.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("idx", "label"), *enumerate(labels)])
    for split, content in split_labels.items():
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def make_task(tmp_path):
    """A function that writes a valid task folder, with the given keys changed."""

    def make(labels=("high", "low"), split_labels=None, **metadata):
        if split_labels is None:
            splits = metadata.get("splits") or METADATA["splits"]
            split_labels = {s: {f"{s}_{i}.wav": [labels[i % 2]] for i in range(4)} for s in splits}
        return write_task(tmp_path / "tones-1.0.0-small", labels, split_labels, **metadata)

    return make


@pytest.fixture
def make_audio_task(make_task):
    """A function that writes a task with audio: quiet tones, high or low, of ``SECONDS``."""

    def make(*, rate=RATE, longer=(), **metadata):
        folder = make_task(**metadata)
        generator = np.random.default_rng(0)
        for split in json.loads((folder / "task_metadata.json").read_text())["splits"]:
            labels = json.loads((folder / f"{split}.json").read_text())
            (folder / str(rate) / split).mkdir(parents=True)
            for i, name in enumerate(labels):
                seconds = SECONDS * (2 if name in longer else 1)
                times = np.arange(round(rate * seconds)) / rate
                tone = np.sin(2 * np.pi * (2000 if i % 2 == 0 else 200) * times)
                (folder / str(rate) / split / name).parent.mkdir(exist_ok=True)
                clip = 0.3 * tone + generator.normal(0, 0.01, len(times))
                soundfile.write(folder / str(rate) / split / name, clip, rate, subtype="PCM_16")
        return folder

    return make


@pytest.fixture
def event_labels():
    """Two events per file, for a task of high and low tones."""
    events = [{"label": "high", "start": 40.0, "end": 80.0}]
    events += [{"label": "low", "start": 60.0, "end": 160.0}]
    return {split: {f"{split}_{i}.wav": events for i in range(2)} for split in METADATA["splits"]}


@pytest.fixture
def make_module(tmp_path, monkeypatch):
    """A function that writes a HEAR module, changed by further source, and returns its name."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    numbers = itertools.count()

    def make(changes=""):
        name = f"levels_{tmp_path.name}_{next(numbers)}".replace("-", "_")
        (folder / f"{name}.py").write_text(f"{MODULE}\n{changes}\n")
        importlib.invalidate_caches()
        return name

    return make


@pytest.fixture
def make_embeddings(tmp_path, make_task):
    """A function that writes the embedding folder of a task that a probe can learn."""

    def make(model="levels", rows=24, noise=0.3, **metadata):
        metadata = {"evaluation_params": {"task_specific_param_grid": PROBE}} | metadata
        splits = metadata.get("splits") or METADATA["splits"]
        generator = np.random.default_rng(0)
        regression = metadata.get("prediction_type") == "regression"
        directions = generator.normal(size=(2, 6))
        labels, embeddings = {}, {}
        for split in splits:
            targets, classes = generator.normal(size=(rows, 2)), np.arange(rows) % 2
            centres = targets if regression else np.eye(2)[classes]
            answers = targets.tolist() if regression else [[("high", "low")[i]] for i in classes]
            labels[split] = {f"{split}_{i}.wav": answer for i, answer in enumerate(answers)}
            wide = centres @ directions
            embeddings[split] = (wide + noise * generator.normal(size=wide.shape)).astype("f4")
        source = make_task(split_labels=labels, **metadata)
        folder = tmp_path / "embeddings" / model / source.name
        shutil.copytree(source, folder)
        for split in splits:
            write_rows(folder, split, [embeddings[split]], list(labels[split].values()))
        (folder / DONE_FILE).touch()
        return folder

    return make


@pytest.fixture
def song_scores():
    """Metadata of a regression task with two targets."""
    return {
        "prediction_type": "regression",
        "evaluation": ["lcc", "srcc", "ktau", "mse", "tta"],
        "evaluation_params": {
            "top_tier_thresholds": [0.5, 0.0],
            "task_specific_param_grid": PROBE | {"max_epochs": [60]},
        },
    }


def files_below(folder: Path) -> dict[str, int]:
    """Every file and when it was written."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in found}


@pytest.fixture(name="files_below")
def files_below_fixture():
    """A function: every file below a folder and when it was written."""
    return files_below
