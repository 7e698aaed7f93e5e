import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hear_aesthetics.compute import kernels
from hear_aesthetics.compute.cpu import onednn_takes_bfloat16
from hear_aesthetics.compute.kernels import (
    Conv2d,
    Linear,
    SplitConv2d,
    attention,
    batched_linear,
    linear,
    typical,
)

needs_operator = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"),
    reason="this build of PyTorch has no oneDNN",
)


@pytest.fixture(params=[False, pytest.param(True, marks=needs_operator)], ids=["torch", "onednn"])
def route(request, monkeypatch) -> bool:
    """Each test runs on PyTorch's own functions and on those that bypass MKL."""
    monkeypatch.setattr(kernels, "onednn_is_faster", lambda: request.param)
    return request.param


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bias", [None, noise(7, seed=2)])
def test_linear_is_the_product_of_float64(route, bias):
    x, weight = noise(2, 5, 12), noise(7, 12, seed=1)
    expected = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    torch.testing.assert_close(linear(x, weight, bias).double(), expected, rtol=1e-5, atol=1e-5)
    activated = linear(x, weight, bias, silu=True)
    torch.testing.assert_close(activated.double(), F.silu(expected), rtol=1e-5, atol=1e-5)


def test_batched_products_use_the_weights_in_turn(route):
    x, weights = noise(4, 5, 12), noise(4, 7, 12, seed=1)
    expected = torch.stack(
        [F.linear(item, weight) for item, weight in zip(x, weights, strict=True)]
    )
    torch.testing.assert_close(batched_linear(x, weights), expected)


@pytest.mark.parametrize("frames", [1, 5, 31, 32, 67])
def test_attention_in_blocks_equals_the_matrix_of_all_pairs(route, frames, monkeypatch):
    """Short sequences, long ones, and such as leave a rest after the last whole block."""
    monkeypatch.setattr(kernels, "BLOCKWISE_FRAMES", 30)
    monkeypatch.setattr(kernels, "SCORES_PER_BLOCK", 8 * frames)
    q, k, v = (noise(2, frames, 3, 8, seed=seed).transpose(1, 2) for seed in range(3))
    expected = torch.softmax(q @ k.transpose(-2, -1) / 8**0.5, dim=-1) @ v
    torch.testing.assert_close(attention(q, k, v), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shortest", [0, 400], ids=["blocks", "whole"])
@pytest.mark.parametrize("values", [torch.bfloat16, torch.float32])
def test_attention_in_bfloat16_keeps_the_scores_in_float32(route, shortest, values, monkeypatch):
    """Scores of 60 rounded to bfloat16 would shift a weight by 13 %."""
    monkeypatch.setattr(kernels, "BLOCKWISE_FRAMES", shortest)
    q = torch.full((1, 1, 2, 64), 7.5)
    k = torch.cat([torch.full((1, 1, 1, 64), 1.0), torch.full((1, 1, 1, 64), 1.0234375)], dim=2)
    v = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1).expand(1, 1, 2, 64)
    weight = attention(q.bfloat16(), k.bfloat16(), v.to(values))[0, 0, 0, 0]
    expected = torch.sigmoid(torch.tensor(7.5 * 64 * 0.0234375 / 8))
    assert float(weight) == pytest.approx(float(expected), abs=4e-3)


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_operator)])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_convolution_adds_and_cuts_off_where_it_is_asked_to(
    fused, relu, added, dtype, monkeypatch
):
    monkeypatch.setattr(kernels, "has_onednn", lambda: fused)
    whole = nn.Conv2d(3, 16, 3, stride=2, padding=1).requires_grad_(False)
    conv, x, add = Conv2d.like(whole, slice(8, None)), noise(2, 3, 9, 12), noise(2, 8, 5, 6, seed=1)
    conv.shrink(dtype)
    expected = whole(x)[:, 8:] + (add if added else 0)
    result = conv(x, relu=relu, add=add.to(dtype) if added else None)
    assert result.dtype == dtype
    limit = 1e-5 if dtype == torch.float32 else 5e-2
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(result.float(), expected, rtol=limit, atol=limit)


def test_gradients_pass_through_every_function(route):
    x = noise(1, 2, 5, 8).requires_grad_()
    layer = Linear(8, 8)
    attention(layer(x, silu=True), x, x).sum().backward()
    assert x.grad.abs().max() > 0
    assert layer.weight.grad.abs().max() > 0


def test_a_layer_computes_in_the_dtype_of_its_weight(route):
    layer = Linear(8, 4).to(torch.bfloat16).requires_grad_(False)
    assert layer(noise(3, 8)).dtype == torch.bfloat16


def relative_error(result: torch.Tensor, expected: torch.Tensor) -> float:
    return float((result - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.skipif(not onednn_takes_bfloat16(), reason="no bfloat16 in oneDNN here")
@pytest.mark.parametrize("layer", [Linear(64, 32), Conv2d(64, 32, 1)], ids=["linear", "conv"])
def test_biases_keep_float32_beside_small_weights(layer):
    """bfloat16 would round the bias of 32.1 to 32, which would be wrong in every frame alike."""
    layer.requires_grad_(False)
    layer.weight.fill_(-0.5)
    layer.bias.fill_(32.1)
    layer.shrink(torch.bfloat16)
    out = layer(torch.ones(1, 64, 3, 3) if isinstance(layer, Conv2d) else torch.ones(1, 64))
    assert out.dtype == torch.bfloat16
    assert out.float().flatten().tolist() == pytest.approx([0.1] * out.numel(), rel=1e-2)


def test_what_rows_share_meets_the_whole_weight():
    """Rows that differ little: the rounding of the weight alone would err alike in all of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = Linear(64, 32, exact=True).requires_grad_(False)
    x = (noise(1, 1, 64) + 0.02 * noise(2, 40, 64, seed=1)).bfloat16()
    exact = F.linear(x.double(), layer.weight.double(), layer.bias.double())
    layer.shrink(torch.bfloat16)
    shared = layer(typical(x))[0].float()
    results = [layer(x), layer(x, less=shared) + shared]
    layer.lost = None
    results.append(layer(x))
    corrected, apart, plain = (relative_error(y, exact) for y in results)
    of_all = [relative_error(y.double().mean((0, 1)), exact.mean((0, 1))) for y in results]
    assert of_all[0] < 0.4 * of_all[2]  # what rounding the results leaves is apart for every row
    if onednn_takes_bfloat16():  # elsewhere the bias is rounded too
        assert corrected < plain
        assert apart < 0.1 * plain


def test_exact_layers_stay_as_they_are_in_float32():
    layer, x = Linear(8, 4, exact=True).requires_grad_(False), noise(3, 8)
    expected = layer(x)
    layer.shrink(torch.float32)
    assert layer.lost is None
    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_split_convolution_errs_by_no_more_than_its_output_is_rounded(dtype):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        conv = SplitConv2d.like(nn.Conv2d(1, 16, 3, stride=2, padding=1)).requires_grad_(False)
    x = noise(1, 1, 40, 32)
    exact = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), 2, 1)
    conv.shrink(dtype)
    limit = relative_error(exact.to(dtype), exact)
    more = 1.05 if onednn_takes_bfloat16() else 1.2  # elsewhere the bias is rounded too
    assert relative_error(conv(x), exact) <= more * limit + 1e-6
