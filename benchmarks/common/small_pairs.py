"""Inputs of the probes: hidden states of small pairs of encoders, and log-mel statistics."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from benchmarks.common.representation import SPLITS, TaskData, accuracy, real_tasks, rendered_tasks
from hear_aesthetics.backbones import Backbone
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.backbones.log_mel import LogMel
from hear_aesthetics.checkpoints import locate_model
from hear_aesthetics.features.fusion import SOURCES, Layer, as_layers
from hear_aesthetics.features.pooling import POOLINGS, pool_frames
from hear_aesthetics.model import ENCODERS
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.data.pool import open_pool
from hear_aesthetics.pretraining.export import calibrate, write_encoder, write_model_json

__all__ = [
    "Choice",
    "Pair",
    "Scores",
    "States",
    "all_tasks",
    "choices",
    "choose",
    "embed",
    "inputs",
    "load_pair",
    "log_mel_statistics",
    "options",
    "scores",
    "untrained_pair",
    "write_untrained",
]

CALIBRATION_BATCHES, CALIBRATION_CLIPS = 32, 64
UNTRAINED_SEED = 0  # of the pair that is written
ROWS = 50  # clips encoded at once

Pair = Mapping[str, Backbone]
States = Mapping[tuple[str, int], np.ndarray]  # by source and layer: mean and deviation over time
Choice = tuple[Layer, str]  # layer, or two that are joined, and pooling
Scores = tuple[list[float], list[float]]  # on valid and on test, split by split


def load_pair(folder: Path) -> Pair:
    """Load the encoders of a model directory."""
    return {source: ENCODERS[source].from_pretrained(folder / source) for source in SOURCES}


def untrained_pair(config: ConformerConfig, seed: int) -> Pair:
    """Return encoders with random weights and calibrated batch norms."""
    with TemporaryDirectory() as folder:
        pool = open_pool(Path(folder), None, 0, CALIBRATION_CLIPS)
        pair = {}
        for index, source in enumerate(SOURCES):
            with torch.random.fork_rng():
                torch.manual_seed(100 * seed + index)
                backbone = Backbone(config)
            draws = (generator(seed, source, step) for step in range(CALIBRATION_BATCHES))
            calibrate(backbone, (draw_batch(pool, rng, 4, 57_600) for rng in draws))
            pair[source] = backbone
    return pair


def write_untrained(folder: Path, layer: Layer, pooling: str) -> None:
    """Write an untrained pair of the sizes of ``mini`` as a model directory."""
    bundled = locate_model("mini").encoders["muq"]
    config = ENCODERS["muq"].from_pretrained(bundled).config
    for source, backbone in untrained_pair(config, UNTRAINED_SEED).items():
        write_encoder(folder, source, backbone, "untrained")
    values = {"pooling": pooling, "provenance": {"seed": UNTRAINED_SEED}}
    write_model_json(folder, layer=layer, status="untrained", **values)


def all_tasks(folder: Path | None, splits: int) -> list[TaskData]:
    """Return the rendered tasks and, with a folder of HEAR tasks, the real ones."""
    return [*(real_tasks(folder, splits) if folder else ()), *rendered_tasks(splits)]


def embed(tasks: Sequence[TaskData], pair: Pair) -> dict[str, States]:
    """Return mean and deviation over time of every state, ``(clips, 2 * dim)``, by task."""
    found: dict[int, States] = {}  # tasks may share their clips
    for task in tasks:
        if id(task.clips) not in found:
            found[id(task.clips)] = dict(_states(task.clips, pair))
    return {task.name: found[id(task.clips)] for task in tasks}


def log_mel_statistics(task: TaskData) -> np.ndarray:
    """Return mean and deviation over time of the encoders' log-mel input, ``(clips, 256)``."""
    mel = LogMel()
    return _pooled(task.clips, lambda x: {0: mel(x).transpose(1, 2)})[0]


def inputs(states: States, choice: Choice, sources: Sequence[str] = SOURCES) -> np.ndarray:
    """Return the input of a probe: the pooled states of some sources, side by side."""
    layer, pooling = choice
    found = [states[source, k] for source in sources for k in as_layers(layer)]
    if pooling == "mean":
        found = [values[:, : values.shape[1] // 2] for values in found]
    return np.concatenate(found, axis=1)


def scores(values: np.ndarray, task: TaskData) -> Scores:
    """Return the accuracies of a probe on every split."""
    valid, test = zip(*(accuracy(values, task.labels, split) for split in task.splits), strict=True)
    return list(valid), list(test)


def choices(states: States) -> list[Choice]:
    """Return every layer, and every two of them, with every pooling."""
    layers = sorted({layer for _, layer in states})
    return list(product([*layers, *combinations(layers, 2)], POOLINGS))


def choose(
    tasks: Sequence[TaskData], states: Mapping[str, States], sources: Sequence[str] = SOURCES
) -> dict[Choice, float]:
    """Return the mean validation accuracy of every choice, over tasks and splits, best first."""
    found = {
        choice: float(
            np.mean([scores(inputs(states[t.name], choice, sources), t)[0] for t in tasks])
        )
        for choice in choices(states[tasks[0].name])
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def options() -> argparse.ArgumentParser:
    """Return the options of the benchmarks of pretrained pairs."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--model", type=Path, required=True, help="model directory of a trained pair"
    )
    parser.add_argument(
        "--tasks", type=Path, help="folder of HEAR tasks; default: rendered tasks only"
    )
    parser.add_argument(
        "--splits", type=int, default=SPLITS, help="number of paired splits of a task"
    )
    return parser


def _states(clips: np.ndarray, pair: Pair) -> Iterator[tuple[tuple[str, int], np.ndarray]]:
    for source, backbone in pair.items():
        layers = range(1, backbone.config.depth + 1)

        def encode(batch: Tensor, b: Backbone = backbone, k: range = layers) -> dict[int, Tensor]:
            return b.hidden_states(batch, k)

        for layer, values in _pooled(clips, encode).items():
            yield (source, layer), values


@torch.no_grad()
def _pooled(
    clips: np.ndarray, encode: Callable[[Tensor], dict[int, Tensor]]
) -> dict[int, np.ndarray]:
    parts: dict[int, list[Tensor]] = {}
    for batch in torch.from_numpy(clips).split(ROWS):
        for layer, frames in encode(batch).items():
            parts.setdefault(layer, []).append(pool_frames(frames))
    return {layer: torch.cat(found).numpy() for layer, found in parts.items()}
