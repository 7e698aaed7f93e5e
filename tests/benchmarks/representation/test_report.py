"""The table: accuracies with intervals, means of what counts, differences to ``mini``."""

import numpy as np
import pytest

from benchmarks.representation.__main__ import mean_difference, report
from benchmarks.representation.contenders import Outcome, choose
from benchmarks.representation.splits import paired

MINI = {"drum": [0.5, 0.6, 0.7], "letter": [0.1, 0.2, 0.3], "pitch": [0.9, 0.9, 0.9]}
MEL = {"drum": [0.4, 0.5, 0.5], "letter": [0.2, 0.2, 0.3], "pitch": [0.1, 0.1, 0.1]}


def _outcome(tests, valid=0.5, choice="as it is"):
    return Outcome(choice, {task: ([valid] * 3, test) for task, test in tests.items()}, 8)


def test_the_best_on_validation_is_chosen_whatever_its_test():
    first, second = _outcome(MINI, 0.4), _outcome(MEL, 0.6, "mean alone")
    assert choose([first, second]).choice == "mean alone"


def test_means_are_of_the_counted_tasks_and_differences_are_paired():
    outcomes = {"mini": _outcome(MINI), "log_mel": _outcome(MEL)}
    found = report(outcomes, ["drum", "letter"])
    rows = {(row["task"], row["what"]): row for row in found.rows}
    assert rows["mean of 2", "normalised mean"]["mini"] == "0.400"
    assert rows["mean of 2", "normalised mean"]["log_mel"] == "0.350"
    assert rows["drum", "accuracy [95 %]"]["mini"].startswith("0.600 [")
    mean, error = paired(MEL["drum"], MINI["drum"])
    assert rows["drum", "against mini (se)"]["log_mel"] == f"{mean:+.3f} ({error:.3f})"
    assert rows["drum", "against mini (se)"]["mini"] == ""
    assert found.ratio == pytest.approx(0.4 / 0.35)
    errors = [paired(MEL[task], MINI[task])[1] for task in ("drum", "letter")]
    assert mean_difference(outcomes, "log_mel", ["drum", "letter"]) == pytest.approx(
        (-0.05, np.hypot(*errors) / 2)
    )
    assert any("pitch" in note for note in found.notes)
