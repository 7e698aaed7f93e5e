"""The robust protocol: every fold searched, repetitions, events without NaN trouble, bfloat16."""

import json
import tarfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation import evaluate_embeddings
from hear_aesthetics.evaluation.embeddings.rows import write_rows
from hear_aesthetics.evaluation.probes import robust
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.robust import evaluate_robustly
from hear_aesthetics.evaluation.tasks.task import load_task

HOW = {"device": torch.device("cpu"), "dtype": torch.float32}
FOLDS = {"splits": ["f0", "f1", "f2"], "split_mode": "new_split_kfold"}
POINTS = [
    GridPoint(hidden_dim=8, lr=1e-7, max_epochs=3),  # learns nothing
    GridPoint(hidden_dim=16, lr=1e-2, max_epochs=30, patience=9),
    GridPoint(hidden_layers=0, lr=1e-2, max_epochs=30, patience=9),
]


def evaluated(task, points=POINTS, repetitions=1, **how):
    seen = []
    outcomes = evaluate_robustly(task, points, repetitions, lambda *n: seen.append(n), **HOW | how)
    assert seen[-1] == (len(task.runs) * repetitions * len(points),) * 2
    return outcomes


def test_every_fold_and_repetition_chooses_for_itself(make_embeddings):
    task = load_task(make_embeddings(**FOLDS))
    outcomes = evaluated(task, repetitions=2)
    names = [outcome.name for outcome in outcomes]
    assert names == ["f0", "f0.seed1", "f1", "f1.seed1", "f2", "f2.seed1"]
    assert all(outcome.values["test_score"] > 0.8 for outcome in outcomes)
    assert all(outcome.selection.point in POINTS[1:] for outcome in outcomes)
    assert not np.array_equal(outcomes[0].logits, outcomes[1].logits), "other seeds, other weights"


def test_the_first_repetition_does_not_depend_on_how_many_follow(make_embeddings):
    task = load_task(make_embeddings(noise=2.0))
    (one,), (first, _) = evaluated(task), evaluated(task, repetitions=2)
    assert one.selection.point == first.selection.point
    np.testing.assert_allclose(one.logits, first.logits, rtol=1e-4, atol=1e-5)


def test_stacks_of_any_size_find_the_same(make_embeddings, monkeypatch):
    task = load_task(make_embeddings(noise=2.0, **FOLDS))
    found = []
    for limits in ((2**21, 2**22), (1, 1)):
        monkeypatch.setattr(robust, "_CPU_LIMITS", limits)
        found.append(evaluated(task))
    for one, other in zip(*found, strict=True):
        assert one.selection.point == other.selection.point
        np.testing.assert_allclose(one.logits, other.logits, rtol=1e-3, atol=1e-4)


def test_runs_whose_rows_are_too_large_together_are_read_one_by_one(make_embeddings, monkeypatch):
    task = load_task(make_embeddings(noise=2.0, **FOLDS))
    blocks = partial(robust._blocks, task, POINTS, 1, HOW["device"], HOW["dtype"])
    assert list(blocks()) == [range(3)]
    together = evaluated(task)
    monkeypatch.setattr(robust, "_HELD_BYTES", 1)
    assert list(blocks()) == [range(1), range(1, 2), range(2, 3)]
    for one, other in zip(together, evaluated(task), strict=True):
        assert one.selection.point == other.selection.point
        np.testing.assert_allclose(one.logits, other.logits, rtol=1e-3, atol=1e-4)


def test_shifted_and_scaled_embeddings_change_nothing(make_embeddings):
    folder = make_embeddings(noise=2.0)
    task = load_task(folder)
    before = evaluated(task)[0]
    for split in task.splits:
        values = np.fromfile(folder / f"{split}.embeddings.npy", dtype=np.float32).reshape(-1, 6)
        (values * 32 + np.float32(100)).tofile(folder / f"{split}.embeddings.npy")
    after = evaluated(task)[0]
    assert after.values["test_score"] == before.values["test_score"]
    np.testing.assert_allclose(after.logits, before.logits, rtol=1e-2, atol=1e-2)


