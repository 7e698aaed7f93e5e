"""Scorers of the commands, loaded as options say, with warnings of what their scores lack."""

from typing import TYPE_CHECKING

import typer

from hear_aesthetics.commands.console import warning_line

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.scoring.feature_scorer import FeatureScorer
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["load_aesthetic_scorer", "load_scorer", "say_what_intervals_need"]


def load_aesthetic_scorer(
    head: list[str] | None, model: str, *, precision: str, device: str | None
) -> "AestheticScorer":
    """Return a scorer; write a warning if its scores say nothing about music.

    Raises:
        InputError: If a name is unknown or a head does not fit the model.
    """
    from songeval_task.scoring.scorer import AestheticScorer

    scorer = AestheticScorer.from_pretrained(
        *(head or ()), model=model, precision=precision, device=device
    )
    _warn_if_demo(scorer)
    return scorer


def load_scorer(
    found: "Inputs", head: list[str] | None, model: str, *, precision: str, device: str | None
) -> "FeatureScorer":
    """Return the scorer of these inputs: heads alone where all of them are features."""
    from hear_aesthetics.engine.inputs import holds_features
    from songeval_task.scoring.feature_scorer import FeatureScorer

    if not all(holds_features(item.path) for item in found.inputs):
        return load_aesthetic_scorer(head, model, precision=precision, device=device)
    scorer = FeatureScorer.from_pretrained(*(head or ()), model=model, device=device)
    _warn_if_demo(scorer)
    return scorer


def _warn_if_demo(scorer: "FeatureScorer") -> None:
    if scorer.demo:
        learned = "never learned from people's ratings and says nothing about the music"
        warning_line(f"demo scores: {scorer.title} {learned}")


def say_what_intervals_need(scorer: "FeatureScorer", coverage: float) -> None:
    """Say in one line why scores have no intervals, if they have none."""
    from songeval_task.uncertainty.calibration import songs_for

    if scorer.scorer_set.heads and not scorer.scorer_set.calibrated:
        typer.echo(
            "no intervals: nothing is known of the head's errors; `hear-aesthetics calibrate` "
            "learns them from rated songs",
            err=True,
        )
    for name, calibration in scorer.scorer_set.calibrated.items():
        if len(calibration.preds) < (needed := songs_for(coverage)):
            warning_line(
                f"{name}: {len(calibration.preds)} calibration songs promise no coverage of "
                f"{coverage:g}, which takes {needed}; intervals are empty"
            )
