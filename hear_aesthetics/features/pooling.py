"""From frames to one vector per clip: what a scene embedding is made of."""

import torch
from torch import Tensor

__all__ = ["POOLINGS", "pool_frames"]

POOLINGS = ("mean", "mean+std")


def pool_frames(frames: Tensor, pooling: str = "mean+std") -> Tensor:
    """Mean over time and, with ``"mean+std"``, the population standard deviation behind it.

    Shape:
        - frames: ``(B, frames, dim)``; output: ``(B, dim)`` or ``(B, 2 * dim)``
    """
    mean = frames.mean(dim=1)
    if pooling == "mean":
        return mean
    return torch.cat([mean, frames.std(dim=1, correction=0)], dim=-1)
