"""X-ARES encoder: timestamp embeddings of a HEAR model, for ``python -m xares.run``.

X-ARES (arXiv 2505.16369, PyPI ``xares``) takes the path of a module with one class whose name ends
with ``Encoder``, and builds it without arguments: an environment variable names the model.
"""

import os
import re

from torch import Tensor, nn

from hear_aesthetics.fingerprint import digest
from hear_aesthetics.model import get_timestamp_embeddings, load_model
from hear_aesthetics.spec import API_SAMPLE_RATE, FRAME_MS

__all__ = ["VARIABLE", "HearAestheticsEncoder"]

VARIABLE = "HEAR_AESTHETICS_MODEL"
DIGITS = 8  # of the fingerprint, in the name of the class


class HearAestheticsEncoder(nn.Module):
    """Encoder with the interface that ``xares.audio_encoder_checker`` checks.

    X-ARES resamples audio with a short filter of torchaudio. At 48 kHz the filter that limits the
    band to what the encoders hear is the model's own, so that audio of 44.1 and 48 kHz keeps the
    embeddings that it has in HEAR (``docs/howto/benchmarks.md`` has figures).

    X-ARES keeps embeddings and scores in folders named by the encoder's class, and takes what it
    finds there. So each model has a class of its own, named by its fingerprint.

    Args:
        model: Variant or model directory; by default that of ``HEAR_AESTHETICS_MODEL``, or
            ``"mini"`` where it is not set.

    Attributes:
        sampling_rate: Of the audio, Hz.
        output_dim: Width of an embedding.
        hop_size_in_ms: Between embeddings. Embedding i stands for the time ``40 * i`` ms, and
            X-ARES labels it with what sounds at that time.

    Raises:
        InputError: If there is no such model.
        WeightsUnavailableError: If the weights are neither on disk nor reachable.
    """

    sampling_rate = API_SAMPLE_RATE
    hop_size_in_ms = FRAME_MS

    def __init__(self, model: str = "") -> None:
        super().__init__()
        self.model = load_model(model or os.environ.get(VARIABLE, ""))
        self.output_dim = self.model.timestamp_embedding_size
        made = digest(self.model.fingerprint("timestamps"))[:DIGITS]
        name = re.sub(r"\W", "_", f"HearAesthetics_{self.model.name}_{made}_Encoder")
        self.__class__ = type(name, (type(self),), {})

    def forward(self, audio: Tensor) -> Tensor:
        """Return timestamp embeddings; memory is bounded, whatever batch and length.

        Shape:
            - audio: ``(B, samples)`` float at 48 kHz in [-1, 1]
            - output: ``(B, frames, output_dim)`` float32, one frame per started 40 ms

        Raises:
            ValueError: If the shape does not fit or the audio is empty.
        """
        embeddings, _ = get_timestamp_embeddings(audio, self.model)
        return embeddings
