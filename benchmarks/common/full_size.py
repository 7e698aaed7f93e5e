"""Seeded encoders of the published size, ours and restated, and audio for them."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from benchmarks.common.published import (
    PublishedEncoder,
    encoder_tensors,
    published_features,
    seeded_encoder,
)
from hear_aesthetics.backbones import MelStatistics
from hear_aesthetics.features.fusion import FusedFeatures
from hear_aesthetics.model import DEFAULT_LAYER
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["PRECISIONS", "ours", "prepare_ours", "prepare_published", "published", "song"]

PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
PROJECTIONS = {"musicfm": 4096, "muq": 8192}


@cache
def tensors() -> dict[str, dict[str, Tensor]]:
    """Return published tensors of both encoders, made once per process."""
    return {
        source: encoder_tensors(seed, projection=outputs)
        for seed, (source, outputs) in enumerate(PROJECTIONS.items())
    }


def ours(precision: str, device: str = "cpu") -> FusedFeatures:
    """Return our fused features."""
    encoders = {k: seeded_encoder(v, PRECISIONS[precision]) for k, v in tensors().items()}
    return FusedFeatures(encoders, layer=DEFAULT_LAYER).to(device).eval()


def published(device: str = "cpu") -> dict[str, PublishedEncoder]:
    """Return the restated encoders."""
    return {
        source: PublishedEncoder({k: v.to(device) for k, v in state.items()}, MelStatistics())
        for source, state in tensors().items()
    }


def song(seconds: float, device: str = "cpu") -> Tensor:
    """Return seeded tones that swell, in noise: ``(1, samples)`` at 24 kHz."""
    generator = torch.Generator().manual_seed(0)
    times = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = torch.zeros_like(times)
    for octave in range(6):
        rate, phase = torch.rand(2, generator=generator)
        swell = 1 + torch.sin(2 * torch.pi * (0.2 + rate) * times)
        tones += swell * torch.sin(2 * torch.pi * (110 * 2**octave * times + phase))
    noise = 0.03 * torch.randn(len(times), generator=generator)
    return (0.05 * tones + noise)[None].to(device)


def prepare_ours(precision: str, seconds: float) -> Callable[[], object]:
    """Return our work on the CPU, for the memory measurement."""
    fused, waveform = ours(precision), song(seconds)
    tensors.cache_clear()
    fused(song(2))
    return lambda: fused(waveform)


def prepare_published(seconds: float) -> Callable[[], object]:
    """Return the published work on the CPU, for the memory measurement."""
    encoders, waveform = published(), song(seconds)
    published_features(encoders, song(2))
    return lambda: published_features(encoders, waveform)
