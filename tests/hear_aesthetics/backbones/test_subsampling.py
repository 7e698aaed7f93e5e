import pytest
import torch
from torch import nn

from hear_aesthetics.backbones.subsampling import (
    NARROW_FRAMES_PER_CHUNK,
    Conv2dSubsampling,
    FoldedBlock,
)


@pytest.fixture
def subsampling() -> Conv2dSubsampling:
    """Seeded, with batch-norm statistics that are not the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Conv2dSubsampling(channels=4, dim=32).eval()
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3)
                norm.running_var.uniform_(0.5, 2)
    return module


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mel_frames", [1, 2, 3, 4, 5, 50, 403])
def test_there_is_a_frame_per_four_started_mel_frames(subsampling, mel_frames):
    assert subsampling(noise(1, 128, mel_frames)).shape == (1, -(-mel_frames // 4), 32)


@torch.no_grad()
@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize(
    ("batch", "frames"),
    [
        (2, 2 * NARROW_FRAMES_PER_CHUNK + 3),
        (1, NARROW_FRAMES_PER_CHUNK + 1),
        (NARROW_FRAMES_PER_CHUNK, 5),
        (7, 50),
    ],
)
def test_cutting_up_a_long_or_large_batch_changes_no_value(subsampling, batch, frames, folded):
    if folded:
        subsampling.requires_grad_(False).fold(torch.float32)
    mel = noise(batch, 128, frames * 4 - 1)
    whole = subsampling.linear(subsampling._convolve(mel))
    torch.testing.assert_close(subsampling(mel), whole)


@torch.no_grad()
def test_folding_is_done_once_and_changes_no_result(subsampling):
    mel = noise(2, 128, 90)
    expected = subsampling(mel)
    for _ in range(2):
        subsampling.requires_grad_(False).fold(torch.float32)
        assert all(isinstance(block, FoldedBlock) for block in subsampling.blocks)
        torch.testing.assert_close(subsampling(mel), expected, rtol=1e-4, atol=1e-5)


def test_training_reaches_every_parameter(subsampling):
    subsampling.train()(noise(2, 128, 40)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in subsampling.parameters())
