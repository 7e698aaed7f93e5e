"""HEAR module without learned weights: mean and spread of a log-mel spectrogram.

It shows the three functions that a module needs, and what an embedding must surpass:

    PYTHONPATH=examples hear-aesthetics evaluate tasks/ --out embeddings/ --module melstats
"""

import torch
from torch import Tensor, nn

BANDS, FFT, HOP = 64, 1024, 160  # windows of 64 ms, one every 10 ms
STEP, WINDOW = 5, 15  # frames: an embedding every 50 ms, of 150 ms


class MelStats(nn.Module):
    """Waveforms ``(B, samples)`` to log-mel ``(B, BANDS, frames)``."""

    sample_rate = 16_000
    scene_embedding_size = timestamp_embedding_size = 2 * BANDS

    def __init__(self) -> None:
        super().__init__()
        bins = torch.linspace(0, self.sample_rate / 2, FFT // 2 + 1)
        mels = torch.linspace(0, (2595 * torch.log10(1 + bins[-1] / 700)).item(), BANDS + 2)
        corners = 700 * (10 ** (mels / 2595) - 1)  # Hz
        rising = (bins - corners[:-2, None]) / corners.diff()[:-1, None]
        falling = (corners[2:, None] - bins) / corners.diff()[1:, None]
        self.register_buffer("filters", torch.minimum(rising, falling).clamp(min=0))
        self.register_buffer("window", torch.hann_window(FFT))

    def forward(self, audio: Tensor) -> Tensor:
        """Return the logarithm of the power in each band."""
        framing = {"window": self.window, "pad_mode": "constant", "return_complex": True}
        power = torch.stft(audio, FFT, HOP, **framing).abs().square()
        return torch.log(self.filters @ power + 1e-5)  # far below the noise of 16-bit audio


def load_model(model_file_path: str = "") -> MelStats:
    """Return the model; there is nothing to load."""
    return MelStats()


def get_scene_embeddings(audio: Tensor, model: MelStats) -> Tensor:
    """Return an embedding per clip, ``(B, 2 * BANDS)``."""
    log_mel = model(audio)
    return torch.cat([log_mel.mean(2), log_mel.std(2, correction=0)], dim=1)


def get_timestamp_embeddings(audio: Tensor, model: MelStats) -> tuple[Tensor, Tensor]:
    """Return embeddings over time, ``(B, T, 2 * BANDS)``, and their times in ms, ``(B, T)``."""
    padded = nn.functional.pad(model(audio), (WINDOW // 2, WINDOW // 2), mode="replicate")
    windows = padded.unfold(2, WINDOW, STEP)  # (B, BANDS, T, WINDOW)
    embeddings = torch.cat([windows.mean(3), windows.std(3, correction=0)], dim=1).transpose(1, 2)
    times = 1000 * STEP * HOP / model.sample_rate * torch.arange(windows.shape[2])
    return embeddings, times.to(audio.device).expand(len(audio), -1)
