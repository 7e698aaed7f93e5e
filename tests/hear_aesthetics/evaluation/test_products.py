"""Products have PyTorch's bits, whichever library multiplies."""

import pytest
import torch

from hear_aesthetics import kernels
from hear_aesthetics.evaluation import products
from hear_aesthetics.evaluation.products import product


def operands(rows, terms, out, straight):
    """Two matrices, as they are or as transposed views."""
    a, b = torch.randn(rows, terms), torch.randn(out, terms)
    return [x if s else x.t().contiguous().t() for x, s in zip((a, b), straight, strict=True)]


@pytest.fixture
def with_onednn(monkeypatch):
    """Take oneDNN's way on any processor whose PyTorch has it."""
    if not kernels.has_onednn():
        pytest.skip("this build of PyTorch has no oneDNN")
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    products._block.cache_clear()
    yield
    products._block.cache_clear()


@pytest.mark.parametrize("straight", [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("sizes", [(300, 256, 512), (200, 1000, 300)])
def test_large_products_have_the_bits_of_torch(with_onednn, sizes, straight):
    torch.manual_seed(0)
    a, b = operands(*sizes, straight)
    assert torch.equal(product(a, b), a.mm(b.t()))
    bias = torch.randn(len(b))
    assert torch.equal(product(a, b, bias), torch.nn.functional.linear(a, b, bias))


def test_without_a_division_of_the_same_bits_torch_multiplies(with_onednn, monkeypatch):
    in_blocks = products._in_blocks
    monkeypatch.setattr(products, "_in_blocks", lambda *operands: in_blocks(*operands) + 1)
    a, b = operands(300, 256, 512, (True, True))
    assert torch.equal(product(a, b), a.mm(b.t()))


def test_small_products_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(products, "_block", None)
    a, b = operands(5, 6, 7, (True, True))
    assert torch.equal(product(a, b), a.mm(b.t()))
