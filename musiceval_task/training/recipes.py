"""Clips that train and clips that select, by recipe.

"corrected" divides the train list and leaves dev alone, "published" trains on all of it and selects
on dev.
"""

from collections.abc import Sequence
from typing import Any

from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.training.inference import Example
from musiceval_task.training.loop import INNER, Fit, TrainingConfig, fit, inner_split
from musiceval_task.training.members import EnsembleMember
from musiceval_task.training.released import REPORTED, fit_released

__all__ = ["divide", "fit_by_recipe"]

DEV = "dev"


def divide(clips: Sequence[MusicEvalClip], config: TrainingConfig) -> list[MusicEvalClip]:
    """Return the clips with their splits as the recipe trains and selects; nothing is encoded.

    Raises:
        InputError: If clips to train on have no scores or are too few, or the recipe "published"
            has fewer than two systems among the scored clips of the dev list.
    """
    train = [clip for clip in clips if clip.split == "train"]
    if unscored := [clip.name for clip in train if clip.scores is None]:
        raise InputError(f"{unscored[0]}: no scores, and it is in the train list; add them")
    if config.recipe == "corrected":
        return inner_split(clips, config.inner_share)
    if not train:
        raise InputError("no clips to train on; add a train list")
    if len({clip.system for clip in clips if clip.split == DEV and clip.scores}) < 2:
        raise InputError(
            "the published recipe selects by the systems of the scored dev clips, and needs two or "
            "more; add a dev list, or take --recipe corrected"
        )
    return list(clips)


def fit_by_recipe(
    member: EnsembleMember,
    config: TrainingConfig,
    clips: Sequence[MusicEvalClip],
    examples: Sequence[Example],
    **options: Any,
) -> dict[str, Fit]:
    """Train a member; return its fits by their folder in that of the run, the reported one last.

    ``clips`` are those of :func:`divide`, ``options`` those of both ways to fit.
    """
    released = config.recipe == "published"
    pairs = list(zip(clips, examples, strict=True))
    if released:
        pairs.sort(key=lambda pair: pair[0].name)
    train = [example for clip, example in pairs if clip.split == "train"]
    judges = [
        (clip.system, example)
        for clip, example in pairs
        if clip.split == (DEV if released else INNER) and clip.scores
    ]
    systems, chosen = [system for system, _ in judges], [example for _, example in judges]
    if not released:
        return {"": fit(member, config, train, chosen, systems, **options)}
    fits = fit_released(member, config, train, chosen, systems, **options)
    reported = fits.pop(REPORTED)
    return {**fits, "": reported}
