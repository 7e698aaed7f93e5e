"""HEAR module of Google's ``speech_embedding``, from pyopen-wakeword 1.1.0.

Licence: Apache-2.0 (package and model). Lin, Kilgour, Roblek and Sharifi (2020), "Training keyword
spotters with limited and synthesized speech data": 96 values per 80 ms, each over 775 ms.
"""

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.frames import (
    FramePeer,
    get_scene_embeddings,
    get_timestamp_embeddings,
    package_file,
)

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

WINDOW, STEP, SAMPLES = 76, 8, 12_640  # mel frames; samples of one window


class SpeechEmbedding(FramePeer):
    """Mel spectrogram and embedding, both as LiteRT models."""

    def __init__(self) -> None:
        super().__init__(96, 80.0)
        self.mel = _interpreter("melspectrogram")
        self.embedding = _interpreter("embedding_model")

    def forward(self, audio: Tensor) -> Tensor:
        """Return embeddings of windows centred on every 80 ms, ``(B, frames, 96)``."""
        audio = torch.nn.functional.pad(audio, (SAMPLES // 2, SAMPLES // 2))
        found = [_run(self.mel, row[None]) for row in 32767 * audio.cpu().numpy()]
        mels = np.stack([values.reshape(-1, 32) for values in found]) / 10 + 2
        windows = np.lib.stride_tricks.sliding_window_view(mels, WINDOW, axis=1)[:, ::STEP]
        batch = np.ascontiguousarray(windows.swapaxes(2, 3)).reshape(-1, WINDOW, 32, 1)
        return torch.from_numpy(_run(self.embedding, batch).reshape(len(audio), -1, 96).copy())


def _interpreter(name: str) -> object:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(package_file("pyopen_wakeword", f"models/{name}.tflite")), num_threads=1)


def _run(model: object, values: np.ndarray) -> np.ndarray:
    given, made = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
    if tuple(model.get_input_details()[0]["shape"]) != values.shape:
        model.resize_tensor_input(given, values.shape)
        model.allocate_tensors()
    model.set_tensor(given, values.astype(np.float32))
    model.invoke()
    return model.get_tensor(made)


def load_model(model_file_path: str = "") -> SpeechEmbedding:
    """Return the model with the package's weights."""
    return SpeechEmbedding()
