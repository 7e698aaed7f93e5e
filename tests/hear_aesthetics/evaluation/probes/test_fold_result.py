"""Values of a test are named and rounded as heareval logs them."""

import numpy as np
import pytest

from hear_aesthetics.evaluation.embeddings.rows import SplitRows
from hear_aesthetics.evaluation.probes.fold_result import (
    FoldResult,
    Selection,
    decoded,
    logged_values,
    scored_postprocessings,
)
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.tasks.event_postprocessing import Timeline, postprocessing_grid
from hear_aesthetics.evaluation.tasks.scores import named_values
from hear_aesthetics.evaluation.tasks.task import load_task
from hear_aesthetics.metrics.events import Events

EYE = np.eye(2, dtype=np.float32)


def rows_with_events():
    timeline = Timeline(["a.wav"] * 4, [0, 50, 100, 150])
    return SplitRows(EYE[[0, 0, 1, 1]], timeline, Events.of([(0, 1, 100, 150)]))


def test_the_loss_comes_first_and_values_are_float32(make_task):
    task = load_task(make_task(evaluation=["top1_acc", "mAP"]))
    rows = SplitRows(EYE[[0, 1, 0]])
    predictions = np.float32([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    values = logged_values(task, rows, predictions, (), 0.1)
    assert list(values) == ["test_loss", "test_score", "test_top1_acc", "test_mAP"]
    assert values["test_loss"] == 0.10000000149011612
    assert values["test_score"] == values["test_top1_acc"] == float(np.float32(2 / 3))


@pytest.mark.parametrize("first", ["d_prime", "aucroc"])
def test_d_prime_alone_is_a_float64(make_task, first):
    """There it is NumPy's float64, of which Lightning's log makes a float64 tensor."""
    names = [first, *{"d_prime", "aucroc", "mAP"} - {first}]
    task = load_task(make_task(evaluation=names))
    generator = np.random.default_rng(0)
    rows = SplitRows(EYE[[0, 1, 1, 0] * 10])
    predictions = generator.random((40, 2), dtype=np.float32)
    exact = named_values(task.scores, predictions, rows.targets)
    assert all(value != float(np.float32(value)) for value in exact.values())
    values = logged_values(task, rows, predictions, (), 0.1)
    for name, value in exact.items():
        kept = value if name == "d_prime" else float(np.float32(value))
        assert values[f"test_{name}"] == kept
    assert values["test_score"] == values[f"test_{first}"]


def test_event_values_name_their_parts(make_task, event_labels):
    event = {"embedding_type": "event", "prediction_type": "multilabel"}
    scores = ["event_onset_200ms_fms", "segment_1s_er"]
    task = load_task(make_task(split_labels=event_labels, evaluation=scores, **event))
    rows = rows_with_events()
    chosen = (("median_filter_ms", 0), ("min_duration", 0))
    values = logged_values(task, rows, rows.targets, chosen, 0.0)
    assert values["test_score"] == values["test_event_onset_200ms_fms_f_measure"]
    assert values["test_event_onset_200ms_fms_precision"] == 0.5
    assert values["test_event_onset_200ms_fms_recall"] == 1
    assert values["test_segment_1s_er"] == values["test_segment_1s_er_error_rate"] == 1


def test_the_chosen_post_processing_decides_which_events_there_are():
    rows = rows_with_events()
    for min_duration, count in ((0, 2), (60, 0)):
        chosen = (("median_filter_ms", 0), ("min_duration", min_duration))
        events, target = decoded(rows, rows.targets, chosen)
        assert len(events.file) == count
        assert target is rows.events


def test_the_filter_runs_once_for_all_shortest_durations(make_task, event_labels, monkeypatch):
    event = {"embedding_type": "event", "prediction_type": "multilabel"}
    grid = {"median_filter_ms": [0, 150], "min_duration": [0, 60, 125]}
    params = {"evaluation_params": {"event_postprocessing_grid": grid}}
    scores = {"evaluation": ["event_onset_200ms_fms"]}
    task = load_task(make_task(split_labels=event_labels, **event, **scores, **params))
    timeline = Timeline(["a.wav"] * 40, [50 * i for i in range(40)])
    reference = Events.of((0, i % 2, 200 * i, 200 * i + 150) for i in range(10))
    predictions = np.random.default_rng(0).random((40, 2), dtype=np.float32)
    rows = SplitRows(predictions > 0.5, timeline, reference)
    alone = {
        chosen: task.scores[0].values(*decoded(rows, predictions, chosen))["f_measure"]
        for chosen in postprocessing_grid(grid)
    }
    assert len(set(alone.values())) > 3
    calls = []
    decode = Timeline.decode
    monkeypatch.setattr(
        Timeline, "decode", lambda *args, **how: calls.append(how) or decode(*args, **how)
    )
    assert {c: s for s, c in scored_postprocessings(task, rows, predictions)} == alone
    assert len(calls) == 2


@pytest.mark.parametrize(("repetition", "name"), [(0, "test"), (2, "test.seed2")])
def test_repetitions_after_the_first_are_named(repetition, name):
    selection = Selection(GridPoint(), 0.75, 11, seconds=90)
    outcome = FoldResult(
        "test", selection, {"test_score": 1.0}, None, EYE, "multiclass", repetition
    )
    assert outcome.name == name
    assert outcome.as_json() == {
        "test_score": 1.0,
        "validation_score": 0.75,
        "epoch": 11,
        "time_in_min": 1.5,
    }
