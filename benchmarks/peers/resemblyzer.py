"""HEAR module of Resemblyzer 0.1.4's voice encoder.

Licence: Apache-2.0 (package and weights). Wan, Wang, Papir and Moreno (2018), "Generalized
end-to-end loss for speaker verification": 256 values over 1.6 s, here every 0.8 s:
of use for scenes, too coarse for events.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers import frames
from benchmarks.peers.frames import get_scene_embeddings, get_timestamp_embeddings

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

WINDOW, STEP, LEVEL = 160, 80, 10 ** (-30 / 20)  # mel frames; least RMS


class VoiceEncoder(frames.FramePeer):
    """Three LSTM layers over 40 mel bands; the state at a window's end is the embedding."""

    moments = 1

    def __init__(self) -> None:
        super().__init__(256, 800.0)
        self.lstm, self.linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)
        path = frames.package_file("resemblyzer", "pretrained.pt")
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        self.load_state_dict({k: v for k, v in state.items() if k.startswith("l")})
        self.bands = frames.mel_bands(40, 400, 16_000)

    def forward(self, audio: Tensor) -> Tensor:
        """Return embeddings of length 1, ``(B, windows, 256)``; the last window is padded."""
        rms = audio.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
        mel = frames.power_mel(audio * (LEVEL / rms).clamp(min=1), self.bands, 160)
        missing = max(WINDOW - mel.shape[1], -(mel.shape[1] - WINDOW) % STEP)
        windows = F.pad(mel, (0, 0, 0, missing)).unfold(1, WINDOW, STEP).transpose(2, 3)
        _, (hidden, _) = self.lstm(windows.flatten(0, 1))
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=1).unflatten(0, windows.shape[:2])


def load_model(model_file_path: str = "") -> VoiceEncoder:
    """Return the model with the package's weights."""
    return VoiceEncoder()
