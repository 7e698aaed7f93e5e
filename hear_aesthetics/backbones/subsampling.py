"""Convolutional subsampling of the encoders: log-mel to frames.

Layout: time before frequency, channels last in memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hear_aesthetics.compute.kernels import Linear, SplitConv2d, typical
from hear_aesthetics.compute.winograd import MIN_CHANNELS, WinogradConv2d
from hear_aesthetics.spec import MEL_PER_FRAME, N_MELS

__all__ = ["HALO_AFTER", "HALO_BEFORE", "RECEPTIVE_MEL", "Conv2dSubsampling"]

# Frame k sees mel frames 4k - 9 to 4k + 9: one tap for each of the convolutions on the way back
# to the mel, at strides 4, 4, 2, 2 and 1 (two convolutions of 3 taps per block).
RECEPTIVE_MEL = 9
HALO_BEFORE = -(-RECEPTIVE_MEL // MEL_PER_FRAME)  # frames spoilt by zero padding at a cut's start
HALO_AFTER = RECEPTIVE_MEL // MEL_PER_FRAME  # and at its end
# Bounds the intermediate channels: at 31 MB in bfloat16 the C library still reuses the memory; from
# 32 MB on it maps and clears new pages each time, which costs 7 % of the subsampling.
FRAMES_PER_CHUNK = 120
CHUNKS_PER_PRODUCT = 4  # whose rows the linear layer takes together: its weights are the largest
NARROW_FRAMES_PER_CHUNK = 256  # of few channels: more cost memory, clips of 10 s are not cut


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

    def folded(self, dtype: torch.dtype) -> "FoldedBlock":
        """Merge the batch norms into the convolutions (evaluation mode)."""
        entry = fuse_conv_bn_eval(self.entry, self.entry_norm)
        conv = fuse_conv_bn_eval(self.conv, self.norm)
        tiles = dtype == torch.float32 and entry.in_channels >= MIN_CHANNELS
        return FoldedBlock(entry, conv, joined=tiles)


class FoldedBlock(nn.Module):
    """Inference twin of :class:`SubsamplingBlock`: no batch norms, and in place.

    The entry is two convolutions again, so that element-wise passes become part of convolutions,
    unless ``joined``: where both go by tiles, which are then made once.
    """

    def __init__(self, entry: nn.Conv2d, conv: nn.Conv2d, joined: bool) -> None:
        super().__init__()
        # The mel is one channel, whose rounding all that follows would inherit.
        kind = SplitConv2d if entry.in_channels == 1 else WinogradConv2d
        halves = slice(conv.in_channels), slice(conv.in_channels, None)
        # Added with the skip: a convolution that adds takes no float32 bias beside small weights.
        if entry.bias is not None and conv.bias is not None:  # as they are once folded
            entry.bias.data[conv.in_channels :] += conv.bias.data
        parts = (slice(None),) if joined else halves
        self.entries = nn.ModuleList(kind.like(entry, part) for part in parts)
        self.conv = WinogradConv2d.like(conv)
        self.conv.bias = None

    def forward(self, x: Tensor) -> Tensor:
        if len(self.entries) == 1:
            inner, skip = self.entries[0](x).chunk(2, dim=1)
            inner.relu_()
        else:
            inner, skip = self.entries[0](x, relu=True), self.entries[1](x)
        return self.conv(inner, relu=True, add=skip)


class Conv2dSubsampling(nn.Module):
    """Normalised log-mel to encoder frames, 4:1 in time.

    In evaluation mode a long or large batch is cut up: items apart, then into overlapping chunks.
    This changes no value.

    Shape:
        - input: ``(B, n_mels, mel_frames)``; output: ``(B, ceil(ceil(mel_frames/2)/2), dim)``
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.chunk = FRAMES_PER_CHUNK if channels >= MIN_CHANNELS else NARROW_FRAMES_PER_CHUNK
        self.blocks = nn.ModuleList(
            [SubsamplingBlock(1, channels), SubsamplingBlock(channels, channels)]
        )
        # Its output starts the residual stream: rounded, it would err as nearly all layers do.
        self.linear = Linear(channels * N_MELS // MEL_PER_FRAME, dim, exact=True)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Return the frames of a normalized log-mel."""
        frames = -(-log_mel.shape[-1] // MEL_PER_FRAME)
        if self.training or len(log_mel) * frames <= self.chunk:
            return self._project(self._convolve(log_mel))
        items = log_mel.split(max(1, self.chunk // frames))
        return torch.cat([self._by_chunks(part, frames) for part in items])

    def _by_chunks(self, log_mel: Tensor, frames: int) -> Tensor:
        starts = range(0, frames, self.chunk)
        groups = (
            starts[i : i + CHUNKS_PER_PRODUCT] for i in range(len(starts))[::CHUNKS_PER_PRODUCT]
        )
        chunks = (torch.cat([self._chunk(log_mel, k) for k in group], dim=1) for group in groups)
        return torch.cat([self._project(chunk) for chunk in chunks], dim=1)

    def _project(self, x: Tensor) -> Tensor:
        if self.linear.lost is None:
            return self.linear(x)
        shared = self.linear(typical(x))[0].float()
        return self.linear(x, less=shared) + shared

    def _chunk(self, log_mel: Tensor, start: int) -> Tensor:
        """Convolve a chunk; its first and last frames see their neighbours."""
        stop = start + self.chunk
        first = max(start - HALO_BEFORE, 0)
        cut = log_mel[..., MEL_PER_FRAME * first : MEL_PER_FRAME * (stop + HALO_AFTER)]
        return self._convolve(cut)[:, start - first : stop - first]

    def fold(self, dtype: torch.dtype) -> None:
        """Replace the blocks by their inference twins for ``dtype``."""
        self.blocks = nn.ModuleList(
            block.folded(dtype) if isinstance(block, SubsamplingBlock) else block
            for block in self.blocks
        )

    def _convolve(self, log_mel: Tensor) -> Tensor:
        x = log_mel.transpose(1, 2).unsqueeze(1)
        for block in self.blocks:
            x = block(x)
        # (B, C, T, F) -> (B, T, F * C): a view where the convolutions ran channels-last.
        return x.permute(0, 2, 3, 1).flatten(2)