@pytest.fixture
def events(make_task):
    """A task whose events are nearly always there before any is found."""

    def make(**metadata):
        span = [{"label": "high", "start": 1000.0, "end": 2000.0}]
        files = {s: {f"{s}{i}.wav": span for i in range(4)} for s in ("train", "valid", "test")}
        kind = {"embedding_type": "event", "prediction_type": "multilabel"}
        scores = {"evaluation": ["event_onset_200ms_fms", "segment_1s_er"]} | metadata
        folder = make_task(split_labels=files, **kind, **scores)
        generator = np.random.default_rng(0)
        for split in files:
            times = [(name, 50.0 * i) for name in files[split] for i in range(60)]
            active = np.array([1000 <= time <= 2000 for _, time in times])
            noise = generator.normal(0, 0.1, (len(times), 5))
            labels = [["high"] if a else [] for a in active]
            write_rows(folder, split, [noise + 2 * active[:, None]], labels, times)
        return load_task(folder)

    return make


def test_validations_without_any_event_end_no_fit(events):
    # at this rate nothing passes the threshold at first: F is NaN
    point = GridPoint(hidden_layers=0, lr=3e-3, max_epochs=200, patience=3)
    (outcome,) = evaluated(events(), [point])
    assert outcome.selection.epoch > 10
    assert outcome.values["test_event_onset_200ms_fms"] > 0.5


def test_a_score_to_minimise_is_minimised_and_so_is_its_post_processing(events):
    grid = {"event_postprocessing_grid": {"median_filter_ms": [0], "min_duration": [0, 5000]}}
    task = events(evaluation=["segment_1s_er"], evaluation_params=grid)
    (outcome,) = evaluated(task, [GridPoint(hidden_layers=0, lr=3e-2, max_epochs=90, patience=30)])
    assert dict(outcome.selection.postprocessing)["min_duration"] == 0
    assert outcome.values["test_segment_1s_er"] < 0.2


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_bfloat16_stays_within_the_interval_of_float32(make_embeddings, noise):
    folder = make_embeddings(noise=noise, rows=60, **FOLDS)
    options = {"grid_points": 2, "seeds": 2, "overwrite": True, "device": "cpu"}
    exact, rounded = (
        evaluate_embeddings(folder, precision=precision, **options).scores["robust"]
        for precision in ("float32", "bfloat16")
    )
    assert exact["interval"][0] <= rounded["mean"] <= exact["interval"][1]


FSDD, EVENTS = "fsdd_digit-1.0.0-full", "digit_command_events-1.0.0-full"
POOLED = "speech_commands_pooled-1.0.0-small"


@pytest.fixture
def recordings(shared, tmp_path):
    """A function: embeddings of a task of real recordings, and heareval's score on them."""

    def unpack(task, grid):
        stored = shared / "hear/embeddings_melstats"
        with tarfile.open(stored / f"{task}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
        scores = json.loads((stored / f"{task}.{grid}.json").read_text())
        means = scores.get("aggregated_scores") or {"test_score_mean": scores["test"]["test_score"]}
        return tmp_path / task, means["test_score_mean"]

    return unpack


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "grid"), [(FSDD, "faster"), (EVENTS, "faster"), (POOLED, "default")]
)
def test_real_embeddings_score_no_worse_than_officially(recordings, task, grid):
    folder, official = recordings(task, grid)
    found = evaluate_embeddings(folder, grid=grid, seeds=1, device="cpu").scores["robust"]
    assert found["interval"][1] >= official
    if task != POOLED:  # 45 test clips decide little
        assert found["interval"][0] > official


@pytest.mark.slow
@pytest.mark.parametrize("task", [FSDD, EVENTS])
def test_bfloat16_stays_within_the_interval_on_real_embeddings(recordings, task):
    folder, _ = recordings(task, "faster")
    options = {"grid": "faster", "seeds": 1, "overwrite": True, "device": "cpu"}
    exact, rounded = (
        evaluate_embeddings(folder, precision=precision, **options).scores["robust"]
        for precision in ("float32", "bfloat16")
    )
    assert exact["interval"][0] <= rounded["mean"] <= exact["interval"][1]


def test_what_stacks_lack_is_refused(make_embeddings):
    task = load_task(make_embeddings())
    point = replace(POINTS[1], norm_after_activation=True)
    with pytest.raises(TaskError, match="norm_after_activation needs the official protocol"):
        evaluated(task, [point])
