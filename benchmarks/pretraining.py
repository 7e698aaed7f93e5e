"""Did a pretrained pair learn? Against untrained pairs and the log-mel, on fixed paired splits.

    python -m benchmarks.pretraining --model RUN --tasks TASKS_DIR [--splits 20] [--write]

Tasks, splits and probe: :mod:`benchmarks._representation`.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from benchmarks._harness import Report, main
from benchmarks._representation import (
    SPLITS,
    TaskData,
    accuracy,
    difference,
    real_tasks,
    rendered_tasks,
)
from hear_aesthetics.backbones import Backbone, MuQ, MusicFM
from hear_aesthetics.conformer import ConformerConfig
from hear_aesthetics.frontend import LogMel
from hear_aesthetics.pretraining.calibration import calibrate
from hear_aesthetics.pretraining.mixing import draw_batch, generator
from hear_aesthetics.pretraining.pool import synthetic_pool

POOLINGS = ("mean", "mean+std")
UNTRAINED = 3  # initialisations
CALIBRATION_BATCHES, CALIBRATION_CLIPS = 32, 64
ROWS = 50  # clips encoded at once
LOG_MEL = "log-mel"

Pair = Mapping[str, Backbone]
Scores = tuple[list[float], list[float]]  # on valid and on test, split by split


def measure(quick: bool, model: Path, tasks: Path | None, splits: int) -> Report:
    """Pretrained against untrained encoders and log-mel statistics."""
    splits = 3 if quick else splits
    trained: Pair = {
        "musicfm": MusicFM.from_pretrained(model / "musicfm"),
        "muq": MuQ.from_pretrained(model / "muq"),
    }
    config = trained["muq"].config
    pairs = {"trained": trained} | {
        f"untrained {seed}": untrained_pair(config, seed) for seed in range(UNTRAINED)
    }
    data = [*rendered_tasks(splits), *(real_tasks(tasks, splits) if tasks else ())]
    embedded = {task.name: _embed(task, pairs) for task in data}
    choice = {name: _choose(data, embedded, name, config.depth) for name in pairs}
    rows, notes = [], [f"{n}: layer {k}, {p} (chosen on valid)" for n, (k, p) in choice.items()]
    gains = []
    for task in data:
        scored = _contenders(task, embedded[task.name], choice)
        ours = scored["trained fused"][1]
        for name, (_, test) in scored.items():
            mean, error = difference(ours, test, task)
            shown = {"accuracy": f"{np.mean(test):.3f}", "trained fused - this": f"{mean:+.3f}"}
            rows.append({"task": task.name, "contender": name, **shown, "error": f"{error:.3f}"})
        gains.append(np.mean(ours) / np.mean(scored["untrained fused"][1]))
    title = "Is a pretrained small pair better than an untrained one and than the log-mel?"
    return Report(title, rows, ratio=float(np.mean(gains)), max_difference=0.0, notes=notes)


def untrained_pair(config: ConformerConfig, seed: int) -> Pair:
    """Freshly drawn encoders whose batch norms are calibrated as those of trained ones are."""
    with TemporaryDirectory() as folder:
        pool = synthetic_pool(Path(folder), 0, CALIBRATION_CLIPS)
        pair = {}
        for index, source in enumerate(("musicfm", "muq")):
            with torch.random.fork_rng():
                torch.manual_seed(100 * seed + index)
                backbone = Backbone(config)
            draws = (generator(seed, source, step) for step in range(CALIBRATION_BATCHES))
            calibrate(backbone, (draw_batch(pool, rng, 4, 57_600) for rng in draws))
            pair[source] = backbone
    return pair


def _embed(task: TaskData, pairs: Mapping[str, Pair]) -> dict[tuple[str, ...], np.ndarray]:
    """Mean and deviation over time of every state, ``(clips, 2 * dim)``, and of the log-mel."""
    mel = LogMel()
    embedded = {(LOG_MEL,): _pooled(task.clips, lambda x: {0: mel(x).transpose(1, 2)})[0]}
    for (name, pair), source in product(pairs.items(), ("musicfm", "muq")):
        backbone = pair[source]
        layers = range(1, backbone.config.depth + 1)

        def states(clips: Tensor, b: Backbone = backbone, k: range = layers) -> dict[int, Tensor]:
            return b.hidden_states(clips, k)

        for layer, values in _pooled(task.clips, states).items():
            embedded[name, source, str(layer)] = values
    return embedded


def _pooled(
    clips: np.ndarray, encode: Callable[[Tensor], dict[int, Tensor]]
) -> dict[int, np.ndarray]:
    parts: dict[int, list[Tensor]] = {}
    for batch in torch.from_numpy(clips).split(ROWS):
        for layer, frames in encode(batch).items():
            pooled = torch.cat([frames.mean(dim=1), frames.std(dim=1, correction=0)], dim=1)
            parts.setdefault(layer, []).append(pooled)
    return {layer: torch.cat(found).numpy() for layer, found in parts.items()}


def _inputs(
    embedded: Mapping[tuple[str, ...], np.ndarray],
    name: str,
    choice: tuple[int, str],
    sources: Sequence[str] = ("musicfm", "muq"),
) -> np.ndarray:
    layer, pooling = choice
    found = [embedded[name, source, str(layer)] for source in sources]
    if pooling == "mean":
        found = [values[:, : values.shape[1] // 2] for values in found]
    return np.concatenate(found, axis=1)


def _scores(inputs: np.ndarray, task: TaskData) -> Scores:
    valid, test = zip(*(accuracy(inputs, task.labels, split) for split in task.splits), strict=True)
    return list(valid), list(test)


def _choose(
    data: Sequence[TaskData],
    embedded: Mapping[str, Mapping[tuple[str, ...], np.ndarray]],
    name: str,
    depth: int,
) -> tuple[int, str]:
    """Layer and pooling of a pair, best on the validation parts."""

    def valid(choice: tuple[int, str]) -> float:
        means = [np.mean(_scores(_inputs(embedded[t.name], name, choice), t)[0]) for t in data]
        return float(np.mean(means))

    return max(product(range(1, depth + 1), POOLINGS), key=valid)


def _contenders(
    task: TaskData,
    embedded: Mapping[tuple[str, ...], np.ndarray],
    choice: Mapping[str, tuple[int, str]],
) -> dict[str, Scores]:
    mel, fused = embedded[LOG_MEL,], _inputs(embedded, "trained", choice["trained"])
    scored = {
        "trained fused": _scores(fused, task),
        LOG_MEL: _scores(mel, task),
        "log-mel + trained fused": _scores(np.concatenate([mel, fused], axis=1), task),
    }
    for source in ("musicfm", "muq"):
        inputs = _inputs(embedded, "trained", choice["trained"], (source,))
        scored[f"trained {source}"] = _scores(inputs, task)
    untrained = [
        _scores(_inputs(embedded, name, choice[name]), task) for name in choice if name != "trained"
    ]
    valid, test = np.mean(untrained, axis=0)
    scored["untrained fused"] = valid.tolist(), test.tolist()
    return scored


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--model", type=Path, required=True, help="directory of a trained pair")
    parser.add_argument("--tasks", type=Path, help="HEAR task folders; without: rendered tasks")
    parser.add_argument("--splits", type=int, default=SPLITS, help="paired splits of a task")
    return parser


if __name__ == "__main__":
    raise SystemExit(main("pretraining", measure, options=_options()))
