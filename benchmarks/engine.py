"""How much faster than the published computation are the fused features, and are they the same?

Encoders of the published size with seeded weights, against the restatement in
:mod:`benchmarks.published`, which first has to pass the golden fixtures. Each gets the thread count
that suits it best. ``--device cuda`` runs both on the GPU with TF32 off; default: where there is
one.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks._full_size import PRECISIONS, ours, published, song
from benchmarks._harness import Report, alternate, device_name, difference, main, peak_memory
from benchmarks._stages import Stages, best_of, product_peak, subsampling_flops
from benchmarks.published import golden_difference, published_features
from heads import AestheticHead
from hear_aesthetics.conformer import ConformerConfig
from hear_aesthetics.spec import FRAME_RATE

__all__ = ["measure"]

LENGTHS, QUICK_LENGTHS = (30, 144, 300), (10,)
ALONE, QUICK_ALONE = (600, 1200), ()  # seconds; there the published computation does not fit
RUNS = 3
STAGE_SECONDS = 30
TARGETS = {(144, "bfloat16"): 10.0, (144, "float32"): 2.5, (300, "bfloat16"): 14.0}
GPU_TARGETS = dict.fromkeys(TARGETS, 5.0)
MAX_DIFFERENCE = {"float32": 1e-5, "bfloat16": 1.5e-2}
RELATIVE_RMS = {"float32": 1e-6, "bfloat16": 1.5e-2}
LEAST_COSINE = 0.9999
HEAD_DIFFERENCE = 0.01
FAIR = 0.5  # share of the peak that the restatement's convolutions must reach
CONFIG = ConformerConfig()


class Comparison:
    """All measurements of one run.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        quick: A few seconds of audio, once.
    """

    def __init__(self, device: str, quick: bool) -> None:
        self.device, self.runs = device, 1 if quick else RUNS
        self.lengths = QUICK_LENGTHS if quick else LENGTHS
        self.reference = published(device)
        self.models = {precision: ours(precision, device) for precision in PRECISIONS}
        self.head = AestheticHead().to(device).eval().requires_grad_(False)
        waveform = song(self.lengths[0], device)
        works = {name: partial(model, waveform) for name, model in self.models.items()}
        works["published"] = partial(published_features, self.reference, waveform)
        self.threads = {name: _best_threads(work, device) for name, work in works.items()}
        self.targets: dict[str, bool] = {}
        self.rows: list[dict[str, Any]] = []
        self.scores: dict[str, Tensor] = {}

    def compare(self, seconds: int) -> None:
        """A row per precision against the published computation."""
        waveform = song(seconds, self.device)
        plain = self._work("published", partial(published_features, self.reference, waveform))
        reference = plain()
        memory = self._megabytes(plain, "prepare_published", seconds=seconds)
        for precision, model in self.models.items():
            work = self._work(precision, partial(model, waveform))
            features = work()
            timing = alternate(work, plain, runs=self.runs, warmup=0)
            self._require(seconds, precision, timing.ratio)
            self.rows.append(
                self._row(seconds, precision, timing.ours, work)
                | {"published s": timing.reference, "published MB": memory, "ratio": timing.ratio}
                | self._accuracy(precision, features, reference)
            )
        spread = float((self.scores["bfloat16"] - self.scores["float32"]).abs().max())
        name = f"scores of a seeded head within {HEAD_DIFFERENCE} between the precisions"
        self.targets[name] = self.targets.get(name, True) and spread <= HEAD_DIFFERENCE

    def run_alone(self, seconds: int) -> None:
        """A row without the published computation: scores, scaled and softmax would not fit."""
        work = self._work("bfloat16", partial(self.models["bfloat16"], song(seconds, self.device)))
        needed = 3 * 4 * CONFIG.heads * (seconds * FRAME_RATE) ** 2 / 1e6
        row = dict.fromkeys(self.rows[0], "-")
        row |= self._row(seconds, "bfloat16", _seconds(work), work)
        self.rows.append(row | {"published MB": f"{needed:.0f} (computed)"})

    def stages(self) -> list[str]:
        """Lines with the share of each stage, and the rates against the peak."""
        lines = []
        waveform = song(min(STAGE_SECONDS, self.lengths[-1]), self.device)
        for name, model in self.models.items():
            peak = self._work(name, partial(product_peak, PRECISIONS[name], self.device))()
            stages = Stages(CONFIG)
            with stages.watch(model):
                self._work(name, partial(model, waveform))()
            lines.append(f"{name}, {self._on(name)}: {stages.summary(peak)}")
        return lines

    def fairness(self) -> str:
        """What the restatement reaches, and that it is what was published."""
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
        """The function on the thread count that suits ``name``."""

        def work() -> Any:
            torch.set_num_threads(self.threads[name])
            return function()

        return work

    def _on(self, name: str) -> str:
        return "GPU" if self.device == "cuda" else f"{self.threads[name]} thread(s)"

    def _row(
        self, seconds: int, precision: str, elapsed: float, work: Callable[[], Any]
    ) -> dict[str, Any]:
        arguments = {"precision": precision, "seconds": seconds}
        return {
            "audio s": seconds,
            "precision": precision,
            "ours s": elapsed,
            "x real time": seconds / elapsed,
            "ours MB": self._megabytes(work, "prepare_ours", **arguments),
        }

    def _megabytes(self, work: Callable[[], Any], prepare: str, **arguments: Any) -> float:
        """Peak memory beyond the weights."""
        if self.device == "cpu":
            return peak_memory(f"benchmarks._full_size:{prepare}", **arguments) / 1e6
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 1e6

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
            f"{precision}: difference at most {MAX_DIFFERENCE[precision]:g}": (
                largest <= MAX_DIFFERENCE[precision]
            ),
            f"{precision}: least cosine of a frame {LEAST_COSINE}": cosine >= LEAST_COSINE,
        }
        for name, met in limits.items():
            self.targets[name] = self.targets.get(name, True) and met
        return {
            "difference": largest,
            "relative RMS": float(relative),
            "least cosine": f"{cosine:.6f}",
        }


def _best_threads(work: Callable[[], object], device: str) -> int:
    """1 or all cores, whichever is faster on the first length."""
    counts = {1, torch.get_num_threads()} if device == "cpu" else {1}
    seconds = {}
    for threads in sorted(counts, reverse=True):
        torch.set_num_threads(threads)
        seconds[threads] = best_of(work, 1)
    torch.set_num_threads(max(counts))
    return min(seconds, key=lambda threads: seconds[threads])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(quick: bool, device: str = "cpu") -> Report:
    """Time, memory and numbers of the fused features against the published computation."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    run = Comparison(device, quick)
    notes = [run.fairness(), *run.stages()]
    for seconds in run.lengths:
        run.compare(seconds)
    for seconds in QUICK_ALONE if quick else ALONE:
        run.run_alone(seconds)
    compared = [row for row in run.rows if isinstance(row["ratio"], float)]
    name = torch.cuda.get_device_name() if device == "cuda" else device_name()
    return Report(
        title="Fused features of a song: seconds, memory and numbers against the published way",
        rows=run.rows,
        ratio=max(row["ratio"] for row in compared),
        max_difference=max(row["difference"] for row in compared),
        device=name,
        targets=run.targets,
        notes=[*notes, "MB: peak beyond the weights; difference: worst over all frames"],
    )


def _main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=found)
    options, rest = parser.parse_known_args(argv)

    def on_device(quick: bool) -> Report:
        return measure(quick, options.device)

    on_device.__doc__ = measure.__doc__
    return main("engine", on_device, rest)


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
