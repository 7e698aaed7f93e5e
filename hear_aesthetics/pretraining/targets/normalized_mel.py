"""What the quantisers see: the log-mel of a frame, freed of the clip's level.

Raw decibels let a few codes take everything: silence, and whatever is loud. Here quiet parts are
floored relative to the clip's loudest bin, the clip's mean is removed, and each mel band is brought
to mean 0 and variance 1 with constants measured once on the pool. Removing each band's mean over
the clip instead would make every target depend on the whole clip: measured, the encoder then
learns half as fast.
"""

import torch
from torch import Tensor, nn

from hear_aesthetics.spec import MEL_PER_FRAME, N_MELS

__all__ = ["TARGET_DIM", "TargetFeatures"]

TARGET_DIM = N_MELS * MEL_PER_FRAME
RANGE_DB = 40.0  # below the loudest bin of the clip: what is quieter is mostly noise
LEAST_STD = 1.0  # dB: bands that hardly vary are not blown up


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
        """The frames' vectors."""
        scaled = (self._levelled(log_mel) - self.band_mean) / self.band_std
        return scaled.unflatten(1, (-1, MEL_PER_FRAME)).flatten(2)

    def fit(self, log_mel: Tensor) -> None:
        """Measure the bands' means and standard deviations."""
        levelled = self._levelled(log_mel)
        self.band_mean.copy_(levelled.mean(dim=(0, 1)))
        self.band_std.copy_(levelled.std(dim=(0, 1)).clamp(min=LEAST_STD))

    def _levelled(self, log_mel: Tensor) -> Tensor:
        floored = log_mel.maximum(log_mel.amax(dim=(1, 2), keepdim=True) - RANGE_DB)
        return (floored - floored.mean(dim=(1, 2), keepdim=True)).transpose(1, 2)
