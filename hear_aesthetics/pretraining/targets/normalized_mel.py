"""Input of the quantizers: the log-mel of a frame, independent of the clip's level.

Raw decibels let a few codes take everything: silence, and whatever is loud. Here quiet parts are
floored relative to the clip's loudest bin, the clip's mean is removed, and each mel band is
standardized with constants measured once on the pool. Removing each band's mean over the clip
instead would make every target depend on the whole clip: the encoder then learns half as fast.

The published encoders were trained on codes of raw decibels, with one mean and deviation for all
bands; training that goes on from them takes the same.
"""

import torch
from torch import Tensor, nn

from hear_aesthetics.spec import MEL_PER_FRAME, N_MELS

__all__ = ["TARGET_DIM", "PublishedFeatures", "TargetFeatures"]

TARGET_DIM = N_MELS * MEL_PER_FRAME
RANGE_DB = 40.0  # below the loudest bin of the clip; quieter bins are mostly noise
MIN_STD = 1.0  # dB, so that the noise of bands that hardly vary is not amplified


class TargetFeatures(nn.Module):
    """Log-mel in dB to one vector per encoder frame.

    Shape:
        - input: ``(B, 128, mel_frames)`` with a multiple of 4 mel frames
        - output: ``(B, mel_frames / 4, 512)`` float32: the frame's four mel frames side by side
    """

    band_mean: Tensor
    band_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("band_mean", torch.zeros(N_MELS))
        self.register_buffer("band_std", torch.ones(N_MELS))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Return the vectors of the frames."""
        return _frames((self._level_normalized(log_mel) - self.band_mean) / self.band_std)

    def fit(self, log_mel: Tensor) -> None:
        """Measure the bands' means and standard deviations."""
        normalized = self._level_normalized(log_mel)
        self.band_mean.copy_(normalized.mean(dim=(0, 1)))
        self.band_std.copy_(normalized.std(dim=(0, 1)).clamp(min=MIN_STD))

    def _level_normalized(self, log_mel: Tensor) -> Tensor:
        floored = log_mel.maximum(log_mel.amax(dim=(1, 2), keepdim=True) - RANGE_DB)
        return (floored - floored.mean(dim=(1, 2), keepdim=True)).transpose(1, 2)


class PublishedFeatures(nn.Module):
    """Log-mel in dB, normalized as the encoder's input is, to one vector per encoder frame.

    Args:
        mean: Mean of the log-mel in dB over the encoder's training set.
        std: Its standard deviation.

    Shape:
        - input and output: as of :class:`TargetFeatures`
    """

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, log_mel: Tensor) -> Tensor:
        """Return the vectors of the frames."""
        return _frames(((log_mel - self.mean) / self.std).transpose(1, 2))


def _frames(mel: Tensor) -> Tensor:
    """Put the mel frames of each encoder frame side by side."""
    return mel.unflatten(1, (-1, MEL_PER_FRAME)).flatten(2)
