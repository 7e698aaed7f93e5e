"""What a run leaves: the encoder, the figures, and a model card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.files import json_text, write_text
from hear_aesthetics.pretraining.export import MODEL_JSON, write_encoder, write_model_json
from hear_aesthetics.spec import FRAME_MS
from hear_aesthetics.version import __version__

__all__ = ["DELAY_MS", "SYNTHETIC", "write_result"]

DELAY_MS = FRAME_MS // 2  # the targets of a frame are the 40 ms after its time
SYNTHETIC, OWN_AUDIO = "trained on synthetic music", "trained on audio of its user"
OBJECTIVES = {
    "muq": "masked prediction of the codes of a residual vector quantiser of the mel (MuQ)",
    "musicfm": "masked prediction of random-projection codes of the mel (MusicFM, BEST-RQ)",
}


def write_result(
    out: Path,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    backbone: Backbone,
    folder: Path | None = None,
) -> None:
    """Write an encoder into a model directory.

    Args:
        out: The model directory; what it says of other encoders is kept.
        settings: Of the run.
        metrics: Its figures.
        backbone: Calibrated.
        folder: Also gets ``metrics.json`` and ``README.md``, the model card, if given.
    """
    source = settings["source"]
    status = SYNTHETIC if settings["pool"]["audio"] == "synthetic" else OWN_AUDIO
    write_encoder(out, source, backbone, f"{status}, seed {settings['seed']}, Apache-2.0")
    made = {"steps": metrics["step"], "seed": settings["seed"], "version": __version__}
    provenance = {**_provenance(out), source: made}
    layer = backbone.config.depth
    write_model_json(out, layer=layer, delay_ms=DELAY_MS, status=status, provenance=provenance)
    if folder:
        write_text(folder / "metrics.json", json_text(metrics))
        write_text(folder / "README.md", _card(settings, metrics, status))


def _provenance(out: Path) -> dict[str, Any]:
    try:
        values = json.loads((out / MODEL_JSON).read_text(encoding="utf-8"))
        return dict(values.get("provenance", {}))
    except (OSError, ValueError):
        return {}


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
  {metrics["commonest"]:.4f}, ratio {metrics["ratio"]:.2f}; the curve is in `log.csv`.
- Limits: a small encoder that has heard {metrics["hours_of_audio"]:.1f} hours; measure it on your
  task before you rely on it.
"""
