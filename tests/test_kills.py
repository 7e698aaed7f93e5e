"""Commands that are killed at random moments and run again end like one that never was.

Two kills of each command; ``KILLS=20`` in the environment asks for twenty, ``SEED`` for others.
"""

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from operator import eq
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from hear_aesthetics.audio.saving import write_audio
from musiceval_task.features.tiny_text import write_tiny_roberta
from songeval_task.dimensions import DIMENSIONS

KILLS, SEED = int(os.environ.get("KILLS", "2")), int(os.environ.get("SEED", "0"))
EARLIEST = 0.5  # seconds after the start; Python takes longer to import everything
ORPHANS_END_WITHIN = 20.0  # seconds
# What may differ between two runs: durations, and digests of when audio files were written.
# Allowed where clips shared other batches: score points, and embedding values (RMS about 1).
BATCHED = {"score": 1e-5, "embed": 5e-5}
MAY_DIFFER = {"time", "time_in_min", "time_in_min_mean", "time_elapsed", "audio_stamp", "evaluated"}
MAY_DIFFER |= {"seconds", "training_seconds", "steps_per_second"}
PROMPTS = ("a slow waltz with harp", "fast rock with drums", "solo flute")
MODULE = """
import torch

class Levels(torch.nn.Module):
    sample_rate, scene_embedding_size, timestamp_embedding_size = 16000, 3, 3

def load_model(model_file_path=""):
    return Levels()

def get_timestamp_embeddings(audio, model):
    windows = torch.nn.functional.pad(audio, (320, 320)).unfold(1, 640, 640)
    parts = [windows.abs().mean(-1), windows.std(-1), windows.diff().abs().mean(-1)]
    times = 40.0 * torch.arange(windows.shape[1]).expand(len(audio), -1)
    return torch.stack(parts, -1), times

def get_scene_embeddings(audio, model):
    return get_timestamp_embeddings(audio, model)[0].mean(1)
"""
COMMANDS = {
    "embed": "embed {inputs}/songs --out out --kind timestamps",
    "score": "score {inputs}/songs --model mini --out out/scores.csv --timeline",
    "audit": "audit {inputs}/songs --model mini --out out --variants gain,noise,repeat",
    "songeval features": "songeval features {inputs}/prepared --out out --model mini"
    " --augmentations 1 --workers 2",
    "songeval train": "songeval train --data {inputs}/prepared --features {inputs}/features"
    " --out out --head-size small --lr 1e-3 --epochs 5 --set precision=float32"
    " --set batch_size=4 --set accumulation=1 --set patience=0",
    "evaluate": "evaluate tasks --out out --module levels --grid faster --grid-points 2"
    " --seeds 2 --precision float32",
    "musiceval train": "musiceval train {inputs}/clips.csv --text {inputs}/text --out out"
    " --model mini --member gaussian-1984 --member coral --epochs 12 --batch-size 4",
    "pretrain": "pretrain --source muq --out out --steps 40 --batch 1 --seconds 0.8"
    " --pool-hours 0.01 --precision float32 --device cpu --save-every 5 --evaluate-every 20"
    " --size dim=16,depth=1,heads=2,ffn_dim=16,conv_channels=4 --targets codes=8,rvq_steps=20",
}
PREPARATION = (
    "songeval prepare songs --out prepared --test-songs 6 --valid-fraction 0.2",
    "songeval features prepared --out features --model mini --augmentations 1",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see orphans"),
]


def noise(seed: int, seconds: float, rate: int) -> np.ndarray:
    """A tone and noise, different for every seed."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * rng.uniform(100, 2000) * times)
    return (0.2 * tone + 0.05 * rng.standard_normal(times.size)).astype("f4")


def write_songs(folder: Path, songs: int = 24) -> None:
    """A folder in SongEval's layout."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(songs):
        name = f"mp3/{number}.mp3"
        write_audio(folder / name, noise(number, 1 + 0.2 * (number % 4), 24_000), 24_000)
        ratings = [{d.name: float(rng.integers(1, 6)) for d in DIMENSIONS} for _ in range(4)]
        lines.append(json.dumps({"file_name": name, "annotation": ratings}) + "\n")
    (folder / "metadata.jsonl").write_text("".join(lines))


def write_clips(root: Path) -> None:
    """MusicEval as a CSV, and a text encoder that knows its prompts."""
    rows = []
    for number in range(18):
        path = root / "clips" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise(number, 0.5, 24_000), 24_000)
        split = "test" if number % 6 == 5 else "train"
        row = {"path": path, "prompt": PROMPTS[number % 3], "system": f"S{number % 4}"}
        rows.append(row | {"overall": 1 + number % 4, "textual": 5 - number % 4, "split": split})
    pd.DataFrame(rows).to_csv(root / "clips.csv", index=False)
    write_tiny_roberta(root / "text", list(PROMPTS), dim=16, layers=1)


