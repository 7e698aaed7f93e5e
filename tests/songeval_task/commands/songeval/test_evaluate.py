"""``songeval evaluate``: wrong usage is told before anything is read."""

import pytest


@pytest.mark.parametrize("split", ["train", "nix"])
def test_only_the_splits_that_are_reported_can_be_chosen(command, tmp_path, split) -> None:
    words = ("songeval", "evaluate", tmp_path, "--split", split)
    outcome = command(*words, "--out", tmp_path / "report")
    said = " ".join(outcome.errors + outcome.notes)
    assert outcome.code == 2
    assert f"'{split}' is not one of" in said
