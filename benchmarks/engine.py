"""How much faster are the fused features than the published computation, and are they equal?

Encoders of the published size with seeded weights, against the restatement in
:mod:`benchmarks.common.published`, which first has to pass the golden fixtures. Each gets the
thread count that suits it best. ``--device cuda`` runs both on the GPU with TF32 off; default:
where there is one.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.full_size import PRECISIONS, ours, published, song
from benchmarks.common.harness import (
    BenchmarkReport,
    device_name,
    difference,
    main,
    medians,
    peak_memory,
    usage,
)
from benchmarks.common.published import golden_difference, published_features
from benchmarks.common.stages import Stages, best_of, product_peak, subsampling_flops
from heads import AestheticHead
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.spec import FRAME_RATE

__all__ = ["measure"]

RUNS, QUICK_RUNS = {30: 3, 144: 3, 300: 1}, {10: 1}  # of each, by seconds of audio
ALONE, QUICK_ALONE = (600, 1200, 7200), ()  # seconds; the published computation would not fit
MAX_MEGABYTES = {"cpu": 4_000, "cuda": 16_000}  # beyond the weights, however long the audio
MEASURED = 144  # seconds up to which the published computation's memory is measured
THREADS_SECONDS = 10
STAGE_SECONDS = 144
TARGETS = {(144, "bfloat16"): 10.0, (144, "float32"): 2.5, (300, "bfloat16"): 14.0}
GPU_TARGETS = dict.fromkeys(TARGETS, 5.0)
MAX_DIFFERENCE = {"float32": 1e-5}  # in bfloat16 it depends on the weights
RELATIVE_RMS = {"float32": 1e-6, "bfloat16": 1.5e-2}
LEAST_COSINE = 0.9999
HEAD_DIFFERENCE = 0.01
FAIR = 0.5  # share of the peak that the restatement's convolutions must reach
CONFIG = ConformerConfig()
OURS, PUBLISHED = (f"benchmarks.common.full_size:prepare_{name}" for name in ("ours", "published"))


class Comparison:
    """Measurements of one run.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        quick: A few seconds of audio, once.
    """

    def __init__(self, device: str, quick: bool) -> None:
        self.device, self.runs = device, QUICK_RUNS if quick else RUNS
        self.reference = published(device)
        self.models = {precision: ours(precision, device) for precision in PRECISIONS}
        self.head = AestheticHead().to(device).eval().requires_grad_(False)
        waveform = song(THREADS_SECONDS, device)
        works = {name: partial(model, waveform) for name, model in self.models.items()}
        works["published"] = partial(published_features, self.reference, waveform)
        self.threads = {name: _best_threads(work, device) for name, work in works.items()}
        self.targets: dict[str, bool] = {}
        self.rows: list[dict[str, Any]] = []
        self.scores: dict[str, Tensor] = {}

    def compare(self, seconds: int) -> None:
        """Add a row for each precision, compared with the published computation."""
        waveform = song(seconds, self.device)
        features: dict[str, Tensor] = {}
        plain = partial(published_features, self.reference, waveform)
        works = {name: partial(model, waveform) for name, model in self.models.items()}
        works = {
            k: self._keep(features, k, work) for k, work in {"published": plain, **works}.items()
        }
        times = medians(works, runs=self.runs[seconds], warmup=0)
        memory = self._published_memory(seconds, works["published"])
        for precision in self.models:
            ratio = times["published"] / times[precision]
            self._require(seconds, precision, ratio)
            self.rows.append(
                self._row(seconds, precision, times[precision])
                | {"ours MB": self._memory(works[precision], precision, seconds)}
                | {"published s": times["published"], "published MB": memory, "ratio": ratio}
                | self._accuracy(precision, features[precision], features["published"])
            )
        spread = float((self.scores["bfloat16"] - self.scores["float32"]).abs().max())
        name = f"scores of a seeded head within {HEAD_DIFFERENCE} between the precisions"
        self.targets[name] = self.targets.get(name, True) and spread <= HEAD_DIFFERENCE

    def run_alone(self, seconds: int) -> None:
        """Add a row of ours alone; the published attention weights would not fit in memory."""
        row = dict.fromkeys(self.rows[0], "-")
        if self.device == "cpu":
            taken = usage(OURS, precision="bfloat16", seconds=seconds)
            row |= self._row(seconds, "bfloat16", taken.seconds) | {"ours MB": taken.bytes / 1e6}
        else:
            work = partial(self.models["bfloat16"], song(seconds, self.device))
            row |= self._row(seconds, "bfloat16", best_of(work, 1))
            row |= {"ours MB": self._memory(work, "bfloat16", seconds)}
        limit = MAX_MEGABYTES[self.device]
        name = f"{seconds} s: at most {limit} MB beyond the weights"
        self.targets[name] = row["ours MB"] <= limit
        self.rows.append(row | {"published MB": _computed_memory(seconds)})

    def stages(self) -> list[str]:
        """Return lines with the share of each stage, and its rate against the peak."""
        lines = []
        waveform = song(min(STAGE_SECONDS, max(self.runs)), self.device)
        for name, model in self.models.items():
            peak = self._work(name, partial(product_peak, PRECISIONS[name], self.device))()
            stages = Stages(CONFIG)
            with stages.watch(model):
                self._work(name, partial(model, waveform))()
            lines.append(f"{name}, {self._on(name)}: {stages.summary(peak)}")
        return lines

    def fairness(self) -> str:
        """Check that the restatement is fast enough and equal to the published features."""
        mel = next(iter(self.reference.values())).log_mel(song(10, self.device))
        encoder = self.reference["muq"]
        work = partial(torch.no_grad()(encoder.subsample), mel)
        seconds = self._work("published", partial(best_of, work, 3))()
        rate = subsampling_flops(CONFIG, mel.shape[-1]) / seconds
        peak = self._work("published", partial(product_peak, torch.float32, self.device))()
        self.targets[f"the restatement's convolutions reach {FAIR:.0%} of the peak"] = (
            rate >= FAIR * peak
        )
        return (
            f"published, {self._on('published')}: convolutions at {rate / 1e9:.0f} GFLOP/s, "
            f"{rate / peak:.0%} of the float32 matrix-product peak; difference to the golden "
            f"features {golden_difference():.1e}"
        )

    def _work(self, name: str, function: Callable[[], Any]) -> Callable[[], Any]:
        """Return the function, run with the best thread count of ``name``."""

        def work() -> Any:
            torch.set_num_threads(self.threads[name])
            return function()

        return work

    def _on(self, name: str) -> str:
        return "GPU" if self.device == "cuda" else f"{self.threads[name]} thread(s)"

    def _keep(
        self, outputs: dict[str, Tensor], name: str, function: Callable[[], Tensor]
    ) -> Callable[[], None]:
        """Return the function, whose output is stored as ``outputs[name]``."""
        work = self._work(name, function)

        def keep() -> None:
            outputs[name] = work()

        return keep

    def _row(self, seconds: int, precision: str, elapsed: float) -> dict[str, Any]:
        return {
            "audio s": seconds,
            "precision": precision,
            "runs": self.runs.get(seconds, 1),
            "ours s": elapsed,
            "x real time": seconds / elapsed,
        }

    def _memory(self, work: Callable[[], object], precision: str, seconds: int) -> float:
        """Return the peak memory beyond the weights, in megabytes."""
        if self.device == "cpu":
            return peak_memory(OURS, precision=precision, seconds=seconds) / 1e6
        return _gpu_memory(work)

    def _published_memory(self, seconds: int, work: Callable[[], object]) -> float | str:
        """Return the peak memory in megabytes, computed instead of measured for long audio."""
        if self.device == "cuda":
            return _gpu_memory(work)
        if seconds > MEASURED:
            return _computed_memory(seconds)
        return peak_memory(PUBLISHED, seconds=seconds) / 1e6

    def _require(self, seconds: int, precision: str, ratio: float) -> None:
        targets = TARGETS if self.device == "cpu" else GPU_TARGETS
        least = targets.get((seconds, precision))
        if least:
            name = f"{seconds} s in {precision}: at least {least:g} times faster"
            self.targets[name] = ratio >= least

    def _accuracy(self, precision: str, features: Tensor, reference: Tensor) -> dict[str, Any]:
        self.scores[precision] = self.head(features)
        largest = difference(features, reference)
        relative = (features - reference).square().mean().sqrt() / reference.square().mean().sqrt()
        cosine = float(torch.cosine_similarity(features, reference, dim=-1).min())
        limits = {
            f"{precision}: relative RMS at most {RELATIVE_RMS[precision]:g}": (
                float(relative) <= RELATIVE_RMS[precision]
            ),
            f"{precision}: least cosine of a frame {LEAST_COSINE}": cosine >= LEAST_COSINE,
        }
        if limit := MAX_DIFFERENCE.get(precision):
            limits[f"{precision}: difference at most {limit:g}"] = largest <= limit
        for name, met in limits.items():
            self.targets[name] = self.targets.get(name, True) and met
        return {
            "difference": largest,
            "relative RMS": float(relative),
            "least cosine": f"{cosine:.6f}",
        }


def _best_threads(work: Callable[[], object], device: str) -> int:
    """Return one thread or all, whichever is faster."""
    counts = {1, torch.get_num_threads()} if device == "cpu" else {1}
    seconds = {}
    for threads in sorted(counts, reverse=True):
        torch.set_num_threads(threads)
        seconds[threads] = best_of(work, 1)
    torch.set_num_threads(max(counts))
    return min(seconds, key=lambda threads: seconds[threads])


def _gpu_memory(work: Callable[[], object]) -> float:
    """Return the peak memory that some work adds on the GPU, in megabytes."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def _computed_memory(seconds: int) -> str:
    """Return the megabytes of scores, scaled scores and softmax of one published layer."""
    return f"{3 * 4 * CONFIG.heads * (seconds * FRAME_RATE) ** 2 / 1e6:.0f} (computed)"


def measure(quick: bool, device: str = "cpu") -> BenchmarkReport:
    """Compare time, memory and values of the fused features with the published computation."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    run = Comparison(device, quick)
    notes = [run.fairness(), *run.stages()]
    for seconds in run.runs:
        run.compare(seconds)
    for seconds in QUICK_ALONE if quick else ALONE:
        run.run_alone(seconds)
    compared = [row for row in run.rows if isinstance(row["ratio"], float)]
    name = torch.cuda.get_device_name() if device == "cuda" else device_name()
    return BenchmarkReport(
        title="Fused features of a song: seconds, memory and numbers against the published way",
        rows=run.rows,
        ratio=max(row["ratio"] for row in compared),
        max_difference=max(row["difference"] for row in compared),
        device=name,
        targets=run.targets,
        notes=[*notes, "MB: peak beyond the weights; difference: worst over all frames"],
    )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default=found,
        help=f"device to run on; default: {found}",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main("engine", measure, options=_options()))
