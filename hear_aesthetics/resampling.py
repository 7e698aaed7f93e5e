"""Exact 2:1 decimation inside the model, from the rate HEAR offers to the encoders' own."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.spec import API_SAMPLE_RATE, SAMPLE_RATE

__all__ = ["HalveRate"]

PASSBAND_HZ = 10_950  # what soxr's HQ setting passes at 24 kHz: 0.9125 of Nyquist
STOPBAND_DB = 120.0


class HalveRate(nn.Module):
    """48 kHz to 24 kHz by a linear-phase low-pass filter centred on every second sample.

    Output sample n lies at the time of input sample 2n: the filter has no delay. Outside the signal
    zeros are assumed. The filter is a Kaiser-windowed sinc: flat to 10.95 kHz, 120 dB down
    from 12 kHz on, where aliasing would begin.

    Shape:
        - input: ``(B, samples)`` float32; output: ``(B, ceil(samples / 2))``
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", _half_band_taps()[None, None], persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Every second sample of the low-passed waveform."""
        reach = self.taps.shape[-1] // 2
        padded = F.pad(waveform[:, None], (reach, reach))
        return F.conv1d(padded, self.taps, stride=API_SAMPLE_RATE // SAMPLE_RATE)[:, 0]


def _half_band_taps() -> Tensor:
    """Kaiser's design (Oppenheim & Schafer, Discrete-Time Signal Processing, Sec. 7.5.3)."""
    stop = SAMPLE_RATE / 2
    width = 2 * math.pi * (stop - PASSBAND_HZ) / API_SAMPLE_RATE
    reach = math.ceil((STOPBAND_DB - 8.0) / (2.285 * width) / 2)
    beta = 0.1102 * (STOPBAND_DB - 8.7)
    cutoff = (stop + PASSBAND_HZ) / API_SAMPLE_RATE  # in units of the Nyquist frequency
    n = torch.arange(-reach, reach + 1, dtype=torch.float64)
    window = torch.kaiser_window(len(n), periodic=False, beta=beta, dtype=torch.float64)
    taps = cutoff * torch.sinc(cutoff * n) * window
    return (taps / taps.sum()).float()
