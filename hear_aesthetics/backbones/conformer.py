"""Rotary conformer encoder of MuQ and MusicFM.

Features are ``(B, frames, dim)`` throughout, so that every pointwise convolution is a linear layer
and nothing is transposed on the way.

The residual stream, layer norms and rotary tables stay in float32; linear layers, convolutions and
attention run in the dtype of their weights (:meth:`ConformerEncoder.prepare`).

What bfloat16 rounds: most of what a layer reads and writes is the same in every frame of a song,
and so is its rounding error, which no sum over frames averages away. Where that made most of the
error, what frames share is multiplied more exactly than the rest: by all of the weight in ``exact``
layers, and in float32 past attention, whose weights sum to 1, so that a constant added to all
values passes it unchanged. Any row is right as the shared one; the nearer to the mean, the less is
rounded.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hear_aesthetics.backbones.subsampling import Conv2dSubsampling
from hear_aesthetics.compute.kernels import TYPICAL_STEP, Conv2d, Linear, attention

__all__ = ["ConformerConfig", "ConformerEncoder", "ConformerLayer"]

FRAMES_PER_CHUNK = 1920  # feed-forward modules then make 31 MB in float32


@dataclass(frozen=True)
class ConformerConfig:
    """Sizes of an encoder; the defaults are the published ones.

    Attributes:
        dim: Width of the residual stream.
        depth: Conformer layers.
        heads: Attention heads; divides ``dim``.
        ffn_dim: Width inside the feed-forward modules.
        conv_channels: Channels of the convolutional subsampling.
        kernel_size: Taps of the depthwise convolution, odd.
        rotary_base: Base of the rotary frequencies.
    """

    dim: int = 1024
    depth: int = 12
    heads: int = 16
    ffn_dim: int = 4096
    conv_channels: int = 512
    kernel_size: int = 31
    rotary_base: float = 10_000.0

    def __post_init__(self) -> None:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim {self.dim} is not a multiple of twice the {self.heads} heads")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


def rotary_tables(inv_freq: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of ``position * inv_freq``, ``(frames, 1, head_dim // 2)`` each."""
    angles = torch.arange(frames, device=inv_freq.device, dtype=torch.float32)[:, None] * inv_freq
    return angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each head's halves ``(x1, x2)`` by the position's angles.

    Shape:
        - x and output: ``(B, frames, heads, head_dim)``
    """
    cos, sin = rotary
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)


class FeedForward(nn.Module):
    """LayerNorm, linear, SiLU, linear."""

    def __init__(self, dim: int, ffn_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = Linear(dim, ffn_dim)
        self.down = Linear(ffn_dim, dim, exact=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(self.norm(x), silu=True))


class RotaryAttention(nn.Module):
    """Self-attention whose rotary positions act before the query and key projections.

    The usual order is the reverse. The published encoders were trained with this one: the
    normalized input is split into heads, rotated, and only then projected; values see it unrotated.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.query = Linear(dim, dim)
        self.key = Linear(dim, dim)
        self.value = Linear(dim, dim)
        self.out = Linear(dim, dim)
        self.shared: nn.Linear | None = None  # from what frames share to its part of the output

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        origin = None
        if self.shared is not None:
            origin = self.norm(x[:, ::TYPICAL_STEP]).mean(1, keepdim=True)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in map_chunks(partial(self._project, origin), x, *rotary)
        )
        out = self.out(attention(q, k, v).transpose(1, 2).flatten(-2))
        return out if self.shared is None else out + self.shared(origin)

    def part(self) -> None:
        """Let what frames share pass attention in float32, biases included."""
        value, out = self.value, self.out
        self.shared = nn.Linear(value.in_features, out.out_features, device="meta")
        self.shared.weight = nn.Parameter(out.weight @ value.weight, False)
        self.shared.bias = nn.Parameter(F.linear(value.bias, out.weight, out.bias), False)
        for layer in (value, out):
            layer.register_parameter("bias", None)

    def _project(
        self, origin: Tensor | None, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        normed = self.norm(x)
        rotated = rotate(normed.unflatten(-1, (self.heads, -1)), (cos, sin)).flatten(-2)
        rotated = rotated.to(self.query.weight.dtype)  # once for both
        values = self.value(normed if origin is None else normed - origin)
        return self.query(rotated), self.key(rotated), values


class ConvolutionModule(nn.Module):
    """LayerNorm, pointwise, GLU, depthwise, BatchNorm, SiLU, pointwise."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.pointwise_in = Linear(dim, 2 * dim, bias=False)
        # Two-dimensional, because channels-last kernels exist for that case alone.
        self.depthwise = Conv2d(
            dim, dim, (kernel_size, 1), padding=(kernel_size // 2, 0), groups=dim, bias=False
        )
        self.batch_norm: nn.Module = nn.BatchNorm2d(dim)
        self.pointwise_out = Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (h,) = map_chunks(lambda part: (F.glu(self.pointwise_in(self.norm(part))),), x)
        h = h.transpose(1, 2).unsqueeze(-1)  # (B, dim, T, 1), channels-last in memory
        h = F.silu(self.batch_norm(self.depthwise(h)))
        return self.pointwise_out(h.squeeze(-1).transpose(1, 2))

    def fold(self) -> None:
        """Merge the batch norm into the depthwise convolution (evaluation mode)."""
        if isinstance(self.batch_norm, nn.BatchNorm2d):
            self.depthwise = fuse_conv_bn_eval(self.depthwise, self.batch_norm)
            self.batch_norm = nn.Identity()


def map_chunks(
    function: Callable[..., tuple[Tensor, ...]], x: Tensor, *tables: Tensor
) -> Sequence[Tensor]:
    """Apply a frame-wise function, without gradients in chunks of ``FRAMES_PER_CHUNK`` frames.

    What the function makes on the way then stays in the cache, and small.

    Shape:
        - x and what the function returns: ``(B, frames, anything)``; tables: ``(frames, ...)``
    """
    if torch.is_grad_enabled() or x.shape[1] <= FRAMES_PER_CHUNK:
        return function(x, *tables)
    outs: list[Tensor] = []
    for start in range(0, x.shape[1], FRAMES_PER_CHUNK):
        frames = slice(start, start + FRAMES_PER_CHUNK)
        parts = function(x[:, frames], *(table[frames] for table in tables))
        outs = outs or [part.new_empty(*x.shape[:2], part.shape[-1]) for part in parts]
        for out, part in zip(outs, parts, strict=True):
            out[:, frames] = part
    return outs


def residual_chunked(x: Tensor, module: nn.Module, weight: float) -> Tensor:
    """Return ``x + weight * module(x)`` of a frame-wise module, in chunks as :func:`map_chunks`.

    Its wide intermediate would take 490 MB in float32 for 20 minutes.
    """
    if torch.is_grad_enabled():
        return torch.add(x, module(x), alpha=weight)
    out = x.new_empty(x.shape)
    rows = (tensor.flatten(0, 1).split(FRAMES_PER_CHUNK) for tensor in (x, out))
    for source, target in zip(*rows, strict=True):
        torch.add(source, module(source), alpha=weight, out=target)
    return out


class ConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, LayerNorm.

    Shape:
        - x and output: ``(B, frames, dim)``, float32
    """

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.ffn1 = FeedForward(config.dim, config.ffn_dim)
        self.attention = RotaryAttention(config.dim, config.heads)
        self.conv = ConvolutionModule(config.dim, config.kernel_size)
        self.ffn2 = FeedForward(config.dim, config.ffn_dim)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Apply the layer; ``rotary`` are the tables of :func:`rotary_tables`."""
        x = residual_chunked(x, self.ffn1, 0.5)
        x = x + self.attention(x, rotary)
        x = x + self.conv(x)
        x = residual_chunked(x, self.ffn2, 0.5)
        return self.norm(x)


class ConformerEncoder(nn.Module):
    """Subsampling and conformer layers, exposing any hidden state.

    Hidden state 0 is the conformer's input, k the output of layer k, and the last one the output of
    the last layer followed by the encoder's own layer norm.
    """

    inv_freq: Tensor

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.config = config
        self.subsampling = Conv2dSubsampling(config.conv_channels, config.dim)
        self.layers = nn.ModuleList(ConformerLayer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        # On the CPU even when built on "meta": there, arange imports the compiler, for a second.
        steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device="cpu")
        self.register_buffer("inv_freq", config.rotary_base ** -(steps / config.head_dim))

    def forward(self, frames: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
        """Return hidden states for ``frames``, the subsampling's output, up to the highest.

        Shape:
            - frames and each output: ``(B, T, dim)``; outputs are float32
        """
        x = frames.float()
        states = {0: x} if 0 in layers else {}
        rotary = rotary_tables(self.inv_freq, x.shape[1])
        for index in range(1, max(layers) + 1):
            x = self.layers[index - 1](x, rotary)
            if index in layers:
                states[index] = self.norm(x) if index == self.config.depth else x
        return states

    def truncate(self, layers: int) -> None:
        """Drop every layer above ``layers``; their hidden states are then no longer available."""
        self.layers = self.layers[:layers]

    def prepare(self, dtype: torch.dtype) -> None:
        """Fold the batch norms and convert weights to ``dtype``, once, for inference.

        Layer norms, biases and rotary frequencies stay float32. Afterwards the encoder cannot be
        trained.
        """
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, ConvolutionModule):
                module.fold()
            elif isinstance(module, RotaryAttention) and dtype == torch.bfloat16:
                module.part()
        self.subsampling.fold(dtype)
        for module in self.modules():
            if isinstance(module, Conv2d | Linear):
                module.shrink(dtype)
