"""Matrix products and attention on processors where PyTorch's usual ones are slow.

PyTorch multiplies float32 matrices through MKL, which keeps to AVX2 where the processor is not
Intel's: 110 GFLOP/s on one AVX-512 core of an AMD EPYC (Zen 5). oneDNN, which PyTorch also ships,
reaches 240 there, and takes float32 biases beside bfloat16 weights. On other machines, in training,
and where PyTorch lacks the operators, these functions are PyTorch's own.
"""

import math
from itertools import product
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.compute.cpu import has_onednn, onednn_is_faster, onednn_takes_bfloat16

BLOCKWISE_FRAMES = 400  # on fewer, PyTorch's own attention is faster: it takes all heads at once
TYPICAL_STEP = 16  # one row in so many tells what all have in common
SCORES_PER_BLOCK = 1_900_000  # of queries with keys: 7.6 MB in float32 stay in the cache


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, silu: bool = False) -> Tensor:
    """Return ``x @ weight.T + bias``, then SiLU if asked for.

    Shape:
        - x: ``(..., in)``; weight: ``(out, in)``; bias: ``(out,)``, may be float32 where the others
          are not; output: ``(..., out)``
    """
    if _bypass(x, weight):
        activation = "swish" if silu else "none"
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "")
    y = F.linear(x, weight, None if bias is None else bias.to(weight.dtype))
    return F.silu(y, inplace=not y.requires_grad) if silu else y


def typical(x: Tensor) -> Tensor:
    """Return the mean of some rows of ``(..., dim)``, one in ``TYPICAL_STEP``: ``(1, dim)``."""
    return x.flatten(0, -2)[::TYPICAL_STEP].mean(0, keepdim=True)


