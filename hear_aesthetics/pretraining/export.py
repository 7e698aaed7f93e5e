"""Export of encoders: batch norms, model directory in the published layouts, metrics, card."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.features.fusion import Layer
from hear_aesthetics.files import atomic_file, json_text, write_text
from hear_aesthetics.model import ModelConfig
from hear_aesthetics.pretraining.batch_norms import batch_norms
from hear_aesthetics.pretraining.card import model_card
from hear_aesthetics.pretraining.initialization import OBJECTIVE_FILE, InitialEncoder
from hear_aesthetics.pretraining.objective import MaskedPrediction
from hear_aesthetics.pretraining.targets.published import published_head
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
RENDERED = "trained on rendered audio"


@torch.no_grad()
def calibrate(backbone: Backbone, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of the batch norms by the mean over batches of clean audio.

    In training they are those of masked audio, and an untrained encoder has none: measured anew, a
    comparison of the two compares weights.

    Args:
        backbone: Not yet prepared for inference; left in evaluation mode.
        batches: Waveforms at 24 kHz, each ``(B, samples)``.
    """
    norms = batch_norms(backbone)
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


def write_encoder(
    directory: Path,
    source: str,
    backbone: Backbone,
    about: str,
    *,
    training_only: Mapping[str, Tensor] | None = None,
    layout: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write one encoder, not prepared for inference, into its folder of a model directory.

    Args:
        directory: Model directory.
        source: ``"muq"`` or ``"musicfm"``.
        backbone: The encoder.
        about: Line for the metadata of the weight file.
        training_only: Published tensors, without ``model.``, that no feature depends on.
        layout: ``config.json`` of MuQ; by default of what decides features alone.
        half: Store matrices and kernels in float16, half as large; reading makes them float32.
    """
    folder = directory / source
    folder.mkdir(parents=True, exist_ok=True)
    state = {**(training_only or {}), **backbone.published_state()}
    tensors = {
        f"model.{name}": (_as_half(tensor) if half else tensor).cpu().contiguous()
        for name, tensor in state.items()
    }
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
    _write_json(folder / "config.json", layout or config)


def write_model_json(
    directory: Path,
    *,
    layer: Layer,
    status: str,
    provenance: Mapping[str, Any],
    pooling: str = ModelConfig.pooling,
    delay_ms: int = ModelConfig.delay_ms,
    precision: str = "float32",  # at the size of `mini` bfloat16 is no faster
    licence: str = LICENCE,
) -> None:
    """Write the configuration of a model directory (:class:`hear_aesthetics.model.ModelConfig`)."""
    values = {
        "layer": layer,
        "pooling": pooling,
        "delay_ms": delay_ms,
        "precision": precision,
        "licence": licence,
        "status": status,
        "provenance": provenance,
    }
    _write_json(directory / MODEL_JSON, values)


def write_result(
    out: Path,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    model: MaskedPrediction,
    backbone: Backbone,
    *,
    initial: InitialEncoder | None = None,
    folder: Path | None = None,
) -> None:
    """Write a trained encoder, with the objective that it was trained by, into a model directory.

    Args:
        out: Model directory; the provenance of other encoders in it is kept.
        settings: Settings of the run.
        metrics: Metrics of the last evaluation.
        model: Quantizer and head.
        backbone: Encoder, with the final statistics of its batch norms.
        initial: Encoder that training started from. Layer, pooling, delay and licence stay its own.
        folder: Takes ``metrics.json`` and ``README.md``, the model card, if it is given.
    """
    source = settings["source"]
    status = _status(settings)
    values: dict[str, Any] = {"layer": backbone.config.depth, "delay_ms": DELAY_MS}
    half = mixed = bool(settings.get("objective"))
    training_only, layout = {}, {}
    made = {"steps": metrics["step"], "seed": settings["seed"], "version": __version__}
    if initial:
        status = f"continued from {initial.name}, {status}"
        kept = initial.model
        values = {"layer": kept.layer, "delay_ms": kept.delay_ms, "pooling": kept.pooling}
        values |= {"precision": kept.precision, "licence": initial.licence}
        training_only, layout = initial.training_only, initial.layout
        half = mixed and not initial.published
        made |= {"init": initial.name, "init_sha256": initial.made["sha256"]}
    if mixed:  # targets are centred, and what heads read is what embeddings join
        states = [*settings["states"]]
        values |= {"layer": states if len(states) > 1 else states[0], "delay_ms": 0}
        made["objective"] = settings["objective"]
        made["taught_by"] = settings.get("taught_by", {})
    licence = values.get("licence", LICENCE)
    trained = model.config.weighs_masked  # or neither quantizer nor head was
    if trained and settings.get("published_targets"):
        training_only = {**training_only, **published_head(model.state_dict())}
    elif trained:
        (out / source).mkdir(parents=True, exist_ok=True)
        objective = {name: t.cpu().contiguous() for name, t in model.objective_state().items()}
        with atomic_file(out / source / OBJECTIVE_FILE) as file:
            file.write(save(objective))
    about = f"{status}, seed {settings['seed']}, {licence}"
    extras: dict[str, Any] = {"training_only": training_only, "layout": layout, "half": half}
    write_encoder(out, source, backbone, about, **extras)
    try:
        about = json.loads((out / MODEL_JSON).read_text(encoding="utf-8"))
        provenance = dict(about.get("provenance", {}))
    except (OSError, ValueError):
        provenance = {}
    provenance[source] = made
    write_model_json(out, status=status, provenance=provenance, **values)
    if folder:
        write_text(folder / "metrics.json", json_text(metrics))
        write_text(folder / "README.md", model_card(settings, metrics, status, initial))


def _status(settings: Mapping[str, Any]) -> str:
    if settings.get("objective"):
        return RENDERED
    return SYNTHETIC if settings["pool"]["audio"] == "synthetic" else OWN_AUDIO


def _as_half(tensor: Tensor) -> Tensor:
    """Return a matrix or kernel in float16; vectors, of which there are few, keep float32."""
    return tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2) + "\n")
