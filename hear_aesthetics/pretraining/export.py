"""Model directories of small pairs, in the published layouts, so that they load like any other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.files import atomic_file, write_text
from hear_aesthetics.model import ModelConfig
from hear_aesthetics.spec import FRAME_RATE, HOP_LENGTH, N_MELS

__all__ = ["MODEL_JSON", "write_encoder", "write_model_json"]

MODEL_JSON = "hear_aesthetics.json"
LICENCE = "Apache-2.0"


def write_encoder(directory: Path, source: str, backbone: Backbone, about: str) -> None:
    """Write one encoder of a model directory.

    Args:
        directory: The model directory; the encoder's folder in it is made.
        source: ``"muq"`` or ``"musicfm"``.
        backbone: Not prepared for inference.
        about: A line that the weight file carries.
    """
    folder = directory / source
    folder.mkdir(parents=True, exist_ok=True)
    state = backbone.published_state()
    tensors = {f"model.{name}": tensor.cpu() for name, tensor in state.items()}
    with atomic_file(folder / "model.safetensors") as file:
        file.write(save(tensors, metadata={"about": about}))  # one key: their order varies
    stat = {
        "melspec_2048_mean": backbone.statistics.mean,
        "melspec_2048_std": backbone.statistics.std,
    }
    if source == "muq":
        _write_json(folder / "config.json", _muq_config(backbone, stat))
    else:
        _write_json(folder / "msd_stats.json", stat)


def write_model_json(
    directory: Path,
    *,
    layer: int,
    status: str,
    provenance: Mapping[str, Any],
    pooling: str = ModelConfig.pooling,
    delay_ms: int = ModelConfig.delay_ms,
) -> None:
    """Write what a model directory says of itself: :class:`hear_aesthetics.model.ModelConfig`."""
    values = {
        "layer": layer,
        "pooling": pooling,
        "delay_ms": delay_ms,
        "precision": "float32",  # at this size bfloat16 is no faster
        "licence": LICENCE,
        "status": status,
        "provenance": provenance,
    }
    _write_json(directory / MODEL_JSON, values)


def _muq_config(backbone: Backbone, stat: Mapping[str, float]) -> dict[str, Any]:
    return {
        "label_rate": FRAME_RATE,
        "hop_length": HOP_LENGTH,
        "n_mels": N_MELS,
        "conv_dim": backbone.config.conv_channels,
        "encoder_dim": backbone.config.dim,
        "encoder_depth": backbone.config.depth,
        "stat": stat,
    }


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")
