"""HEAR module of Spotify's basic-pitch 0.4.0.

Licence: Apache-2.0 (package and weights). Bittner et al. (2022), "A lightweight instrument-agnostic
model for polyphonic note transcription": 440 posteriors of notes, onsets and contours per 12 ms.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers import frames
from benchmarks.peers.frames import get_scene_embeddings, get_timestamp_embeddings

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

WINDOW, HOP = 43_844, 256  # samples
PATH = "saved_models/icassp_2022/nmp.onnx"


class BasicPitch(frames.FramePeer):
    """Posteriors of windows of 2 s, side by side."""

    sample_rate = 22_050

    def __init__(self) -> None:
        super().__init__(440, 1000 * HOP / self.sample_rate)
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = 1
        self.session = InferenceSession(str(frames.package_file("basic_pitch", PATH)), options)

    def forward(self, audio: Tensor) -> Tensor:
        """Return notes, onsets and contours, ``(B, frames, 440)``, up to the audio's end."""
        padded = F.pad(audio, (0, -audio.shape[1] % WINDOW))
        batch = padded.reshape(-1, WINDOW, 1).cpu().numpy()
        made = self.session.run(None, {self.session.get_inputs()[0].name: batch})
        values = torch.cat([torch.from_numpy(part) for part in made], 2)
        return values.reshape(len(audio), -1, 440)[:, : -(-audio.shape[1] // HOP)]


def load_model(model_file_path: str = "") -> BasicPitch:
    """Return the model with the package's weights."""
    return BasicPitch()
