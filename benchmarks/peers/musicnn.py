"""HEAR module of musicnn 0.1.0 (MagnaTagATune), without TensorFlow.

Licence: ISC (package and weights). Pons and Serra (2019), "musicnn: pre-trained convolutional
neural networks for music audio tagging": 753 values of front and middle per 16 ms.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers import frames
from benchmarks.peers.frames import get_scene_embeddings, get_timestamp_embeddings
from benchmarks.peers.tf_checkpoint import read_checkpoint

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

NORM = ("moving_mean", "moving_variance", "gamma", "beta")


class Musicnn(frames.FramePeer):
    """Five convolutions over frequency side by side, then three with residuals."""

    def __init__(self) -> None:
        super().__init__(753, 16.0)
        index = frames.package_file("musicnn", "MTT_musicnn/.index")
        self.tensors = {k: torch.tensor(v) for k, v in read_checkpoint(index).items()}
        self.bands = frames.mel_bands(96, 512, 16_000)

    def norm(self, x: Tensor, index: int) -> Tensor:
        """Return batch normalisation over ``(B, channels, time, frequency)``."""
        name = "batch_normalization" + (f"_{index}" if index else "")
        return F.batch_norm(x, *(self.tensors[f"{name}/{key}"] for key in NORM), eps=1e-3)

    def block(self, x: Tensor, index: int) -> Tensor:
        """Return convolution (same length in time), ReLU, norm, and maximum over frequency."""
        name = "conv2d" + (f"_{index}" if index else "")
        kernel = self.tensors[f"{name}/kernel"].permute(3, 2, 0, 1)
        long = kernel.shape[2] - 1
        x = F.pad(x, (0, 0, long // 2, long - long // 2))
        x = F.relu(F.conv2d(x, kernel, self.tensors[f"{name}/bias"]))
        return self.norm(x, index + 1).amax(3)

    def forward(self, audio: Tensor) -> Tensor:
        """Return front and middle, ``(B, frames, 753)``."""
        mel = frames.power_mel(audio, self.bands, 256)[:, None]
        x = self.norm(torch.log10(10_000 * mel + 1), 0)
        parts = [torch.cat([self.block(x, i) for i in range(5)], 1)]
        for i in (5, 6, 7):
            middle = self.block(parts[-1].transpose(1, 2)[:, None], i)
            parts.append(middle + parts[-1] if i > 5 else middle)
        return torch.cat(parts, 1).transpose(1, 2)


def load_model(model_file_path: str = "") -> Musicnn:
    """Return the model with the package's weights."""
    return Musicnn()
