"""Time of each stage of an encoder pass, and its share of the machine's peak."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from hear_aesthetics.backbones import conformer
from hear_aesthetics.backbones.conformer import ConformerConfig, ConformerLayer
from hear_aesthetics.backbones.log_mel import LogMel
from hear_aesthetics.backbones.subsampling import Conv2dSubsampling
from hear_aesthetics.compute import kernels
from hear_aesthetics.spec import MEL_PER_FRAME, N_MELS

__all__ = ["Stages", "best_of", "product_peak", "subsampling_flops"]

PEAK_SIZES = (2048, 2048, 2048)
PEAK_RUNS = 7


def best_of(work: Callable[[], object], runs: int) -> float:
    """Return the seconds of the fastest run, after one to warm up."""
    times = []
    for _ in range(runs + 1):
        _synchronise()
        started = time.perf_counter()
        work()
        _synchronise()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def product_peak(dtype: torch.dtype, device: str) -> float:
    """Return the FLOP/s of a large matrix product, by the faster of PyTorch's libraries."""
    rows, inner, columns = PEAK_SIZES
    x = torch.randn(rows, inner, device=device).to(dtype)
    weight = torch.randn(columns, inner, device=device).to(dtype)
    ways = (lambda: x @ weight.T, lambda: kernels.linear(x, weight))
    return 2 * rows * inner * columns / min(best_of(way, PEAK_RUNS) for way in ways)


def subsampling_flops(config: ConformerConfig, mel_frames: int) -> float:
    """Return the FLOP of the direct convolutions and the linear layer (2 per multiply-add)."""
    channels, positions = config.conv_channels, mel_frames * N_MELS
    blocks = (positions / 4) * (2 * 1 + channels) + (positions / 16) * (3 * channels)
    flattened = channels * N_MELS // MEL_PER_FRAME
    return 2 * (9 * channels * blocks + mel_frames / MEL_PER_FRAME * flattened * config.dim)


class Stages:
    """Timer of the stages of a model, and counter of their FLOP."""

    def __init__(self, config: ConformerConfig) -> None:
        self.config = config
        self.seconds: dict[str, float] = defaultdict(float)
        self.flops: dict[str, float] = defaultdict(float)
        self._started: list[float] = []

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Time the stages of ``model`` inside the block."""
        handles = []
        for module, stage in self._stages(model):
            handles.append(module.register_forward_pre_hook(self._start))
            handles.append(module.register_forward_hook(self._stop(stage)))
        started = time.perf_counter()
        with patch.object(conformer, "attention", self._attention):
            yield
        _synchronise()
        self.seconds["all"] += time.perf_counter() - started
        for handle in handles:
            handle.remove()

    def summary(self, peak: float) -> str:
        """Return one line: each stage's share of the time and, of matrix products, of the peak."""
        shares = dict(self.seconds)
        total = shares.pop("all")
        layers = shares.pop("layers")
        shares["other in layers"] = layers - shares["linears"] - shares["attention"]
        shares["outside"] = total - layers - shares["log-mel"] - shares["subsampling"]
        parts = []
        for stage, seconds in shares.items():
            rate = self.flops[stage] / seconds if stage in self.flops else 0.0
            reached = f" at {rate / 1e9:.0f} GFLOP/s, {rate / peak:.0%} of the peak" if rate else ""
            parts.append(f"{stage} {seconds / total:.0%}{reached}")
        return "; ".join(parts)

    def _stages(self, model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
        kinds = {LogMel: "log-mel", Conv2dSubsampling: "subsampling", ConformerLayer: "layers"}
        for module in model.modules():
            if type(module) in kinds:
                yield module, kinds[type(module)]
            if isinstance(module, ConformerLayer):
                yield from ((part, "linears") for part in module.modules() if _is_linear(part))

    def _start(self, *_: Any) -> None:
        _synchronise()
        self._started.append(time.perf_counter())

    def _stop(self, stage: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            _synchronise()
            self.seconds[stage] += time.perf_counter() - self._started.pop()
            if isinstance(module, nn.Linear):
                self.flops[stage] += 2 * module.in_features * output.numel()
            elif isinstance(module, Conv2dSubsampling):
                mel = inputs[0]
                self.flops[stage] += len(mel) * subsampling_flops(self.config, mel.shape[-1])

        return record

    def _attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self._start()
        mixed = kernels.attention(q, k, v)
        _synchronise()
        self.seconds["attention"] += time.perf_counter() - self._started.pop()
        self.flops["attention"] += 4 * q.numel() * k.shape[-2]
        return mixed


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
