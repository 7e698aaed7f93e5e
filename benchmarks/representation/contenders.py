"""Embeddings of contenders, kept on disk, and the accuracy of probes on them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.representation import Split, accuracy
from benchmarks.representation.folders import Clips
from hear_aesthetics.audio.loading import resample
from hear_aesthetics.evaluation.embeddings.module import HearModule
from hear_aesthetics.files import atomic_file, json_text, write_text

__all__ = ["Outcome", "Tasks", "choose", "evaluate", "outcomes_of"]

ROWS = 25  # clips embedded at once
Scores = Mapping[str, tuple[list[float], list[float]]]  # valid and test, split by split, by task
Tasks = Mapping[str, tuple[Clips, Sequence[Split]]]


@dataclass(frozen=True)
class Outcome:
    """Scores of a contender under the choice that was best on the validation parts."""

    choice: str
    scores: Scores
    size: int  # of a scene embedding

    @property
    def valid(self) -> float:
        """Mean validation accuracy over tasks and splits."""
        return float(np.mean([np.mean(valid) for valid, _ in self.scores.values()]))


def evaluate(settings: Mapping[str, Any], tasks: Tasks, cache: Path) -> Outcome:
    """Return the outcome of the best choice of a contender on validation.

    Raises:
        ModuleError: If the module cannot be imported, fails or breaks the contract.
    """
    return choose(list(outcomes_of(settings, tasks, cache)))


def outcomes_of(settings: Mapping[str, Any], tasks: Tasks, cache: Path) -> Iterator[Outcome]:
    """Yield the outcome of every choice of a contender; errors as of :func:`evaluate`."""
    for options in settings.get("options", [{}]):
        module = HearModule(settings["module"], settings.get("model"), options, device="cpu")
        values = {name: _embed(module, clips, cache) for name, (clips, _) in tasks.items()}
        size = next(iter(values.values())).shape[1]
        for share in (1.0, *([settings["mean"]] if "mean" in settings else [])):
            width = round(share * size)
            scores = {
                name: _scores(values[name][:, :width], *task, cache) for name, task in tasks.items()
            }
            words = [f"{key} {value}" for key, value in options.items()]
            words += ["mean alone"] if share < 1 else []
            yield Outcome(", ".join(words) or "as it is", scores, width)


def choose(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome with the best mean validation accuracy, the first of equals."""
    return max(outcomes, key=lambda outcome: outcome.valid)


def _embed(module: HearModule, clips: Clips, cache: Path) -> np.ndarray:
    """Return scene embeddings, ``(clips, dim)`` float32."""
    key = json.dumps(module.fingerprint("scene"), sort_keys=True).encode()
    digest = sha256(key + str(clips.rate).encode() + clips.waves.tobytes()).hexdigest()
    path = cache / "embeddings" / f"{module.folder_name}-{digest[:16]}.npy"
    if not path.is_file():
        names = [str(i) for i in range(len(clips.waves))]
        parts = []
        for start in range(0, len(names), ROWS):
            waves = clips.waves[start : start + ROWS]
            audio = resample(waves, clips.rate, module.sample_rate)
            parts.append(module.scenes(audio, names[start : start + ROWS]))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            np.save(file, np.concatenate(parts))
    return np.load(path)


def _scores(
    values: np.ndarray, clips: Clips, splits: Sequence[Split], cache: Path
) -> tuple[list[float], list[float]]:
    """Return the probe's accuracies on valid and test, split by split."""
    rows = b"".join(part.tobytes() for s in splits for part in (s.train, s.valid, s.test))
    labels = np.unique(clips.labels, return_inverse=True)[1]
    digest = sha256(rows + labels.tobytes() + np.ascontiguousarray(values).tobytes()).hexdigest()
    path = cache / "scores" / f"{digest[:24]}.json"
    if not path.is_file():
        pairs = [accuracy(values, labels, split) for split in splits]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json_text([list(part) for part in zip(*pairs, strict=True)]))
    valid, test = json.loads(path.read_text())
    return valid, test
