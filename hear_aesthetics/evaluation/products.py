"""Float32 matrix products with the rounding of PyTorch's own, through oneDNN where that is faster.

A sum over ``k`` products depends on its order. On processors where MKL keeps to its older kernels,
it runs one chain of fused multiply-adds per block of the sum, and then adds the blocks in order.
oneDNN, twice as fast there, runs one chain for up to 512 terms, so that its products of the same
blocks, added in the same order, have the same bits. Which blocks MKL takes depends on shape, layout
and threads: a few divisions are tried on random numbers, which any wrong one rounds differently in
most places, and where none has MKL's bits MKL is used.
"""

from functools import cache

import torch
from torch import Tensor

from hear_aesthetics.kernels import onednn_is_faster

__all__ = ["product"]

_LARGE = 2**25  # multiply-adds; below this the copies and additions cost what oneDNN saves
_BLOCKS = (192, 128, 96, 64, 160, 256, 384)  # terms of the sum
_MOST_TERMS = 512  # of one chain in oneDNN


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """``a @ b.T + bias``, to the last bit as PyTorch computes it.

    Shape:
        - a: ``(rows, terms)``; b: ``(out, terms)``, either may be a transposed view; bias:
          ``(out,)``; output: ``(rows, out)`` float32
    """
    rows, terms, out = *a.shape, len(b)
    if a.is_cuda or rows * terms * out < _LARGE or not onednn_is_faster():
        return _plain(a, b, bias)
    layout = a.is_contiguous(), b.is_contiguous()
    block = _block(rows, terms, out, layout, bias is not None, torch.get_num_threads())
    return _in_blocks(a, b, bias, block) if block else _plain(a, b, bias)


def _plain(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    return a.mm(b.t()) if bias is None else torch.addmm(bias, a, b.t())


def _in_blocks(a: Tensor, b: Tensor, bias: Tensor | None, block: int) -> Tensor:
    total = None if bias is None else bias.expand(len(a), -1).contiguous()
    for x, y in zip(a.split(block, dim=1), b.split(block, dim=1), strict=True):
        part = torch.ops.mkldnn._linear_pointwise(
            x.contiguous(), y.contiguous(), None, "none", [], ""
        )
        total = part if total is None else total.add_(part)
    assert total is not None, "a sum has terms"
    return total


@cache
def _block(
    rows: int, terms: int, out: int, layout: tuple[bool, bool], with_bias: bool, threads: int
) -> int:
    """Terms per block with which the product has MKL's bits; 0 if there is no such number."""
    del threads  # part of the key only
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.randn(size if straight else size[::-1], generator=generator)
        for size, straight in zip(((rows, terms), (out, terms)), layout, strict=True)
    )
    a, b = (x if straight else x.t() for x, straight in zip((a, b), layout, strict=True))
    bias = torch.randn(out, generator=generator) if with_bias else None
    expected = _plain(a, b, bias)
    sizes = dict.fromkeys((*_BLOCKS, -(-terms // 2), terms))
    fitting = (size for size in sizes if size <= min(terms, _MOST_TERMS))
    return next((s for s in fitting if torch.equal(_in_blocks(a, b, bias, s), expected)), 0)
