import pytest
import torch
from torch import nn

from heads.layers import linear as module
from heads.layers.linear import Linear, linear

needs_operator = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"),
    reason="this build of PyTorch has no oneDNN",
)


@pytest.fixture(params=[False, pytest.param(True, marks=needs_operator)], ids=["torch", "onednn"])
def route(request, monkeypatch) -> bool:
    """Each test runs on PyTorch's own function and on the one that bypasses MKL."""
    monkeypatch.setattr(module, "onednn_is_faster", lambda: request.param)
    return request.param


def leaf(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).requires_grad_()


@pytest.mark.parametrize("shape", [(5, 12), (2, 5, 12), (2, 3, 5, 12)])
@pytest.mark.parametrize("biased", [True, False])
def test_products_and_gradients_are_those_of_float64(route, shape, biased):
    inputs = [leaf(*shape), leaf(7, 12, seed=1), *([leaf(7, seed=2)] if biased else [])]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    for result, arguments in ((linear(*inputs), inputs), (linear(*exact), exact)):
        result.square().sum().backward()
        assert all(tensor.grad is not None for tensor in arguments)
    for mine, expected in zip(inputs, exact, strict=True):
        torch.testing.assert_close(mine.grad.double(), expected.grad, rtol=1e-4, atol=1e-4)


def test_inputs_that_need_no_gradient_get_none(route):
    x = leaf(4, 12).detach()
    layer = Linear(12, 7)
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad.shape == (7, 12)


def test_a_transposed_input_is_multiplied_as_it_stands(route):
    x, weight = leaf(12, 5).detach(), leaf(7, 12, seed=1)
    torch.testing.assert_close(linear(x.t(), weight), x.t() @ weight.t())


def test_without_gradients_it_is_torchs_own_bit_for_bit(route):
    x, layer = leaf(40, 512), Linear(512, 64)
    with torch.no_grad():
        assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
    layer.requires_grad_(False)
    assert torch.equal(layer(x.detach()), nn.functional.linear(x, layer.weight, layer.bias))


def test_autocast_still_decides_the_dtype(route):
    layer = Linear(12, 7)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(leaf(3, 12)).dtype == torch.bfloat16


def test_the_layer_keeps_the_names_of_torchs_own():
    assert Linear(3, 2).state_dict().keys() == nn.Linear(3, 2).state_dict().keys()
