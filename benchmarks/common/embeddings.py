"""Embedding folders for the benchmark of the evaluator, real or random.

The variable ``HEAR_EMBEDDINGS`` may name a folder with the embedding folders (or ``.tar.gz`` of
them) of the tasks below; without it, random embeddings of the same shapes are made.
"""

import csv
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.evaluation.embeddings.rows import read_rows, write_rows
from hear_aesthetics.evaluation.tasks.task import load_task

__all__ = ["SOURCE", "TASKS", "Shape", "make_folder", "with_fixed_work"]

SOURCE = "HEAR_EMBEDDINGS"
FRAMES, HOP = 600, 50.0  # of a file with events; ms


@dataclass(frozen=True)
class Shape:
    """Sizes of a task: rows (or files with events) of every split, embedding size, labels."""

    splits: Mapping[str, int]
    dim: int
    labels: int
    events: bool = False


def _folds(rows: int) -> dict[str, int]:
    return {f"fold{i:02d}": rows for i in range(5)}


TASKS = {
    "spoken_digit-1.0.9-small": Shape(_folds(20), 256, 10),
    "speech_commands-v0.0.2-small": Shape({"train": 56, "valid": 132, "test": 96}, 256, 12),
    "speech_commands_pooled-1.0.0-small": Shape({"train": 144, "valid": 44, "test": 45}, 256, 12),
    "fsdd_digit-1.0.0-full": Shape(_folds(600), 256, 10),
    "digit_command_events-1.0.0-full": Shape(
        {"train": 22, "valid": 7, "test": 9}, 64, 14, events=True
    ),
}


def make_folder(name: str, parent: Path) -> Path:
    """Make a fresh embedding folder of a task, ``parent/name``."""
    folder = parent / name
    source = os.environ.get(SOURCE)
    if source is None:
        _write_random(TASKS[name], folder)
    elif (Path(source) / name).is_dir():
        shutil.copytree(Path(source) / name, folder)
    else:
        with tarfile.open(Path(source) / f"{name}.tar.gz") as archive:
            archive.extractall(parent, filter="data")
    return folder


def with_fixed_work(folder: Path, epochs: int) -> None:
    """Change a folder so that every evaluator trains each grid point once, for all the epochs.

    Folds become one training (the first two are validation and test), no fit is stopped early, and
    events are judged by their error rate, which, unlike F, is defined even if none is found.
    """
    task = load_task(folder)
    if task.split_mode != "trainvaltest":
        run = task.runs[0]
        for split, sources in {
            "train": run.train,
            "valid": (run.valid,),
            "test": (run.test,),
        }.items():
            _join(folder, split, sources)
    path = folder / "task_metadata.json"
    metadata = json.loads(path.read_text())
    metadata |= {"split_mode": "trainvaltest", "splits": ["train", "valid", "test"]}
    metadata["evaluation"] = metadata["evaluation"][::-1]
    fixed = {"max_epochs": [epochs], "patience": [epochs]}
    metadata["evaluation_params"] = {"task_specific_param_grid": fixed}
    path.write_text(json.dumps(metadata))


def _join(folder: Path, split: str, sources: Sequence[str]) -> None:
    task = load_task(folder)
    labels = {name: label for s in sources for name, label in task.split_labels(s).items()}
    (folder / f"{split}.json").write_text(json.dumps(labels))
    rows = read_rows(task, sources)
    listed = [[task.labels[i]] for i in rows.targets.argmax(1)]
    write_rows(folder, split, [rows.embeddings], listed)


def _write_random(shape: Shape, folder: Path) -> None:
    """Write random embeddings: a point for each label, and noise around it."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    centres = generator.normal(size=(shape.labels, shape.dim))
    for split, count in shape.splits.items():
        write = _write_events if shape.events else _write_clips
        write(folder, split, count, centres, generator)
    (folder / "task_metadata.json").write_text(json.dumps(_metadata(shape)))
    with (folder / "labelvocabulary.csv").open("w", newline="") as file:
        labels = [(i, f"label{i:02d}") for i in range(shape.labels)]
        csv.writer(file).writerows([("idx", "label"), *labels])
    (folder / ".done.embeddings").touch()


def _metadata(shape: Shape) -> dict[str, Any]:
    scores = ["event_onset_200ms_fms", "segment_1s_er"] if shape.events else ["top1_acc"]
    return {
        "task_name": "random",
        "embedding_type": "event" if shape.events else "scene",
        "prediction_type": "multilabel" if shape.events else "multiclass",
        "split_mode": "trainvaltest" if "train" in shape.splits else "new_split_kfold",
        "sample_duration": 1.0,
        "evaluation": scores,
        "splits": list(shape.splits),
    }


def _write_clips(
    folder: Path, split: str, count: int, centres: np.ndarray, generator: np.random.Generator
) -> None:
    labels = generator.integers(len(centres), size=count)
    embeddings = centres[labels] + 4 * generator.normal(size=(count, centres.shape[1]))
    listed = [[f"label{i:02d}"] for i in labels]
    files = {f"{split}{i}.wav": row for i, row in enumerate(listed)}
    (folder / f"{split}.json").write_text(json.dumps(files))
    write_rows(folder, split, [embeddings.astype(np.float32)], listed)


def _write_events(
    folder: Path, split: str, count: int, centres: np.ndarray, generator: np.random.Generator
) -> None:
    files: dict[str, list[dict[str, Any]]] = {}
    active = np.zeros((count, FRAMES, len(centres)), dtype=bool)
    for file in range(count):
        events = files[f"{split}{file}.wav"] = []
        for _ in range(12):
            label, first = (
                int(generator.integers(len(centres))),
                int(generator.integers(FRAMES - 20)),
            )
            last = first + int(generator.integers(5, 15))
            active[file, first:last, label] = True
            ends = {"start": first * HOP, "end": last * HOP}
            events.append({"label": f"label{label:02d}", **ends})
    (folder / f"{split}.json").write_text(json.dumps(files))
    rows = active.reshape(-1, len(centres))
    embeddings = rows @ centres + generator.normal(size=(len(rows), centres.shape[1]))
    listed = [[f"label{i:02d}" for i in np.nonzero(row)[0]] for row in rows]
    times = [(f"{split}/{name}", HOP * frame) for name in files for frame in range(FRAMES)]
    write_rows(folder, split, [embeddings.astype(np.float32)], listed, times)
