"""Model card of a pretraining run."""

from collections.abc import Mapping
from typing import Any

from hear_aesthetics.pretraining.initialization import InitialEncoder
from hear_aesthetics.pretraining.supervised.kinds import LABELS
from hear_aesthetics.pretraining.teachers.teacher import TEACHERS

__all__ = ["model_card"]

OBJECTIVES = {
    "muq": "masked prediction of the codes of a residual vector quantizer of the mel (MuQ)",
    "musicfm": "masked prediction of random-projection codes of the mel (MusicFM, BEST-RQ)",
}


def model_card(
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    status: str,
    initial: InitialEncoder | None,
) -> str:
    """Return ``README.md`` of a run.

    Args:
        settings: Settings of the run.
        metrics: Metrics of the last evaluation.
        status: As in the model's configuration.
        initial: Encoder that training started from.
    """
    drawn = "as they are" if settings.get("augment") is False else "remixed each time"
    limits = f"a small encoder that has heard {metrics['hours_of_audio']:.1f} hours; measure it"
    begun = ""
    if initial:
        limits = f"nobody but its user has measured it; compare it with {initial.name}"
        begun = (
            f"- Started from {initial.name} (sha256 {initial.made['sha256']}), licence "
            f"{initial.licence}; {_at_start(metrics)}.\n"
        )
    sizes = ", ".join(f"{key} {value}" for key, value in settings["encoder"].items())
    targets = ", ".join(f"{key} {value}" for key, value in settings["targets"].items())
    if "masked" not in (settings.get("objective") or {"masked": 1.0}):
        targets = "no codes"
    if settings.get("objective"):
        objective, result = _mixture(settings), _held_out_losses(metrics)
    else:
        objective = (
            f"{OBJECTIVES[settings['source']]}; masks of {settings['mask_seconds']:g} s with\n"
            f"  probability {settings['mask_probability']:g}"
        )
        result = (
            f"Held-out masked frames: accuracy {metrics['accuracy']:.4f}, most frequent code\n"
            f"  {metrics['majority_share']:.4f}, lift {metrics['lift']:.2f}"
        )
    return f"""\
# {settings["source"]}, {status}

{begun}\
- Objective: {objective}.
- Sizes: {sizes}.
- Targets: {targets}.
- Audio: {settings["pool"]["clips"]} clips in the pool; {metrics["hours_of_audio"]:.2f} hours drawn
  from it, {drawn}.
- Steps: {metrics["step"]} of {settings["batch"]} x {settings["seconds"]:g} s, learning rate
  {settings["learning_rate"]:g}, seed {settings["seed"]}, {settings["precision"]}.
- {result}; the curve is in `log.csv`.
- Limits: {limits} on your
  task before you rely on it.
"""


def _mixture(settings: Mapping[str, Any]) -> str:
    """Return objectives, labels and teachers with their weights and licences."""
    parts = [_weights(settings["objective"])]
    if settings.get("labels"):
        parts.append(f"labels: {_weights(settings['labels'])}")
    for name, facts in settings.get("taught_by", {}).items():
        parts.append(f"teacher: {name} ({facts['licence']}, sha256 {facts['sha256']})")
    return ";\n  ".join(parts)


def _weights(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in values.items())


def _held_out_losses(metrics: Mapping[str, Any]) -> str:
    names = [*LABELS, *TEACHERS, "masked_lift"]
    found = ", ".join(f"{name} {metrics[name]:.3f}" for name in names if name in metrics)
    return f"Held-out losses, 1 for the best constant guess: {metrics['loss']:.3f};\n  {found}"


def _at_start(metrics: Mapping[str, Any]) -> str:
    name = next(name for name in ("accuracy", "loss") if f"{name}_at_start" in metrics)
    return f"{name} at step 0 {metrics[f'{name}_at_start']:.4f}"
