"""Embedding folders for the benchmark of the evaluator, real or random.

The variable ``HEAR_EMBEDDINGS`` may name a folder with the embedding folders (or ``.tar.gz`` of
them) of the tasks below; without it, random embeddings of the same shapes are made.
"""

import csv
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.evaluation.embeddings.rows import read_embeddings, read_rows, write_rows
from hear_aesthetics.evaluation.tasks.task import load_task

__all__ = ["SOURCE", "TASKS", "Shape", "make_folder", "with_fixed_work"]

SOURCE = "HEAR_EMBEDDINGS"
_BLOCK = 2**12  # clips written at once


@dataclass(frozen=True)
class Shape:
    """Sizes of a task.

    Attributes:
        splits: Rows, or files with events, of every split.
        dim: Embedding size.
        labels: Size of the vocabulary.
        scores: Scores of the task.
        most_labels: Labels of a clip, at most; 0 for a task with events.
        frames: Frames of a file with events.
        hop: Milliseconds between two frames.
        events: Events of a file.
        longest: Frames of an event, at most.
    """

    splits: Mapping[str, int]
    dim: int
    labels: int
    scores: tuple[str, ...] = ("top1_acc",)
    most_labels: int = 1
    frames: int = 600
    hop: float = 50.0
    events: int = 12
    longest: int = 15

    @property
    def has_events(self) -> bool:
        """True for a task with events."""
        return not self.most_labels


def _folds(rows: int) -> dict[str, int]:
    return {f"fold{i:02d}": rows for i in range(5)}


TASKS = {
    "spoken_digit-1.0.9-small": Shape(_folds(20), 256, 10),
    "speech_commands-v0.0.2-small": Shape({"train": 56, "valid": 132, "test": 96}, 256, 12),
    "speech_commands_pooled-1.0.0-small": Shape({"train": 144, "valid": 44, "test": 45}, 256, 12),
    "fsdd_digit-1.0.0-full": Shape(_folds(600), 256, 10),
    "digit_command_events-1.0.0-full": Shape(
        {"train": 22, "valid": 7, "test": 9},
        64,
        14,
        scores=("event_onset_200ms_fms", "segment_1s_er"),
        most_labels=0,
    ),
    "nsynth_pitch-v2.2.3-50h": Shape(
        {"train": 39_248, "valid": 4_906, "test": 4_906}, 1024, 88, ("pitch_acc",)
    ),
    "fsd50k-v1.0-full": Shape(
        {"train": 36_784, "valid": 4_170, "test": 10_231}, 1024, 200, ("mAP",), most_labels=4
    ),
    "maestro-v3.0.0-5h": Shape(
        _folds(37),
        1024,
        88,
        ("event_onset_50ms_fms",),
        most_labels=0,
        frames=3000,
        hop=40.0,
        events=1200,
        longest=25,
    ),
}


def make_folder(name: str, parent: Path, *, shrink: int = 1) -> Path:
    """Make a fresh embedding folder of a task, ``parent/name``.

    Random ones have one ``shrink``-th of the task's rows.
    """
    folder = parent / name
    source = os.environ.get(SOURCE)
    if source is None:
        shape = TASKS[name]
        splits = {split: -(-rows // shrink) for split, rows in shape.splits.items()}
        _write_random(replace(shape, splits=splits), folder)
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
    write_rows(folder, split, [read_embeddings(task, sources)], listed)


def _write_random(shape: Shape, folder: Path) -> None:
    """Write random embeddings: a point for each label, and noise around the sum of a row's."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    centres = generator.normal(size=(shape.labels, shape.dim))
    write = _write_events if shape.has_events else _write_clips
    for split, count in shape.splits.items():
        write(folder, split, count, shape, centres, generator)
    (folder / "task_metadata.json").write_text(json.dumps(_metadata(shape)))
    with (folder / "labelvocabulary.csv").open("w", newline="") as file:
        labels = [(i, f"label{i:02d}") for i in range(shape.labels)]
        csv.writer(file).writerows([("idx", "label"), *labels])
    (folder / ".done.embeddings").touch()


def _metadata(shape: Shape) -> dict[str, Any]:
    return {
        "task_name": "random",
        "embedding_type": "event" if shape.has_events else "scene",
        "prediction_type": "multiclass" if shape.most_labels == 1 else "multilabel",
        "split_mode": "trainvaltest" if "train" in shape.splits else "new_split_kfold",
        "sample_duration": 1.0,
        "evaluation": list(shape.scores),
        "splits": list(shape.splits),
    }


def _write_clips(
    folder: Path,
    split: str,
    count: int,
    shape: Shape,
    centres: np.ndarray,
    generator: np.random.Generator,
) -> None:
    active = np.zeros((count, shape.labels), dtype=bool)
    labels = generator.integers(shape.labels, size=(count, shape.most_labels))
    for column in labels.T:  # one label may be drawn twice
        active[np.arange(count), column] = True
    listed = _listed(active)
    files = {f"{split}{i}.wav": row for i, row in enumerate(listed)}
    (folder / f"{split}.json").write_text(json.dumps(files))
    write_rows(folder, split, _noisy(active, centres, 4, _BLOCK, generator), listed)


def _write_events(
    folder: Path,
    split: str,
    count: int,
    shape: Shape,
    centres: np.ndarray,
    generator: np.random.Generator,
) -> None:
    files: dict[str, list[dict[str, Any]]] = {}
    active = np.zeros((count, shape.frames, shape.labels), dtype=bool)
    for file in range(count):
        events = files[f"{split}{file}.wav"] = []
        for _ in range(shape.events):
            label, first = (
                int(generator.integers(shape.labels)),
                int(generator.integers(shape.frames - shape.longest - 5)),
            )
            last = first + int(generator.integers(5, shape.longest))
            active[file, first:last, label] = True
            ends = {"start": first * shape.hop, "end": last * shape.hop}
            events.append({"label": f"label{label:02d}", **ends})
    (folder / f"{split}.json").write_text(json.dumps(files))
    rows = active.reshape(-1, shape.labels)
    times = [(f"{split}/{name}", shape.hop * i) for name in files for i in range(shape.frames)]
    embeddings = _noisy(rows, centres, 1, shape.frames, generator)
    write_rows(folder, split, embeddings, _listed(rows), times)


def _listed(active: np.ndarray) -> list[list[str]]:
    return [[f"label{i:02d}" for i in np.nonzero(row)[0]] for row in active]


def _noisy(
    active: np.ndarray, centres: np.ndarray, noise: float, size: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield blocks of embeddings: the sum of the points of a row's labels, and noise."""
    for start in range(0, len(active), size):
        exact = active[start : start + size] @ centres
        yield (exact + noise * generator.normal(size=exact.shape)).astype(np.float32)
