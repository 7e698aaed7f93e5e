"""Band-limited and coloured noise."""

import numpy as np
from scipy import fft
from scipy.signal import butter, sosfilt

__all__ = ["band_noise", "coloured_noise"]

LOWEST_HZ = 30.0  # below it coloured noise is flat, so that its level stays finite
NYQUIST_MARGIN = 0.47  # of the sample rate: highest edge of a band


def band_noise(
    samples: int, low: float, high: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Return noise between ``low`` and ``high`` Hz at unit RMS, ``(samples,)`` float32.

    Where the sample rate is too low for the band, the highest octave there is takes its place.
    """
    high = min(high, NYQUIST_MARGIN * sample_rate)
    sections = butter(
        2, (min(low, high / 2), high), "bandpass", fs=sample_rate, output="sos"
    ).astype(np.float32)
    noise = sosfilt(sections, rng.standard_normal(samples, np.float32))
    return noise / (np.sqrt(np.mean(noise**2)) + np.float32(1e-9))


def coloured_noise(
    samples: int, exponent: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Return noise of power spectrum 1 / f**exponent at unit RMS, ``(samples,)`` float32.

    Exponent 0 is white, 1 pink, 2 red.
    """
    length = fft.next_fast_len(samples, real=True)
    spectrum = fft.rfft(rng.standard_normal(length, np.float32))
    hertz = np.maximum(fft.rfftfreq(length, 1 / sample_rate), LOWEST_HZ)
    spectrum *= (hertz ** (-exponent / 2)).astype(np.float32)
    noise = fft.irfft(spectrum, length)[:samples]
    return (noise / (np.sqrt(np.mean(noise**2)) + 1e-12)).astype(np.float32)
