"""Winograd's 3x3 convolutions: fewer multiplications, as plain matrix products.

A one-dimensional convolution that yields ``m`` outputs from a window of inputs is
``A @ ((G @ kernel) * (B @ window))``: the transforms ``A, B, G`` are small constants and the
element-wise product is all that remains of the convolution. Applied to both axes and summed over
channels, the product becomes one matrix product per point: 36 of them yield 4 x 4 outputs where
the convolution takes 144 (stride 1, F(4x4, 3x3) of Lavin & Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016). For stride 2 the even and odd inputs are convolved
apart, by two taps and by one: 81 products instead of 144.

Exact in float32 up to its rounding (1e-6 of the output's RMS). In bfloat16 it would not be: the
transforms add and subtract numbers a hundred times larger than their result.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hear_aesthetics.compute.kernels import Conv2d, batched_linear

__all__ = ["MIN_CHANNELS", "WinogradConv2d"]

OUTPUTS = 4  # per axis and tile
TILES_PER_BLOCK = 112  # of 512 channels: 8 MB at 36 points, and as much again per step
MIN_CHANNELS = 128  # with fewer, the transforms cost more than they save

Transforms = tuple[Tensor, Tensor, Tensor]  # A (outputs, points), G (points, 3), B (points, window)


def _toom_cook(outputs: int, taps: int, points: tuple[float, ...]) -> Transforms:
    """Return transforms of a ``taps``-tap convolution at ``points`` and infinity.

    Interpolation (Toom-Cook): values of two polynomials at the points, multiplied, determine their
    product; transposing that algorithm turns the product into a sliding convolution.
    """
    size = outputs + taps - 1
    nodes = torch.tensor(points, dtype=torch.float64)

    def evaluate(terms: int) -> Tensor:
        infinity = F.one_hot(torch.tensor([terms - 1]), terms).double()
        return torch.cat([nodes[:, None] ** torch.arange(terms), infinity])

    interpolate = torch.linalg.inv(evaluate(size))
    return evaluate(outputs).T, evaluate(taps), interpolate.T


# The points decide the rounding error: with 0, 1, -1, 2, -2 it is more than twice as large.
STRIDE_ONE_POINTS = (0.0, 0.625, -0.625, 1.5, -1.5)
STRIDE_TWO_POINTS = (0.0, 0.75, -0.75, 1.5)


def _transforms(stride: int) -> Transforms:
    if stride == 1:
        return _toom_cook(OUTPUTS, 3, STRIDE_ONE_POINTS)
    # Output n reads inputs 2n, 2n + 1, 2n + 2: taps 0 and 2 the even ones, tap 1 the odd ones.
    even_a, even_g, even_b = _toom_cook(OUTPUTS, 2, STRIDE_TWO_POINTS)
    points, identity = len(even_g), torch.eye(OUTPUTS, dtype=torch.float64)
    a = torch.cat([even_a, identity], dim=1)
    g = torch.zeros(points + OUTPUTS, 3, dtype=torch.float64)
    b = torch.zeros(points + OUTPUTS, 2 * OUTPUTS + 1, dtype=torch.float64)
    g[:points, ::2], g[points:, 1] = even_g, 1.0
    b[:points, ::2], b[points:, 1::2] = even_b, identity
    return a, g, b


class WinogradConv2d(Conv2d):
    """A 3x3 ``Conv2d`` of padding 1 and stride 1 or 2 that multiplies less where that pays.

    It pays for wide float32 convolutions on a CPU, without gradients: 480 x 64 positions of 512
    channels take 0.31 s instead of 0.59 on one core of an AMD EPYC (Zen 5). Everything else takes
    PyTorch's own convolution. The first such call transforms the weights, which must not change
    afterwards.

    Shape:
        - input: ``(B, in_channels, H, W)``; output: ``(B, out_channels, H', W')``, channels-last
          in memory where the input is
    """

    _points: Tensor | None = None
    _constants: tuple[Tensor, Tensor] | None = None

    def forward(self, input: Tensor, relu: bool = False, add: Tensor | None = None) -> Tensor:
        """See ``Conv2d``; by tiles where that pays."""
        if not self._pays(input):
            return super().forward(input, relu, add)
        y = self._by_tiles(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y = y if add is None else y.add_(add)
        return y.relu_() if relu else y

    def _pays(self, x: Tensor) -> bool:
        wide = self.in_channels >= MIN_CHANNELS
        differentiable = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        return wide and x.device.type == "cpu" and x.dtype == torch.float32 and not differentiable

    def _transformed(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return output transform, input transform and the kernel at each point, made once."""
        if self._points is None or self._constants is None:
            a, g, b = _transforms(self.stride[0])
            points = torch.einsum("ps,oist,qt->pqoi", g, self.weight.double(), g)
            self._points = points.flatten(0, 1).float().contiguous()
            self._constants = a.float(), b.float()
        return *self._constants, self._points

    def _by_tiles(self, x: Tensor) -> Tensor:
        """Convolve ``(B, H, W, C)``, some rows of tiles at a time to stay in the cache."""
        a, b, weights = self._transformed()
        bias = x.new_zeros(()) if self.bias is None else self.bias
        batch, height, width, _ = x.shape
        stride, window = self.stride[0], b.shape[1]
        step = stride * OUTPUTS
        rows, columns = -(-height // step), -(-width // step)
        bottom, right = (n * step + window - step - 1 for n in (rows, columns))
        padded = F.pad(x, (0, 0, 1, right - width, 1, bottom - height))
        tiles = padded.unfold(1, window, step).unfold(2, window, step).permute(4, 5, 0, 1, 2, 3)
        out = x.new_empty(batch, rows, OUTPUTS, columns, OUTPUTS, self.out_channels)
        block = max(1, TILES_PER_BLOCK // (batch * columns))
        for start in range(0, rows, block):
            part = tiles[:, :, :, start : start + block]
            points = _both_axes(b, part.reshape(window, window, -1)).view(
                len(weights), -1, self.in_channels
            )
            products = batched_linear(points, weights).view(len(b), len(b), -1)
            result = _both_axes(a, products).view(OUTPUTS, OUTPUTS, *part.shape[2:5], -1)
            torch.add(result.permute(2, 3, 0, 4, 1, 5), bias, out=out[:, start : start + block])
        out = out.flatten(3, 4).flatten(1, 2)
        return out[:, : -(-height // stride), : -(-width // stride)]


def _both_axes(matrix: Tensor, x: Tensor) -> Tensor:
    """Apply ``matrix`` to the first and the second axis of ``(n, n, anything)``."""
    rows = (matrix @ x.flatten(1)).view(len(matrix), *x.shape[1:])
    return torch.matmul(matrix, rows)
