"""Linear layers that train through oneDNN where it multiplies float32 faster than MKL.

PyTorch multiplies float32 matrices on a CPU through MKL, which keeps to its AVX2 kernels on AMD's
AVX-512 processors; oneDNN, which PyTorch also ships, is about twice as fast there, and rounds about
twice as much. Training takes it. Without gradients, under autocast, in other dtypes and everywhere
else :class:`Linear` is ``nn.Linear``: a song has to score in a batch as it does alone.
"""

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["Linear", "linear", "onednn_is_faster"]

CPU_INFO = Path("/proc/cpuinfo")


@cache
def onednn_is_faster() -> bool:
    """Return True if float32 matrix products on this processor should bypass MKL."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    try:
        description = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        description = platform.processor()
    available = torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    )
    return available and "AuthenticAMD" in description


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, differentiable once where oneDNN computes it.

    Shape:
        - x: ``(..., in)``; weight: ``(out, in)``; bias: ``(out,)``; output: ``(..., out)``
    """
    if (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and torch.is_grad_enabled()
        and (x.requires_grad or weight.requires_grad)
        and not torch.is_autocast_enabled("cpu")
        and onednn_is_faster()
    ):
        result: Tensor = _Product.apply(x, weight, bias)
        return result
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """``nn.Linear`` through :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the product."""
        return linear(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """Product and its gradients, each one product of oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = grad.flatten(0, -2)
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            _onednn(grad, weight.t()) if to_x else None,
            _onednn(rows.t(), x.flatten(0, -2).t()) if to_weight else None,
            rows.sum(0) if to_bias else None,
        )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(
        x.contiguous(), weight.contiguous(), bias, "none", [], ""
    )
    return result
