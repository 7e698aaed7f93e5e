"""Tiny heads and the published fixtures that the head tests share."""

import pytest
import torch
from safetensors.torch import load_file

from heads.aesthetic import AestheticHead, AestheticHeadConfig

TINY = AestheticHeadConfig(
    feature_dim=24, projection_dim=20, dim=16, ffn_dim=32, layers=2, pooling_bottleneck=8
)


@pytest.fixture
def tiny_head():
    """A small aesthetic head in evaluation mode, the same in every test."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AestheticHead(TINY).eval()


@pytest.fixture(params=[1, 2], ids=["track1", "track2"])
def published_track(request, golden):
    """A head with the weights of the fixture, and the path prefix of its files."""
    folder = golden / "hear_head"
    head = AestheticHead.from_pretrained(folder / f"track{request.param}.model.safetensors")
    return head, str(folder / f"track{request.param}")


@pytest.fixture
def track_features(golden):
    """Inputs of the published head, by name."""
    return load_file(golden / "hear_head" / "features.safetensors")
