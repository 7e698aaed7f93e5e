"""Folders have the published tasks' sizes; memory and processor time are judged."""

import json

import pytest

from benchmarks import full_hear
from benchmarks.common.embeddings import TASKS, make_folder
from benchmarks.common.process_cost import ProcessCost
from benchmarks.evaluator import KIT
from benchmarks.full_hear import CASES, EVENTS, main, measure
from hear_aesthetics.evaluation.embeddings.rows import read_embeddings, read_rows
from hear_aesthetics.evaluation.tasks.catalogue import CATALOGUE
from hear_aesthetics.evaluation.tasks.task import load_task


@pytest.fixture(autouse=True)
def random_embeddings(monkeypatch):
    monkeypatch.delenv("HEAR_EMBEDDINGS", raising=False)


def test_sizes_are_those_of_the_published_tasks():
    published = {entry.task_names[0]: entry.clips for entry in CATALOGUE if entry.mode != "5h"}
    for case in CASES:
        shape = TASKS[case.task]
        assert sum(shape.splits.values()) == published[case.task.partition("-")[0]]
        assert shape.dim == 1024
    assert TASKS[EVENTS].frames * TASKS[EVENTS].hop == 120_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.task)
def test_folders_can_be_evaluated(tmp_path, case):
    task = load_task(make_folder(case.task, tmp_path, shrink=400))
    run = task.runs[0]
    rows = read_rows(task, (run.valid,), with_times=True)
    assert read_embeddings(task, (run.valid,)).shape == (len(rows.targets), 1024)
    assert 1 <= rows.targets.sum(1).mean() <= 6
    assert len(task.runs) == (5 if case.task == EVENTS else 1)
    assert (rows.events is not None) == (case.task == EVENTS)


@pytest.mark.parametrize(
    ("megabytes", "seconds", "missed"),
    [
        (1999, 3, []),
        (2001, 3, ["at most 2 GB each"]),
        (1999, 2.9, ["on one task at least 3"]),
    ],
)
def test_targets_are_judged(monkeypatch, megabytes, seconds, missed):
    def evaluate(case):
        kit = ProcessCost(9, seconds, 9000) if case.epochs else None
        return ProcessCost(2, 1, megabytes), kit, [0.5, 0.4][: 2 if kit else 1]

    monkeypatch.setattr(full_hear, "_evaluate", evaluate)
    report = measure(False)
    found = [name for name, met in report.targets.items() if not met]
    assert [name[: len(m)] for name, m in zip(found, missed, strict=True)] == missed
    assert report.ratio == seconds
    assert report.max_difference == pytest.approx(0.1)
    assert len({tuple(row) for row in report.rows}) == 1


@pytest.mark.slow
@pytest.mark.official_kit
def test_quick_run_measures_both(capsys):
    if not KIT.is_file():
        pytest.skip("the official HEAR tools are not installed: run `make kit`")
    assert main("full_hear", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ratio"] > 1
    assert len(printed["rows"]) == len(CASES)
