"""Frames to one vector: the moments over time, side by side."""

import numpy as np
import pytest
import torch

from hear_aesthetics.features.pooling import FRAMES_PER_CHUNK, POOLINGS, pool_frames


@pytest.mark.parametrize("length", [1, 7, 2 * FRAMES_PER_CHUNK + 3])
def test_moments_are_those_of_numpy(length: int) -> None:
    frames = 3 + torch.randn(3, length, 5, generator=torch.Generator().manual_seed(0))
    mean, both = (pool_frames(frames, pooling).numpy() for pooling in POOLINGS)
    exact = frames.double().numpy()  # sums of float32 along this axis err by more
    np.testing.assert_allclose(mean, exact.mean(1), atol=1e-6)
    np.testing.assert_allclose(both, np.hstack([mean, exact.std(1)]), atol=1e-6)