def write_tasks(root: Path) -> None:
    """Two HEAR tasks, whose audio is to be resampled."""
    for task in ("levels", "tones"):
        folder = root / "tasks" / f"{task}-1.0.0-small"
        for split in ("train", "valid", "test"):
            (folder / "48000" / split).mkdir(parents=True)
            labels = {f"{split}_{n}.wav": [("high", "low")[n % 2]] for n in range(12)}
            (folder / f"{split}.json").write_text(json.dumps(labels))
            for number, name in enumerate(labels):
                wave = noise(number, 0.2, 48_000) * (0.2 + number % 2)
                soundfile.write(folder / "48000" / split / name, wave, 48_000)
        (folder / "labelvocabulary.csv").write_text("idx,label\n0,high\n1,low\n")
        metadata = {"task_name": task, "version": "1.0.0", "embedding_type": "scene"}
        metadata |= {"prediction_type": "multiclass", "split_mode": "trainvaltest"}
        metadata |= {"splits": ["train", "valid", "test"], "sample_duration": 0.2}
        metadata |= {"evaluation": ["top1_acc"]}
        (folder / "task_metadata.json").write_text(json.dumps(metadata))
    (root / "levels.py").write_text(MODULE)


def start(words: list[str], folder: Path) -> subprocess.Popen:
    """The command in that folder, as the leader of a process group of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with (folder / "said.txt").open("a") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "hear_aesthetics", *words],
            cwd=folder,
            env=environment,
            start_new_session=True,
            stdout=said,
            stderr=said,
        )


def finish(words: list[str], folder: Path) -> float:
    """Run the command to its end; how long it took, in seconds."""
    begun = time.monotonic()
    process = start(words, folder)
    assert process.wait() == 0, (folder / "said.txt").read_text()
    seconds = time.monotonic() - begun
    expect_none_left(process.pid)
    return seconds


def living(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = path.read_text().rpartition(")")
        except OSError:  # it has just ended
            continue
        state, _, its_group = fields.split()[:3]
        if int(its_group) == group and state not in "ZX":
            found.append(f"{name}) {state}")
    return found


def kill(process: subprocess.Popen, alone: bool) -> None:
    """SIGKILL to the command or to its whole group: either way all of it is to end.

    It may have ended by itself in the last moment before.
    """
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL)
    expect_none_left(process.pid)


def expect_none_left(group: int) -> None:
    latest = time.monotonic() + ORPHANS_END_WITHIN
    while left := living(group):
        if time.monotonic() > latest:
            os.killpg(group, signal.SIGKILL)
            pytest.fail(f"processes outlived the command: {left}")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read: songs, a prepared set and its features, clips, tasks."""
    root = tmp_path_factory.mktemp("inputs")
    write_songs(root / "songs")
    write_clips(root)
    write_tasks(root)
    for command in PREPARATION:
        finish(command.split(), root)
    return root


def fresh(root: Path, inputs: Path) -> Path:
    """A folder to run in; tasks are copied, for `evaluate` writes audio beside them."""
    root.mkdir()
    (root / "out").mkdir()
    shutil.copytree(inputs / "tasks", root / "tasks")
    shutil.copy(inputs / "levels.py", root)
    return root


def contents(root: Path) -> dict[str, object]:
    """Every file by name, without times of day, durations and TensorBoard's events."""
    files = [path for name in ("out", "tasks") for path in (root / name).rglob("*")]
    files = [path for path in files if path.is_file() and "tensorboard" not in path.parts]
    return {path.relative_to(root).as_posix(): content(path) for path in files}


def content(path: Path) -> object:
    """What a file holds, less what may differ."""
    if path.suffix == ".pkl":
        return without_times(pickle.loads(path.read_bytes()))
    if path.suffix == ".pt":
        return without_times(torch.load(path, weights_only=True))
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text()))
    if path.suffix == ".csv":
        return without_times(pd.read_csv(path, dtype=str).fillna("").to_dict("list"))
    if path.suffix == ".jsonl":
        return [without_times(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {key: arrays[key].tolist() for key in arrays}
    return path.read_bytes()


def alike(found: object, expected: object, tolerance: float) -> bool:
    """Return whether numbers agree to ``tolerance`` and all else exactly.

    Clips of equal length are encoded together. What is left after a kill shares other batches,
    whose matrix products may round otherwise; nothing else may differ.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(
            alike(found[key], expected[key], tolerance) for key in expected
        )
    if isinstance(expected, list) and isinstance(found, list):
        pairs = zip(found, expected, strict=False)
        return len(found) == len(expected) and all(alike(*pair, tolerance) for pair in pairs)
    try:
        return found == expected or abs(float(found) - float(expected)) <= tolerance
    except (TypeError, ValueError):
        return False


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {k: without_times(item) for k, item in value.items() if k not in MAY_DIFFER}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value.tolist() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_and_run_again_ends_the_same(name: str, inputs: Path, tmp_path: Path) -> None:
    words = COMMANDS[name].format(inputs=inputs).split()
    whole = fresh(tmp_path / "whole", inputs)
    seconds = finish(words, whole)
    expected = contents(whole)
    generator = random.Random(f"{name} {SEED}")
    kills = folders = 0
    while kills < KILLS:
        folders += 1
        folder = fresh(tmp_path / f"killed{folders}", inputs)
        while kills < KILLS:
            process = start(words, folder)
            try:
                code = process.wait(generator.uniform(EARLIEST, seconds))
            except subprocess.TimeoutExpired:
                kill(process, alone=bool(kills % 2))
                kills += 1
            else:
                assert code == 0, (folder / "said.txt").read_text()
                break
        finish(words, folder)
        found = contents(folder)
        assert sorted(found) == sorted(expected)
        same = partial(alike, tolerance=BATCHED[name]) if name in BATCHED else eq
        assert [key for key in expected if not same(found[key], expected[key])] == []
    print(f"{name}: {kills} kills in {folders} folders, {seconds:.1f} s uninterrupted")  # noqa: T201
