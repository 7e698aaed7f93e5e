"""MARBLE encoder: all hidden states of MuQ or MusicFM, for MARBLE v2 (a43992899/MARBLE).

MARBLE builds the class that ``model.init_args.encoder.class_path`` of its YAML names.
"""

from typing import Any

from torch import Tensor, nn

from hear_aesthetics.checkpoints import locate_model
from hear_aesthetics.compute.precision import PRECISIONS, auto_precision, usable_device
from hear_aesthetics.errors import InputError
from hear_aesthetics.model import ENCODERS, ModelConfig
from hear_aesthetics.spec import FRAME_RATE, SAMPLE_RATE

__all__ = ["HearAestheticsEncoder"]

NAMES = {"muq": "MuQ", "musicfm": "MusicFM"}  # as MARBLE calls them


class HearAestheticsEncoder(nn.Module):
    """Frozen encoder with the attributes and the ``forward`` of MARBLE's encoders.

    Args:
        model: Variant or model directory.
        source: Encoder of the model, ``"muq"`` or ``"musicfm"``.
        precision: ``"float32"``, ``"bfloat16"`` or ``"auto"``: the model directory's, else bfloat16
            where the hardware multiplies it faster. The trainer's autocast changes nothing here.

    Attributes:
        NAME: Encoder.
        TOKEN_RATE: Frames per second.
        SAMPLING_RATE: Of the audio, Hz; also as ``sample_rate``.
        NUM_FEATURES: Width of a hidden state.
        N_TRANSFORMER_LAYERS: Conformer layers; there is one hidden state more.

    Raises:
        InputError: If there is no such model, encoder or precision.
        CheckpointError: If the model directory lacks the encoder.
        WeightsUnavailableError: If the weights are neither on disk nor reachable.
    """

    TOKEN_RATE = FRAME_RATE
    SAMPLING_RATE = SAMPLE_RATE

    def __init__(self, model: str = "large", source: str = "muq", precision: str = "auto") -> None:
        super().__init__()
        if source not in NAMES:
            raise InputError(f"source is {source!r}; it takes {' or '.join(map(repr, NAMES))}")
        if precision not in PRECISIONS:
            known = " or ".join(map(repr, PRECISIONS))
            raise InputError(f"precision is {precision!r}; it takes {known}")
        files = locate_model(model, sources=(source,))
        chosen = ModelConfig.read(files.config).precision if precision == "auto" else precision
        dtype = PRECISIONS[chosen] or auto_precision(usable_device())
        self.backbone = ENCODERS[source].from_pretrained(files.encoders[source], dtype=dtype)
        self.sample_rate = self.SAMPLING_RATE
        self.NAME = NAMES[source]
        self.NUM_FEATURES = self.backbone.dim
        self.N_TRANSFORMER_LAYERS = self.backbone.config.depth

    def forward(self, x: Tensor, *_: Any, **__: Any) -> tuple[Tensor, ...]:
        """Return all hidden states, from the input of the first layer to the last output.

        Shape:
            - x: ``(B, samples)``, or ``(B, 1, samples)`` as MARBLE's data sets give it, float at
              24 kHz in [-1, 1], samples >= 1025
            - output: ``(B, frames, NUM_FEATURES)`` float32 each, one frame per 40 ms; 13 of them
              for the published encoders

        Raises:
            ValueError: If shape or length do not fit.
        """
        if x.dim() == 3 and x.shape[1] == 1:
            x = x[:, 0]
        if x.dim() != 2 or not x.is_floating_point():
            raise InputError(
                f"audio has shape {tuple(x.shape)} and dtype {x.dtype}; pass floating point "
                "(B, samples) or (B, 1, samples): `channels: 1` in the YAML"
            )
        layers = range(self.N_TRANSFORMER_LAYERS + 1)
        states = self.backbone.hidden_states(x.float(), layers)
        return tuple(states[layer] for layer in layers)
