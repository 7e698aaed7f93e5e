"""Audio as ASTAR-NTU's released code prepares it: each channel resampled, averaged, 30 s long.

The resampler is torchaudio's with its defaults, a windowed sinc (J. O. Smith, "Digital Audio
Resampling"): ``h(t) = f / r * sinc(f t) * cos(pi f t / 12) ** 2`` for ``|f t| <= 6``, where ``r``
is the rate of the file and ``f`` 0.99 times the lower of both rates. Longer clips are cut, shorter
ones padded with zeros, which MuQ then hears as silence.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hear_aesthetics.audio.loading import audio_info, load_audio
from hear_aesthetics.errors import AudioError
from hear_aesthetics.spec import SAMPLE_RATE
from musiceval_task.data.dataset import CLIP_SECONDS, MusicEvalClip

__all__ = ["PREPARATION", "load_released", "sinc_resample"]

ZERO_CROSSINGS = 6  # of the sinc on each side
ROLLOFF = 0.99
MARGIN_SECONDS = 1.0  # read beyond the cut, so that the filter sees what follows it
PREPARATION = {
    "resampler": f"sinc hann {ZERO_CROSSINGS} {ROLLOFF}",
    "padded_to_seconds": CLIP_SECONDS,
}


def load_released(clip: MusicEvalClip) -> np.ndarray:
    """Return the first 30 s of a clip at 24 kHz, zeros after its end, ``(720000,)`` float32.

    Raises:
        AudioError: If the file cannot be read, or changes its rate or channels on the way.
    """
    rate = audio_info(clip.path).sample_rate
    blocks: list[np.ndarray] = []
    rates: set[int] = set()

    def keep(samples: np.ndarray, rate: int) -> None:
        blocks.append(samples.copy())
        rates.add(rate)

    end = CLIP_SECONDS + MARGIN_SECONDS
    load_audio(clip.path, rate, end=end, min_samples=1, on_block=keep)
    if rates != {rate} or len({block.shape[1] for block in blocks}) > 1:
        raise AudioError(f"{clip.path}: its rate or channels change on the way; convert it to WAV")
    channels = torch.from_numpy(np.concatenate(blocks).T.copy())
    mono = sinc_resample(channels, rate, SAMPLE_RATE).mean(dim=0)
    length = round(CLIP_SECONDS * SAMPLE_RATE)
    return F.pad(mono[:length], (0, max(0, length - len(mono)))).numpy()


def sinc_resample(waveform: Tensor, orig: int, new: int) -> Tensor:
    """Return a waveform at another rate, as ``torchaudio.transforms.Resample`` by default.

    Args:
        waveform: Float32 samples.
        orig: Rate of ``waveform`` in Hz.
        new: Rate of the result in Hz.

    Shape:
        - waveform: ``(channels, samples)``
        - output: ``(channels, samples * new / orig)``, rounded up
    """
    if orig == new:
        return waveform
    divisor = math.gcd(orig, new)
    step, phases = orig // divisor, new // divisor  # so many outputs for so many inputs
    cutoff = ROLLOFF * min(step, phases)
    reach = math.ceil(ZERO_CROSSINGS * step / cutoff)
    inputs = torch.arange(-reach, reach + step, dtype=torch.float64) / step
    outputs = torch.arange(phases, dtype=torch.float64) / phases
    places = (cutoff * (inputs - outputs[:, None])).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = torch.cos(places * math.pi / (2 * ZERO_CROSSINGS)).square()
    kernels = (cutoff / step * torch.sinc(places) * window).float()
    padded = F.pad(waveform, (reach, reach + step))
    resampled = F.conv1d(padded[:, None], kernels[:, None], stride=step)
    # The length is rounded up from float32, as theirs is: long clips may lose a sample so.
    length = int(torch.tensor(phases * waveform.shape[1] / step, dtype=torch.float32).ceil())
    return resampled.transpose(1, 2).flatten(1)[:, :length]
