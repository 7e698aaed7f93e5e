"""Frames to one vector: the moments over time, side by side."""

import numpy as np
import torch

from hear_aesthetics.features.pooling import POOLINGS, pool_frames


def test_moments_are_those_of_numpy() -> None:
    frames = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    mean, both = (pool_frames(frames, pooling).numpy() for pooling in POOLINGS)
    np.testing.assert_allclose(mean, frames.numpy().mean(1), atol=1e-6)
    np.testing.assert_allclose(both, np.hstack([mean, frames.numpy().std(1)]), atol=1e-6)
