"""What the peers share: files of installed packages, mel bands, pooling of frames over time.

A package's weights are read from its folder without importing it: its own imports (TensorFlow,
librosa) are not needed.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hear_aesthetics.errors import WeightsUnavailableError
from hear_aesthetics.features.pooling import pool_frames

__all__ = [
    *("FramePeer", "get_scene_embeddings", "get_timestamp_embeddings"),
    *("mel_bands", "package_file", "power_mel"),
]


class FramePeer(nn.Module):
    """Peer with one embedding per hop; a scene is their mean and deviation over time."""

    sample_rate = 16_000
    moments = 2

    def __init__(self, size: int, hop_ms: float) -> None:
        super().__init__()
        self.timestamp_embedding_size, self.hop_ms = size, hop_ms
        self.scene_embedding_size = self.moments * size

    def scenes(self, frames: Tensor) -> Tensor:
        """Return scene embeddings of frames, ``(B, frames, dim)`` to ``(B, moments * dim)``."""
        return pool_frames(frames, "mean+std" if self.moments == 2 else "mean")


def package_file(package: str, path: str) -> Path:
    """Return a file of an installed package.

    Raises:
        WeightsUnavailableError: If the package or the file is missing.
    """
    spec = find_spec(package)
    file = Path(((spec and spec.submodule_search_locations) or ["-"])[0]) / path
    if not file.is_file():
        raise WeightsUnavailableError(f"{package}/{path} is missing; run `make peers`")
    return file


def mel_bands(bands: int, n_fft: int, rate: int) -> Tensor:
    """Return triangles of equal area on Slaney's mel scale, ``(n_fft // 2 + 1, bands)``."""
    step, knee, log_step = 200 / 3, 1000.0, np.log(6.4) / 27  # linear below 1 kHz
    top = knee / step + np.log(rate / 2 / knee) / log_step
    mels = np.linspace(0, top, bands + 2)
    edges = np.where(mels < knee / step, mels * step,
                     knee * np.exp(log_step * (mels - knee / step)))  # fmt: skip
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    area = 2 / (edges[2:] - edges[:-2])
    return torch.from_numpy((np.maximum(0, np.minimum(rise, fall)) * area).astype(np.float32))


def power_mel(audio: Tensor, bands: Tensor, hop: int) -> Tensor:
    """Return mel power of Hann windows centred on every hop, ``(B, frames, bands)``."""
    n_fft = 2 * (len(bands) - 1)
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(audio, n_fft, hop, window=window, center=True, pad_mode="constant",
                          return_complex=True)  # fmt: skip
    return spectrum.abs().square().transpose(1, 2) @ bands


@torch.no_grad()
def get_scene_embeddings(audio: Tensor, model: FramePeer) -> Tensor:
    """Return one embedding per sound, ``(B, model.scene_embedding_size)``."""
    return model.scenes(model(audio))


@torch.no_grad()
def get_timestamp_embeddings(audio: Tensor, model: FramePeer) -> tuple[Tensor, Tensor]:
    """Return frames, ``(B, frames, dim)``, and their times in ms, ``(B, frames)``."""
    frames = model(audio)
    last = 1000 * audio.shape[1] / model.sample_rate
    times = (torch.arange(frames.shape[1]) * model.hop_ms).clamp(max=last)
    return frames, times.float().repeat(len(frames), 1)
