"""HEAR module without learned weights: mean and spread of a log-mel spectrogram.

It shows the three functions that a module needs, and what an embedding must surpass:

    PYTHONPATH=examples hear-aesthetics evaluate tasks/ --out embeddings/ --module melstats
"""

import torch
from torch import Tensor, nn

BANDS, FFT = 64, 1024  # 1,024 samples are 64 ms
HOP = 160  # samples, 10 ms
STEP, WINDOW = 5, 15  # frames: an embedding every 50 ms, of 150 ms
FLOOR = 1e-5  # of the power, far below the noise of 16-bit audio


class MelStats(nn.Module):
    """Waveform ``(B, samples)`` to log-mel ``(B, BANDS, frames)``, a frame every 10 ms."""

    sample_rate = 16_000
    scene_embedding_size = timestamp_embedding_size = 2 * BANDS

    def __init__(self) -> None:
        super().__init__()
        nyquist = self.sample_rate / 2
        mels = torch.linspace(0, hertz_to_mel(torch.tensor(nyquist)).item(), BANDS + 2)
        corners = 700 * (10 ** (mels / 2595) - 1)
        bins = torch.linspace(0, nyquist, FFT // 2 + 1)
        rising = (bins - corners[:-2, None]) / corners.diff()[:-1, None]
        falling = (corners[2:, None] - bins) / corners.diff()[1:, None]
        self.register_buffer("filters", torch.minimum(rising, falling).clamp(min=0))
        self.register_buffer("window", torch.hann_window(FFT))

    def forward(self, audio: Tensor) -> Tensor:
        """Return the logarithm of the power in each band."""
        spectrum = torch.stft(
            audio, FFT, HOP, window=self.window, pad_mode="constant", return_complex=True
        )
        return torch.log(self.filters @ spectrum.abs().square() + FLOOR)


def hertz_to_mel(frequency: Tensor) -> Tensor:
    """Return the pitch of a frequency on the mel scale."""
    return 2595 * torch.log10(1 + frequency / 700)


def load_model(model_file_path: str = "") -> MelStats:
    """Return the model; there is nothing to load."""
    return MelStats()


def get_scene_embeddings(audio: Tensor, model: MelStats) -> Tensor:
    """Return one embedding per clip, ``(B, 2 * BANDS)``: mean and spread over time."""
    log_mel = model(audio)
    return torch.cat([log_mel.mean(2), log_mel.std(2, correction=0)], dim=1)


def get_timestamp_embeddings(audio: Tensor, model: MelStats) -> tuple[Tensor, Tensor]:
    """Return embeddings over time, ``(B, T, 2 * BANDS)``, and their times in ms, ``(B, T)``."""
    padded = nn.functional.pad(model(audio), (WINDOW // 2, WINDOW // 2), mode="replicate")
    windows = padded.unfold(2, WINDOW, STEP)  # (B, BANDS, T, WINDOW)
    embeddings = torch.cat([windows.mean(3), windows.std(3, correction=0)], dim=1).transpose(1, 2)
    milliseconds = 1000 * STEP * HOP / model.sample_rate
    times = milliseconds * torch.arange(embeddings.shape[1], device=audio.device)
    return embeddings, times.expand(len(audio), -1)
