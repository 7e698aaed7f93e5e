"""Input of the quantizers: the log-mel of a frame, independent of the clip's level.

Raw decibels let a few codes take everything: silence, and whatever is loud. Here quiet parts are
floored relative to the clip's loudest bin, the clip's mean is removed, and each mel band is
standardized with constants measured once on the pool. Removing each band's mean over the clip
instead would make every target depend on the whole clip: the encoder then learns half as fast.
"""

import torch
from torch import Tensor, nn

from hear_aesthetics.spec import MEL_PER_FRAME, N_MELS

__all__ = ["TARGET_DIM", "TargetFeatures"]

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
        scaled = (self._level_normalized(log_mel) - self.band_mean) / self.band_std
        return scaled.unflatten(1, (-1, MEL_PER_FRAME)).flatten(2)

    def fit(self, log_mel: Tensor) -> None:
        """Measure the bands' means and standard deviations."""
        normalized = self._level_normalized(log_mel)
        self.band_mean.copy_(normalized.mean(dim=(0, 1)))
        self.band_std.copy_(normalized.std(dim=(0, 1)).clamp(min=MIN_STD))

    def _level_normalized(self, log_mel: Tensor) -> Tensor:
        floored = log_mel.maximum(log_mel.amax(dim=(1, 2), keepdim=True) - RANGE_DB)
        return (floored - floored.mean(dim=(1, 2), keepdim=True)).transpose(1, 2)
