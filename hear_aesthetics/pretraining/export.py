"""Export of encoders: batch norms, model directory in the published layouts, metrics, card."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.files import atomic_file, json_text, write_text
from hear_aesthetics.model import ModelConfig
from hear_aesthetics.spec import FRAME_MS, FRAME_RATE, HOP_LENGTH, N_MELS
from hear_aesthetics.version import __version__

__all__ = [
    "DELAY_MS",
    "MODEL_JSON",
    "calibrate",
    "write_encoder",
    "write_model_json",
    "write_result",
]

MODEL_JSON = "hear_aesthetics.json"
LICENCE = "Apache-2.0"
DELAY_MS = FRAME_MS // 2  # the targets of a frame are the 40 ms after its time
SYNTHETIC, OWN_AUDIO = "trained on synthetic music", "trained on audio of its user"
OBJECTIVES = {
    "muq": "masked prediction of the codes of a residual vector quantizer of the mel (MuQ)",
    "musicfm": "masked prediction of random-projection codes of the mel (MusicFM, BEST-RQ)",
}


@torch.no_grad()
def calibrate(backbone: Backbone, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of the batch norms by the mean over batches of clean audio.

    In training they are those of masked audio, and an untrained encoder has none: measured anew, a
    comparison of the two compares weights.

    Args:
        backbone: Not yet prepared for inference; left in evaluation mode.
        batches: Waveforms at 24 kHz, each ``(B, samples)``.
    """
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    backbone.train()
    for waveform in batches:
        backbone.hidden_states(waveform, (backbone.config.depth,))
    backbone.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def write_encoder(directory: Path, source: str, backbone: Backbone, about: str) -> None:
    """Write one encoder, not prepared for inference, into its folder of a model directory.

    The line ``about`` goes into the metadata of the weight file.
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
    if source == "musicfm":
        _write_json(folder / "msd_stats.json", stat)
        return
    config = {
        "label_rate": FRAME_RATE,
        "hop_length": HOP_LENGTH,
        "n_mels": N_MELS,
        "conv_dim": backbone.config.conv_channels,
        "encoder_dim": backbone.config.dim,
        "encoder_depth": backbone.config.depth,
        "stat": stat,
    }
    _write_json(folder / "config.json", config)


def write_model_json(
    directory: Path,
    *,
    layer: int,
    status: str,
    provenance: Mapping[str, Any],
    pooling: str = ModelConfig.pooling,
    delay_ms: int = ModelConfig.delay_ms,
) -> None:
    """Write the configuration of a model directory (:class:`hear_aesthetics.model.ModelConfig`)."""
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


def write_result(
    out: Path,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    backbone: Backbone,
    folder: Path | None = None,
) -> None:
    """Write a calibrated encoder into a model directory.

    The provenance of other encoders in it is kept. Into ``folder``, if there is one, go
    ``metrics.json`` and ``README.md``, the model card.
    """
    source = settings["source"]
    status = SYNTHETIC if settings["pool"]["audio"] == "synthetic" else OWN_AUDIO
    write_encoder(out, source, backbone, f"{status}, seed {settings['seed']}, Apache-2.0")
    made = {"steps": metrics["step"], "seed": settings["seed"], "version": __version__}
    try:
        about = json.loads((out / MODEL_JSON).read_text(encoding="utf-8"))
        provenance = dict(about.get("provenance", {}))
    except (OSError, ValueError):
        provenance = {}
    provenance[source] = made
    layer = backbone.config.depth
    write_model_json(out, layer=layer, delay_ms=DELAY_MS, status=status, provenance=provenance)
    if folder:
        write_text(folder / "metrics.json", json_text(metrics))
        write_text(folder / "README.md", _card(settings, metrics, status))


def _card(settings: Mapping[str, Any], metrics: Mapping[str, Any], status: str) -> str:
    sizes = ", ".join(f"{key} {value}" for key, value in settings["encoder"].items())
    targets = ", ".join(f"{key} {value}" for key, value in settings["targets"].items())
    return f"""\
# {settings["source"]}, {status}

- Objective: {OBJECTIVES[settings["source"]]}; masks of {settings["mask_seconds"]:g} s with
  probability {settings["mask_probability"]:g}.
- Sizes: {sizes}.
- Targets: {targets}.
- Audio: {settings["pool"]["clips"]} clips in the pool; {metrics["hours_of_audio"]:.2f} hours drawn
  from it, remixed each time.
- Steps: {metrics["step"]} of {settings["batch"]} x {settings["seconds"]:g} s, learning rate
  {settings["learning_rate"]:g}, seed {settings["seed"]}, {settings["precision"]}.
- Held-out masked frames: accuracy {metrics["accuracy"]:.4f}, most frequent code
  {metrics["majority_share"]:.4f}, lift {metrics["lift"]:.2f}; the curve is in `log.csv`.
- Limits: a small encoder that has heard {metrics["hours_of_audio"]:.1f} hours; measure it on your
  task before you rely on it.
"""


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")
