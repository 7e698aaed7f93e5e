"""The choice of states: every one is listed by its validation, and no test part decides."""

import numpy as np

from benchmarks.representation import choice, contenders
from benchmarks.representation.folders import Clips
from benchmarks.representation.splits import paired_splits


def test_choices_are_listed_by_their_validation_alone(monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels, groups = np.tile(["low", "high"], 12), np.repeat([str(i) for i in range(8)], 3)
    clips = Clips(rng.standard_normal((24, 8000)).astype(np.float32), 16_000, labels, groups)
    splits = paired_splits(labels, groups, 2, 0)
    monkeypatch.setattr(choice, "counted_tasks", lambda *_: {"noise": (clips, splits)})
    valid = {512: 0.25, 1024: 0.5, 2048: 0.75}
    monkeypatch.setattr(
        contenders, "accuracy", lambda values, *_: (valid[values.shape[1]], values.shape[1])
    )
    choice.main("mini-0.1", None, tmp_path, "1 1,2")  # type: ignore[arg-type]
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(name.strip(), float(mean)) for name, mean in rows] == [
        ("layer [1, 2]", 0.75),
        ("layer 1", 0.5),
        ("layer [1, 2], mean alone", 0.5),
        ("layer 1, mean alone", 0.25),
    ]
