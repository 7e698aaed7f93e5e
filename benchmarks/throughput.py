"""How many files per second are turned into fused features, decoding included?

The published pipeline takes one file after the other: decode, mix, resample, four float32 passes.
Ours is the engine, which decodes ahead and encodes clips of one length together. Both have the same
seeded encoders of the published size. They take turns, round by round; the published pipeline, for
which all clips are the same work, gets fewer of them.
"""

import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from benchmarks.common.harness import BenchmarkReport, difference, main
from benchmarks.common.published import (
    PublishedEncoder,
    encoder_tensors,
    golden_difference,
    published_features,
    published_waveform,
    seeded_encoder,
)
from hear_aesthetics.backbones import MelStatistics
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.compute.precision import auto_precision
from hear_aesthetics.engine.inference import run
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.features.fusion import FusedFeatures
from hear_aesthetics.model import DEFAULT_LAYER
from hear_aesthetics.synthesis import compose, render

__all__ = ["measure"]

SOURCES = ("musicfm", "muq")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FASTER_THAN_PUBLISHED = 6  # on clips, in the precision that auto picks
FILE_RATE = 44_100  # Hz, stereo
QUICK = ConformerConfig(dim=64, depth=12, heads=4, ffn_dim=128, conv_channels=16)


@dataclass(frozen=True)
class Case:
    """Files of one kind.

    Attributes:
        name: Name of the row.
        seconds: Length of each file.
        rounds: Number of rounds in which the two take turns.
        few: Files per round for the published pipeline.
    """

    name: str
    seconds: Sequence[float]
    rounds: int
    few: int


CASES = (
    Case("600 clips of 1 s", (1.0,) * 600, rounds=3, few=6),
    Case("3 songs of 30-60 s", (30.0, 45.0, 60.0), rounds=1, few=3),
)
QUICK_CASES = (
    Case("60 clips of 1 s", (1.0,) * 60, rounds=3, few=6),
    Case("2 songs of 10 s", (10.0, 12.0), rounds=1, few=2),
)


class Ours:
    """Pipeline of our engine."""

    def __init__(self, tensors: Mapping[str, Mapping[str, Tensor]], dtype: torch.dtype) -> None:
        self.device = torch.device("cpu")
        self.fused = FusedFeatures(
            {source: seeded_encoder(state, dtype) for source, state in tensors.items()},
            layer=DEFAULT_LAYER,
        )

    def features(self, files: Iterable[Path]) -> list[Tensor]:
        """Return the features of files."""
        inputs = [Input(path, path.name) for path in files]
        results = list(run(inputs, self, lambda model, waveform: model.fused(waveform)))
        return [result.output for result in results]


class Published:
    """Published pipeline, one file after the other."""

    def __init__(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.encoders = {
            source: PublishedEncoder(state, MelStatistics()) for source, state in tensors.items()
        }

    def features(self, files: Iterable[Path]) -> list[Tensor]:
        """Return the features of files."""
        return [self._features(path) for path in files]

    def _features(self, path: Path) -> Tensor:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        waveform = published_waveform(samples.mean(axis=1), rate)
        return published_features(self.encoders, waveform)[0]


def write_files(folder: Path, seconds: Sequence[float]) -> list[Path]:
    """Write stereo files of given lengths, cut from a composed song."""
    song = render(compose(seed=0, seconds=max(60.0, *seconds)), FILE_RATE)
    rng = np.random.default_rng(0)
    paths = []
    for number, length in enumerate(seconds):
        samples = round(length * FILE_RATE)
        start = rng.integers(len(song) - samples + 1)
        mono = song[start : start + samples]
        paths.append(folder / f"{number:03d}.wav")
        soundfile.write(paths[-1], np.stack([mono, 0.8 * np.roll(mono, 20)], axis=1), FILE_RATE)
    return paths


def compare(
    case: Case, files: Sequence[Path], ours: Mapping[str, Ours], published: Published
) -> list[dict[str, Any]]:
    """Return a row for the published pipeline, and one for each precision of ours."""
    contenders = {"published": published.features} | {k: m.features for k, m in ours.items()}
    counts = dict.fromkeys(contenders, len(files) // case.rounds) | {"published": case.few}
    supply = {name: cycle(files) for name in contenders}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    first: dict[str, Tensor] = {}  # what each makes of the first file
    for _ in range(case.rounds):
        for name, features in contenders.items():
            chosen = list(islice(supply[name], counts[name]))
            started = time.perf_counter()
            outputs = features(chosen)
            times[name].append((time.perf_counter() - started) / len(chosen))
            first.setdefault(name, outputs[0])
    seconds = {name: statistics.median(times[name]) for name in contenders}
    return [
        {
            "files": case.name,
            "": name,
            "timed": counts[name] * case.rounds,
            "files/s": 1 / seconds[name],
            "x real time": statistics.mean(case.seconds) / seconds[name],
            "ratio": seconds["published"] / seconds[name],
            "difference": difference(first[name], first["published"]),
        }
        for name in contenders
    ]


def measure(quick: bool) -> BenchmarkReport:
    """Compare the files per second of the engine with the published pipeline."""
    config = QUICK if quick else ConformerConfig()
    tensors = {name: encoder_tensors(seed, config) for seed, name in enumerate(SOURCES)}
    ours = {name: Ours(tensors, dtype) for name, dtype in PRECISIONS.items()}
    published = Published(tensors)
    rows: list[dict[str, Any]] = []
    for features in (published.features, *(model.features for model in ours.values())):
        with tempfile.TemporaryDirectory() as folder:
            features(write_files(Path(folder), (1.0, 1.0)))  # loads the code, makes the kernels
    for case in QUICK_CASES if quick else CASES:
        with tempfile.TemporaryDirectory() as folder:
            files = write_files(Path(folder), case.seconds)
            rows += compare(case, files, ours, published)
    auto = str(auto_precision("cpu")).removeprefix("torch.")
    ratio = next(row["ratio"] for row in rows if row[""] == auto)  # the clips come first
    target = f"clips, precision auto: at least {FASTER_THAN_PUBLISHED} times faster"
    return BenchmarkReport(
        title=f"From files to features, {'small' if quick else 'full-size'} encoders",
        rows=rows,
        ratio=ratio,
        max_difference=max(row["difference"] for row in rows if row[""] == "float32"),
        targets={} if quick else {target: ratio >= FASTER_THAN_PUBLISHED},
        notes=[
            f"`auto` picks {auto} here; the difference above is that of float32",
            "difference of the published pipeline restated here to the golden features: "
            f"{golden_difference():.1e}",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("throughput", measure))
