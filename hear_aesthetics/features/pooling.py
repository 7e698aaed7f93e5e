"""Pooling of frames over time: scene embeddings."""

import torch
from torch import Tensor

__all__ = ["POOLINGS", "pool_frames"]

POOLINGS = {"mean": 1, "mean+std": 2}  # name -> moments
FRAMES_PER_CHUNK = 1000  # whose differences from the mean are in memory at once


def pool_frames(frames: Tensor, pooling: str = "mean+std") -> Tensor:
    """Return the mean over time and, for ``"mean+std"``, the population standard deviation.

    Shape:
        - frames: ``(B, frames, dim)``; output: ``(B, dim)`` or ``(B, 2 * dim)``
    """
    mean = frames.mean(dim=1)
    if pooling == "mean":
        return mean
    # Ten times as fast as torch.std along an axis that is not the last.
    parts = frames.split(FRAMES_PER_CHUNK, dim=1)
    squares = sum((part - mean.unsqueeze(1)).square().sum(dim=1) for part in parts)
    return torch.cat([mean, (squares / frames.shape[1]).sqrt()], dim=-1)
