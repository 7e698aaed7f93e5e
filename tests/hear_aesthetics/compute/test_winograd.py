import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hear_aesthetics.compute import winograd
from hear_aesthetics.compute.winograd import MIN_CHANNELS, WinogradConv2d

IN_CHANNELS = MIN_CHANNELS


def seeded_conv(stride: int, in_channels: int = IN_CHANNELS, **options: bool) -> WinogradConv2d:
    with torch.random.fork_rng():
        torch.manual_seed(stride)
        conv = nn.Conv2d(in_channels, 24, 3, stride=stride, padding=1, **options)
    return WinogradConv2d.like(conv).requires_grad_(False)


def positive(*shape: int) -> torch.Tensor:
    """Like the output of a ReLU: the mean does not cancel, which is the hard case for rounding."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).relu()


def tiled(conv: WinogradConv2d, x: torch.Tensor) -> torch.Tensor:
    """The convolution, which must not have fallen back to PyTorch's own."""
    assert conv._pays(x)
    return conv(x)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (8, 16), (13, 9), (30, 64)])
def test_tiles_equal_a_float64_convolution_at_every_size(stride, size):
    conv, x = seeded_conv(stride), positive(2, IN_CHANNELS, *size)
    weight, bias = conv.weight.double(), conv.bias.double()
    expected = F.conv2d(x.double(), weight, bias, stride, 1)
    error = (tiled(conv, x) - expected).abs().max() / expected.square().mean().sqrt()
    assert error < 2e-5


@pytest.mark.parametrize("stride", [1, 2])
def test_bias_is_optional(stride):
    conv, x = seeded_conv(stride, bias=False), positive(1, IN_CHANNELS, 9, 9)
    expected = F.conv2d(x, conv.weight, None, stride, 1)
    torch.testing.assert_close(tiled(conv, x), expected, rtol=1e-4, atol=1e-5)


def test_output_is_channels_last_where_the_input_is():
    x = positive(1, IN_CHANNELS, 8, 12).to(memory_format=torch.channels_last)
    assert tiled(seeded_conv(1), x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("block", [1, 5, 1000])
def test_the_size_of_a_block_changes_no_value(monkeypatch, block):
    conv, x = seeded_conv(1), positive(2, IN_CHANNELS, 21, 8)
    expected = tiled(conv, x)
    monkeypatch.setattr(winograd, "TILES_PER_BLOCK", block)
    torch.testing.assert_close(tiled(conv, x), expected, rtol=1e-5, atol=1e-5)


def test_narrow_reduced_and_differentiable_inputs_take_the_plain_convolution():
    conv, x = seeded_conv(1), positive(1, IN_CHANNELS, 4, 4)
    assert not seeded_conv(1, in_channels=8)._pays(positive(1, 8, 4, 4))
    assert not conv._pays(x.bfloat16())
    x.requires_grad_()
    assert not conv._pays(x)
    conv(x).sum().backward()
    assert x.grad.abs().max() > 0
