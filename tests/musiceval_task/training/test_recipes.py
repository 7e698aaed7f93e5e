"""What trains and what selects, and what is wrong with a set before anything is encoded."""

from dataclasses import replace
from pathlib import Path

import pytest

from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.training.loop import INNER, TrainingConfig
from musiceval_task.training.recipes import divide

PUBLISHED, CORRECTED = (TrainingConfig(recipe=recipe) for recipe in ("published", "corrected"))
CLIPS = [
    MusicEvalClip(f"{system}_{split}_{number}", Path("x"), "p", system, split, 3.0, 3.0)
    for system in ("A", "B")
    for split in ("train", "dev")
    for number in range(4)
]


def test_the_published_recipe_holds_nothing_back() -> None:
    assert divide(CLIPS, PUBLISHED) == CLIPS
    assert {clip.split for clip in divide(CLIPS, CORRECTED)} == {"train", INNER, "dev"}


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([clip for clip in CLIPS if clip.split == "train"], "needs two or more; add a dev list"),
        ([clip for clip in CLIPS if (clip.system, clip.split) != ("B", "dev")], "two or more"),
        ([replace(c, overall=c.overall if c.split == "train" else None) for c in CLIPS], "scored"),
        ([clip for clip in CLIPS if clip.split == "dev"], "no clips to train on"),
        ([replace(CLIPS[0], textual=None), *CLIPS[1:]], "A_train_0: no scores"),
    ],
    ids=["no dev", "one system", "secret dev", "no train", "secret train"],
)
def test_what_cannot_train_or_select_is_one_message(
    clips: list[MusicEvalClip], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        divide(clips, PUBLISHED)
