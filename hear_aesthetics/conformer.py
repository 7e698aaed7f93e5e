"""Convolutional subsampling and the rotary conformer that MuQ and MusicFM share.

Layout: time before frequency, channels last. Features are ``(B, frames, dim)`` throughout, so that
every pointwise convolution is a linear layer and nothing is transposed on the way.

The residual stream, layer norms and rotary tables stay in float32; linear layers, convolutions and
attention run in the dtype of their weights (:meth:`ConformerEncoder.prepare`).
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hear_aesthetics.kernels import Linear, attention
from hear_aesthetics.spec import MEL_PER_FRAME, N_MELS
from hear_aesthetics.winograd import WinogradConv2d

__all__ = ["ConformerConfig", "ConformerEncoder", "ConformerLayer", "Conv2dSubsampling"]


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


class SubsamplingBlock(nn.Module):
    """Residual block of stride 2: ``ReLU(BN(conv(ReLU(inner))) + skip)``.

    The published block's first and skip convolutions read the same input with the same stride;
    here they are one convolution with both sets of output channels.

    Shape:
        - input: ``(B, in_channels, T, F)``; output: ``(B, channels, ceil(T/2), ceil(F/2))``
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(in_channels, 2 * channels, 3, stride=2, padding=1)
        self.entry_norm = nn.BatchNorm2d(2 * channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner, skip = self.entry_norm(self.entry(x)).chunk(2, dim=1)
        return F.relu(self.norm(self.conv(F.relu(inner))) + skip)

    def folded(self) -> "FoldedBlock":
        """The block with its batch norms merged into the convolutions (evaluation mode)."""
        entry = fuse_conv_bn_eval(self.entry, self.entry_norm)
        return FoldedBlock(entry, fuse_conv_bn_eval(self.conv, self.norm))


class FoldedBlock(nn.Module):
    """Inference twin of :class:`SubsamplingBlock`: no batch norms, and in place."""

    def __init__(self, entry: nn.Conv2d, conv: nn.Conv2d) -> None:
        super().__init__()
        self.entry, self.conv = WinogradConv2d.like(entry), WinogradConv2d.like(conv)

    def forward(self, x: Tensor) -> Tensor:
        inner, skip = self.entry(x).chunk(2, dim=1)
        return self.conv(inner.relu_()).add_(skip).relu_()


# Frame k sees mel frames 4k - 9 to 4k + 9: one tap for each of the convolutions on the way back
# to the mel, at strides 4, 4, 2, 2 and 1 (two convolutions of 3 taps per block).
RECEPTIVE_MEL = 9
HALO_BEFORE = -(-RECEPTIVE_MEL // MEL_PER_FRAME)  # frames spoilt by zero padding at a cut's start
HALO_AFTER = RECEPTIVE_MEL // MEL_PER_FRAME  # and at its end
# Bounds the intermediate channels: at 31 MB in bfloat16 the C library still reuses the memory; from
# 32 MB on it maps and clears new pages each time, which costs 7 % of the subsampling.
FRAMES_PER_CHUNK = 120


class Conv2dSubsampling(nn.Module):
    """Normalised log-mel to encoder frames, 4:1 in time.

    In evaluation mode a long or large batch is cut up: items apart, then into overlapping chunks.
    This changes no value.

    Shape:
        - input: ``(B, n_mels, mel_frames)``; output: ``(B, ceil(ceil(mel_frames/2)/2), dim)``
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [SubsamplingBlock(1, channels), SubsamplingBlock(channels, channels)]
        )
        self.linear = Linear(channels * N_MELS // MEL_PER_FRAME, dim)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Frames of a normalised log-mel."""
        frames = -(-log_mel.shape[-1] // MEL_PER_FRAME)
        if self.training or len(log_mel) * frames <= FRAMES_PER_CHUNK:
            return self._convolve(log_mel)
        items = log_mel.split(max(1, FRAMES_PER_CHUNK // frames))
        return torch.cat([self._by_chunks(part, frames) for part in items])

    def _by_chunks(self, log_mel: Tensor, frames: int) -> Tensor:
        chunks = []
        for start in range(0, frames, FRAMES_PER_CHUNK):
            stop = start + FRAMES_PER_CHUNK
            first = max(start - HALO_BEFORE, 0)
            cut = log_mel[..., MEL_PER_FRAME * first : MEL_PER_FRAME * (stop + HALO_AFTER)]
            chunks.append(self._convolve(cut)[:, start - first : stop - first])
        return torch.cat(chunks, dim=1)

    def fold(self) -> None:
        """Replace the blocks by their inference twins."""
        for index, block in enumerate(self.blocks):
            if isinstance(block, SubsamplingBlock):
                self.blocks[index] = block.folded()

    def _convolve(self, log_mel: Tensor) -> Tensor:
        x = log_mel.transpose(1, 2).unsqueeze(1).to(self.linear.weight.dtype)
        for block in self.blocks:
            x = block(x)
        # (B, C, T, F) -> (B, T, F * C): a view where the convolutions ran channels-last.
        return self.linear(x.permute(0, 2, 3, 1).flatten(2))


ROWS_PER_BLOCK = 1536  # frames; any number from 512 on is within 5 % of it


def rotary_tables(inv_freq: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of ``position * inv_freq``, each ``(frames, 1, head_dim // 2)``, float32."""
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
        self.down = Linear(ffn_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(self.norm(x), silu=True))


class RotaryAttention(nn.Module):
    """Self-attention whose rotary positions act before the query and key projections.

    The usual order is the reverse. The published encoders were trained with this one: the
    normalised input is split into heads, rotated, and only then projected; values see it unrotated.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.query = Linear(dim, dim)
        self.key = Linear(dim, dim)
        self.value = Linear(dim, dim)
        self.out = Linear(dim, dim)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        normed = self.norm(x)
        rotated = rotate(normed.unflatten(-1, (self.heads, -1)), rotary).flatten(-2)
        rotated = rotated.to(self.query.weight.dtype)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(rotated), self.key(rotated), self.value(normed))
        )
        return self.out(attention(q, k, v).transpose(1, 2).flatten(-2))


class ConvolutionModule(nn.Module):
    """LayerNorm, pointwise, GLU, depthwise, BatchNorm, SiLU, pointwise."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.pointwise_in = Linear(dim, 2 * dim, bias=False)
        # Two-dimensional, because channels-last kernels exist for that case alone.
        self.depthwise = nn.Conv2d(
            dim, dim, (kernel_size, 1), padding=(kernel_size // 2, 0), groups=dim, bias=False
        )
        self.batch_norm: nn.Module = nn.BatchNorm2d(dim)
        self.pointwise_out = Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.glu(self.pointwise_in(self.norm(x)))
        h = h.transpose(1, 2).unsqueeze(-1)  # (B, dim, T, 1), channels-last in memory
        h = F.silu(self.batch_norm(self.depthwise(h)))
        return self.pointwise_out(h.squeeze(-1).transpose(1, 2))

    def fold(self) -> None:
        """Merge the batch norm into the depthwise convolution (evaluation mode)."""
        if isinstance(self.batch_norm, nn.BatchNorm2d):
            self.depthwise = fuse_conv_bn_eval(self.depthwise, self.batch_norm)
            self.batch_norm = nn.Identity()


def add_by_rows(x: Tensor, module: nn.Module, weight: float) -> Tensor:
    """``x + weight * module(x)`` for a module that treats each frame alone.

    Without gradients a block of frames goes through at a time: its wide intermediate then stays in
    the cache, and small (the memory of 20 minutes would be 490 MB in float32).
    """
    if torch.is_grad_enabled():
        return torch.add(x, module(x), alpha=weight)
    out = x.new_empty(x.shape)
    rows = (tensor.flatten(0, 1).split(ROWS_PER_BLOCK) for tensor in (x, out))
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
        """One layer; ``rotary`` are the tables of :func:`rotary_tables`."""
        x = add_by_rows(x, self.ffn1, 0.5)
        x = x + self.attention(x, rotary)
        x = x + self.conv(x)
        x = add_by_rows(x, self.ffn2, 0.5)
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
        exponents = steps / config.head_dim
        self.register_buffer("inv_freq", config.rotary_base**-exponents)

    def forward(self, frames: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
        """Hidden states for ``frames``, the subsampling's output; nothing above the highest is run.

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

        Layer norms and rotary frequencies stay float32. Afterwards the encoder cannot be trained.
        """
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, ConvolutionModule):
                module.fold()
        self.subsampling.fold()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.to(dtype=dtype)
                module.weight.data = module.weight.to(memory_format=torch.channels_last)
            elif isinstance(module, nn.Linear):
                module.to(dtype=dtype)
