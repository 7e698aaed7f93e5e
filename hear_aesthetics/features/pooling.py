"""Pooling of frames over time: scene embeddings."""

import torch
from torch import Tensor

__all__ = ["POOLINGS", "pool_frames"]

POOLINGS = {"mean": 1, "mean+std": 2}  # name -> moments


def pool_frames(frames: Tensor, pooling: str = "mean+std") -> Tensor:
    """Return the mean over time and, for ``"mean+std"``, the population standard deviation.

    Shape:
        - frames: ``(B, frames, dim)``; output: ``(B, dim)`` or ``(B, 2 * dim)``
    """
    mean = frames.mean(dim=1)
    if pooling == "mean":
        return mean
    return torch.cat([mean, frames.std(dim=1, correction=0)], dim=-1)
