"""HEAR module of the encoders' log-mel input: the baseline of a model."""

from typing import Any

import torch
from torch import Tensor, nn

from hear_aesthetics.audio.decimate import Decimate2
from hear_aesthetics.backbones.log_mel import LogMel
from hear_aesthetics.features.pooling import pool_frames
from hear_aesthetics.spec import HOP_LENGTH, MIN_SAMPLES, N_MELS, SAMPLE_RATE

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


class LogMelModel(nn.Module):
    """Log-mel frames at 24 kHz from audio at 48 kHz."""

    sample_rate = 2 * SAMPLE_RATE
    scene_embedding_size = 2 * N_MELS
    timestamp_embedding_size = N_MELS

    def __init__(self) -> None:
        super().__init__()
        self.decimate, self.mel = Decimate2(), LogMel()

    @torch.no_grad()
    def forward(self, audio: Tensor) -> Tensor:
        """Return log-mel frames, ``(B, frames, 128)``."""
        waveform = self.decimate(audio)
        missing = max(0, MIN_SAMPLES - waveform.shape[1])
        frames: Tensor = self.mel(nn.functional.pad(waveform, (0, missing)))
        return frames.transpose(1, 2)


def load_model(model_file_path: str = "", **_: Any) -> LogMelModel:
    """Return a model without weights."""
    return LogMelModel()


def get_scene_embeddings(audio: Tensor, model: LogMelModel) -> Tensor:
    """Return mean and standard deviation over time, ``(B, 256)``."""
    return pool_frames(model(audio))


def get_timestamp_embeddings(audio: Tensor, model: LogMelModel) -> tuple[Tensor, Tensor]:
    """Return a frame every 10 ms, ``(B, frames, 128)``, and its time in ms."""
    frames = model(audio)
    times = torch.arange(frames.shape[1], device=frames.device) * (1000 * HOP_LENGTH / SAMPLE_RATE)
    return frames, times.repeat(len(frames), 1)
