"""The evaluator's benchmark: stand-ins have the tasks' shapes, work is equal, costs are real."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import evaluator
from benchmarks.common.embeddings import TASKS, make_folder, with_fixed_work
from benchmarks.evaluator import CASES, Cost, main, measure
from hear_aesthetics.evaluation.embeddings.rows import read_embeddings, read_rows
from hear_aesthetics.evaluation.probes.grid import grid_points
from hear_aesthetics.evaluation.tasks.task import load_task

SMALL = "spoken_digit-1.0.9-small"
EVENTS = "digit_command_events-1.0.0-full"


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """No real embeddings, few files with events."""
    monkeypatch.delenv("HEAR_EMBEDDINGS", raising=False)
    few = replace(TASKS[EVENTS], splits={"train": 2, "valid": 1, "test": 1})
    monkeypatch.setitem(TASKS, EVENTS, few)


def test_stand_ins_have_the_rows_of_the_task(tmp_path):
    task = load_task(make_folder(SMALL, tmp_path))
    assert len(task.runs) == 5
    rows = read_rows(task, task.runs[0].train)
    assert read_embeddings(task, task.runs[0].train).shape == (60, 256)
    assert rows.targets.shape == (60, 10)
    assert (rows.targets.sum(1) == 1).all()


def test_stand_ins_with_events_have_a_timeline(tmp_path):
    task = load_task(make_folder(EVENTS, tmp_path))
    rows = read_rows(task, ("valid",), with_times=True)
    assert len(rows.timeline.files) == 1
    assert len(rows.events.file) == 12
    assert 0 < rows.targets.mean() < 0.2


def test_embeddings_of_ones_own_are_taken(tmp_path, monkeypatch):
    stored = make_folder(SMALL, tmp_path / "stored")
    (stored / "mine").touch()
    monkeypatch.setenv("HEAR_EMBEDDINGS", str(stored.parent))
    assert (make_folder(SMALL, tmp_path / "copy") / "mine").exists()


@pytest.mark.parametrize("name", [SMALL, EVENTS])
def test_fixed_work_is_one_training_without_early_stopping(tmp_path, name):
    folder = make_folder(name, tmp_path)
    before = load_task(folder)
    expected = read_embeddings(before, before.runs[0].train)
    with_fixed_work(folder, 7)
    task = load_task(folder)
    assert len(task.runs) == 1
    np.testing.assert_array_equal(read_embeddings(task, ("train",)), expected)
    assert task.evaluation[0] in {"top1_acc", "segment_1s_er"}, "never NaN"
    points = grid_points(task, "faster", 8)
    assert {(p.max_epochs, p.patience) for p in points} == {(7, 7)}
    assert len(task.split_labels("test")) > 0


def test_every_target_is_judged(monkeypatch):
    def both(case):
        return Cost(1.0, 300.0, 0.5), Cost(case.target or 9, 600.0, 0.5)

    monkeypatch.setattr(evaluator, "_both", both)
    monkeypatch.setattr(evaluator, "event_stage", lambda: (evaluator.Timing(1.0, 9.0, 1), 0.0))
    report = measure(False)
    missed = [name for name, met in report.targets.items() if not met]
    assert missed == ["event stage: at least 10 times less"]
    assert len(report.targets) == 7
    assert len(report.rows) == len(CASES) + 1
    assert len({row[""] for row in report.rows}) == len(report.rows)


def test_the_kit_is_run_as_its_users_run_it(tmp_path):
    folder = make_folder(EVENTS, tmp_path)
    kit, ours = (evaluator.evaluation(folder, "faster", 2, which) for which in (None, "official"))
    assert kit[1:] == [str(evaluator.KIT_EVENT_RUNNER), str(folder), *kit[-4:]]
    assert kit[-4:] == ["--grid", "faster", "--grid-points", "2"]
    assert Path(kit[1]).is_file()
    assert "evaluate-embeddings" in ours


@pytest.mark.slow
@pytest.mark.official_kit
def test_quick_run_prints_ratio_and_difference(capsys):
    if not evaluator.KIT.is_file():
        pytest.skip("the official HEAR tools are not installed: run `make kit`")
    assert main("evaluator", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ratio"] > 1
    assert printed["max_difference"] < 1e-6
