"""Matrix products and attention on processors where PyTorch's usual ones are slow.

PyTorch multiplies float32 matrices on a CPU through MKL, which keeps to its AVX2 kernels where the
processor is not Intel's: 110 GFLOP/s on one AVX-512 core of an AMD EPYC (Zen 5). oneDNN, which
PyTorch also ships and already uses for convolutions and bfloat16, reaches 240 there. On every other
machine, in training, and where this build of PyTorch lacks the operator, these functions are
``F.linear`` and ``F.scaled_dot_product_attention``.
"""

import re
from functools import cache
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Linear", "attention", "batched_linear", "linear", "onednn_is_faster"]

CPU_INFO = Path("/proc/cpuinfo")
QUERIES_PER_BLOCK = 256  # 256 x 3,600 float32 scores are 3.7 MB and stay in the cache


@cache
def onednn_is_faster() -> bool:
    """Whether float32 matrix products on this processor should bypass MKL."""
    try:
        flags = CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return False
    return (
        re.search(r"^vendor_id\s*:\s*AuthenticAMD$", flags, re.MULTILINE) is not None
        and re.search(r"\bavx512f\b", flags) is not None
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, silu: bool = False) -> Tensor:
    """``x @ weight.T + bias``, then SiLU if asked for.

    Shape:
        - x: ``(..., in)``; weight: ``(out, in)``; bias: ``(out,)``; output: ``(..., out)``
    """
    if _bypass(x, weight):
        activation = "swish" if silu else "none"
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")
    y = F.linear(x, weight, bias)
    return F.silu(y, inplace=not y.requires_grad) if silu else y


def batched_linear(x: Tensor, weights: Tensor) -> Tensor:
    """``x[i] @ weights[i].T`` for every ``i``.

    Shape:
        - x: ``(N, rows, in)``; weights: ``(N, out, in)``; output: ``(N, rows, out)``
    """
    if not _bypass(x, weights):
        return torch.bmm(x, weights.transpose(1, 2))
    out = x.new_empty(*x.shape[:2], weights.shape[1])
    for item, weight, result in zip(x, weights, out, strict=True):
        result.copy_(linear(item, weight))
    return out


class Linear(nn.Linear):
    """``nn.Linear`` that computes in the dtype of its weight, with an optional SiLU."""

    def forward(self, input: Tensor, silu: bool = False) -> Tensor:
        """:func:`linear` of the input."""
        return linear(input.to(self.weight.dtype), self.weight, self.bias, silu=silu)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention; never holds a T x T matrix.

    Shape:
        - q, k, v and output: ``(B, heads, T, head_dim)``
    """
    if _bypass(q, k):
        return _blockwise_attention(q, k, v)
    return F.scaled_dot_product_attention(q, k, v)


def _bypass(x: Tensor, weight: Tensor) -> bool:
    differentiable = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return x.device.type == "cpu" and not differentiable and onednn_is_faster()


def _blockwise_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention head by head, some queries at a time; scores and softmax are float32.

    PyTorch's own kernel multiplies through MKL whatever the dtype. For 3,600 frames of 16 heads it
    takes 0.58 s on one core, this 0.34 s in float32 and 0.30 s in bfloat16.
    """
    out = torch.empty_like(v.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
    for item, head in product(range(q.shape[0]), range(q.shape[1])):
        _one_head(q[item, head], k[item, head], v[item, head], out[item, head])
    return out


def _one_head(queries: Tensor, keys: Tensor, values: Tensor, out: Tensor) -> None:
    """Attention of one head, ``(T, head_dim)`` each, written to ``out``."""
    scale = queries.shape[-1] ** -0.5
    keys, values = keys.float().contiguous(), values.t().contiguous()
    for start in range(0, len(queries), QUERIES_PER_BLOCK):
        block = slice(start, start + QUERIES_PER_BLOCK)
        scores = linear(queries[block].float() * scale, keys)
        torch.softmax(scores, dim=-1, out=scores)
        out[block] = linear(scores.to(values.dtype), values)
