"""Masking: whole spans of a clip are replaced by noise.

As published: the clip is a row of spans of 400 ms, each is masked with probability 0.6, and masked
samples become Gaussian noise of standard deviation 0.1.
"""

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.spec import FRAME_HOP

__all__ = ["draw_mask", "mask_waveform"]


def draw_mask(
    rng: np.random.Generator, batch: int, spans: int, frames_per_span: int, probability: float
) -> Tensor:
    """Return the masked frames; in every clip at least one span is masked.

    Shape:
        - output: ``(batch, spans * frames_per_span)`` bool, True = masked
    """
    drawn = rng.random((batch, spans))
    masked = (drawn < probability) | (drawn == drawn.min(axis=1, keepdims=True))
    return torch.from_numpy(masked.repeat(frames_per_span, axis=1))


def mask_waveform(
    waveform: Tensor, mask: Tensor, rng: np.random.Generator, noise: float = 0.1
) -> Tensor:
    """Return the waveform with noise in place of its masked frames.

    Args:
        waveform: Audio at 24 kHz.
        mask: True = masked.
        rng: Source of the noise.
        noise: Standard deviation of the noise.

    Shape:
        - waveform and output: ``(B, frames * 960)``; mask: ``(B, frames)``
    """
    hiss = torch.from_numpy(rng.standard_normal(tuple(waveform.shape), np.float32))
    samples = mask.repeat_interleave(FRAME_HOP, dim=1)
    return torch.where(samples, noise * hiss, waveform)
