"""Google's ``speech_embedding`` (Lin et al. 2020), from the package ``pyopen-wakeword``.

Training Keyword Spotters with Limited and Synthesized Speech Data: a convolutional network of 330
thousand parameters over 775 ms of a mel spectrogram, of which it makes 96 numbers every 80 ms.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.checkpoints import weight_hash
from hear_aesthetics.errors import InputError

__all__ = ["SpeechEmbedding"]

FULL_SCALE = 32768.0  # its spectrogram takes samples of 16 bits
MEL_HOP, MEL_WINDOW = 160, 512  # samples
WINDOW, STEP = 76, 8  # mel frames of an embedding, and from one to the next
SHORTEST = (WINDOW - 1) * MEL_HOP + MEL_WINDOW


class SpeechEmbedding:
    """Teacher of speech; needs ``pip install "hear-aesthetics[teachers]"``.

    Raises:
        InputError: If a package is missing.
    """

    name, licence = "speech_embedding", "Apache-2.0"
    rate, dim, of_speech = 16_000, 96, True

    def __init__(self) -> None:
        package = importlib.util.find_spec("pyopen_wakeword")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            package = None
        if package is None or package.origin is None:
            raise InputError(
                f"the teacher {self.name} needs pyopen-wakeword and ai-edge-litert; pip install "
                '"hear-aesthetics[teachers]"'
            )
        models = Path(package.origin).parent / "models"
        paths = [models / f"{name}.tflite" for name in ("melspectrogram", "embedding_model")]
        self.sha256 = weight_hash(paths[1])
        self._mel, self._embedding = (
            Interpreter(model_path=str(path), num_threads=1) for path in paths
        )

    def embed(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`hear_aesthetics.pretraining.teachers.teacher.Teacher`."""
        if waveforms.shape[1] < SHORTEST:
            return np.empty((len(waveforms), 0, self.dim), np.float32), np.empty(0)
        found = np.stack([self._embed_one(waveform) for waveform in waveforms])
        centre = MEL_HOP * (WINDOW - 1) / 2 + MEL_WINDOW / 2
        return found, (centre + MEL_HOP * STEP * np.arange(found.shape[1])) / self.rate

    def _embed_one(self, waveform: np.ndarray) -> np.ndarray:
        samples = (waveform * FULL_SCALE)[None].astype(np.float32)
        mel = _run(self._mel, samples)[0, 0] / 10 + 2  # as its pipeline scales it
        windows = np.lib.stride_tricks.sliding_window_view(mel, WINDOW, axis=0)[::STEP]
        images = windows.transpose(0, 2, 1)[..., None]
        return _run(self._embedding, np.ascontiguousarray(images))[:, 0, 0]


def _run(interpreter: Any, values: np.ndarray) -> np.ndarray:
    """Return the output of a network for an input of any length or batch."""
    (given,) = interpreter.get_input_details()
    if tuple(given["shape"]) != values.shape:
        interpreter.resize_tensor_input(given["index"], values.shape)
        interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], values)
    interpreter.invoke()
    (made,) = interpreter.get_output_details()
    found: np.ndarray = interpreter.get_tensor(made["index"])
    return found