def batched_linear(x: Tensor, weights: Tensor) -> Tensor:
    """Return ``x[i] @ weights[i].T`` for every ``i``.

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
    """``nn.Linear`` that computes in the dtype of its weight, with an optional SiLU.

    Attributes:
        exact: :meth:`shrink` to bfloat16 keeps what the weight loses, for what all rows share.
        lost: That, in bfloat16; None where nothing was lost.
    """

    lost: Tensor | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, exact: bool = False
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.exact = exact
        self.register_buffer("lost", None, persistent=False)

    def forward(self, input: Tensor, silu: bool = False, less: Tensor | None = None) -> Tensor:
        """Return :func:`linear` of the input less a constant, taken off before rounding."""
        x = input.to(self.weight.dtype)
        bias: Tensor = self.bias
        if self.lost is not None:
            bias = bias + linear(typical(x), self.lost)[0]
        return linear(x, self.weight, bias if less is None else bias - less, silu=silu)

    def shrink(self, dtype: torch.dtype) -> None:
        """Convert the weight, but not the bias, to ``dtype``."""
        if self.exact and dtype == torch.bfloat16:
            self.weight.data, self.lost = _split(self.weight.detach())
        else:
            self.weight.data = self.weight.to(dtype)


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` that computes in the dtype of its weight, with channels last.

    The sum with another tensor and the ReLU after it cost nothing where oneDNN has them.
    """

    @classmethod
    def like(cls, conv: nn.Conv2d, channels: slice = slice(None)) -> Self:
        """Take output channels of a square convolution that is padded to keep the size."""
        size, stride = conv.kernel_size[0], conv.stride[0]
        outputs = len(range(conv.out_channels)[channels])
        twin = cls(conv.in_channels, outputs, size, stride, size // 2, device="meta")
        twin.bias = None
        for name, whole in conv.named_parameters():
            part = nn.Parameter(whole.detach()[channels], whole.requires_grad)
            twin.register_parameter(name, part)
        return twin

    def forward(self, input: Tensor, relu: bool = False, add: Tensor | None = None) -> Tensor:
        """Convolve, add ``add``, perhaps in its place, and apply ReLU."""
        x = self._operand(input)
        given = x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        # Without more to do, PyTorch itself calls oneDNN for float32.
        usable = has_onednn() if x.dtype == torch.float32 else onednn_takes_bfloat16()
        fuses = usable and _without_gradients(x, self.weight)
        if fuses and add is not None and (self.bias is None or self.bias.dtype == x.dtype):
            last = "relu" if relu else None
            return torch.ops.mkldnn._convolution_pointwise_.binary(
                add, *given, "add", 1.0, last, [], ""
            )
        if fuses and (relu or x.dtype == torch.bfloat16):
            last = "relu" if relu and add is None else "none"
            y = torch.ops.mkldnn._convolution_pointwise(*given, last, [], "")
            if add is None:
                return y
        else:
            bias = None if self.bias is None else self.bias.to(x.dtype)
            y = self._conv_forward(x, self.weight, bias)
        y = y if add is None else y + add
        return F.relu(y) if relu else y

    def _operand(self, input: Tensor) -> Tensor:
        """Return what is convolved."""
        return input.to(self.weight.dtype)

    def shrink(self, dtype: torch.dtype) -> None:
        """Convert the weight, but not the bias, to ``dtype`` and lay it out with channels last."""
        self.weight.data = self.weight.to(dtype, memory_format=torch.channels_last)


class SplitConv2d(Conv2d):
    """A ``Conv2d`` whose products are nearly those of float32 in bfloat16 too.

    Input and weight are each the sum of two bfloat16 numbers, which become channels of their own;
    the product of the two small ones is left out. For few channels only: it needs three for one.
    """

    def _operand(self, input: Tensor) -> Tensor:
        if self.weight.dtype != torch.bfloat16:
            return super()._operand(input)
        high, low = _split(input)
        return torch.cat([high, low, high], dim=1)

    def shrink(self, dtype: torch.dtype) -> None:
        """Convert the weight, but not the bias."""
        if dtype == torch.bfloat16:
            high, low = _split(self.weight)
            self.weight.data = torch.cat([high, high, low], dim=1)
        super().shrink(dtype)


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return two bfloat16 tensors whose sum is ``x`` to 16 bits."""
    high = x.to(torch.bfloat16)
    return high, (x - high).to(torch.bfloat16)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute softmax attention without a T x T matrix.

    Values may be float32 beside bfloat16 queries and keys; kernels that cannot mix them round them.

    Shape:
        - q, k, v and output: ``(B, heads, T, head_dim)``
    """
    if _bypass(q, k) and onednn_is_faster():
        if q.shape[-2] >= BLOCKWISE_FRAMES:
            return _blockwise_attention(q, k, v)
        q, k = q.to(v.dtype), k.to(v.dtype)
    return F.scaled_dot_product_attention(q, k, v.to(q.dtype))


def _bypass(x: Tensor, weight: Tensor) -> bool:
    if not _without_gradients(x, weight):
        return False
    return onednn_takes_bfloat16() if x.dtype == torch.bfloat16 else onednn_is_faster()


def _without_gradients(x: Tensor, weight: Tensor) -> bool:
    """Return True on a processor, where nothing is to be differentiated."""
    differentiable = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return x.device.type == "cpu" and not differentiable


def _blockwise_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend head by head, some queries at a time; scores and softmax are float32.

    PyTorch's own kernel multiplies through MKL whatever the dtype. For 3,600 frames of 16 heads it
    takes 0.29 s on two cores, this 0.17 s.
    """
    out = torch.empty_like(v.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
    rows = max(1, SCORES_PER_BLOCK // k.shape[-2])
    # In powers of two, which PyTorch computes three times as fast as those of e.
    scale = math.log2(math.e) * q.shape[-1] ** -0.5
    for head in product(range(q.shape[0]), range(q.shape[1])):
        queries, keys = q[head].float() * scale, k[head].float().contiguous()
        values = v[head].t().contiguous()
        for block, target in zip(queries.split(rows), out[head].split(rows), strict=True):
            scores = linear(block, keys)
            scores.sub_(scores.amax(dim=-1, keepdim=True)).exp2_()
            sums = scores.sum(dim=-1, keepdim=True)
            target.copy_(linear(scores.to(values.dtype), values).div_(sums))
    return out
