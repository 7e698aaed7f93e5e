"""The interval of a score: what is left out, what it is about, and that it can be reproduced."""

from dataclasses import replace

import numpy as np
import pytest

from hear_aesthetics.evaluation.embeddings.rows import read_rows
from hear_aesthetics.evaluation.probes.fold_result import FoldResult, Selection, logged_values
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.results.interval import robust_statement, score_interval
from hear_aesthetics.evaluation.tasks.task import load_task


@pytest.fixture
def task(make_embeddings):
    return load_task(make_embeddings(rows=40))


def outcome(task, wrong=(), repetition=0):
    """A test in which the named rows are predicted wrongly."""
    rows = read_rows(task, ("test",), with_times=True)
    predictions = rows.targets.astype(np.float32)
    predictions[list(wrong)] = 1 - predictions[list(wrong)]
    values = logged_values(task, rows, predictions, (), 0.1)
    selection = Selection(GridPoint(), 0.7, 5)
    kind = "regression"  # the predictions are the logits
    return FoldResult("test", selection, values, rows, predictions, kind, repetition)


def test_the_interval_holds_the_score_and_widens_with_its_spread(task):
    interval = score_interval(task, [outcome(task, wrong=range(10))])
    assert interval.estimate[0] == pytest.approx(0.75)
    # binomial: standard error sqrt(.75 * .25 / 40) = 0.068
    assert interval.low[0] == pytest.approx(0.75 - 1.96 * 0.068, abs=0.03)
    assert interval.high[0] == pytest.approx(0.75 + 1.96 * 0.068, abs=0.03)


def test_a_perfect_score_is_not_called_certain(task):
    interval = score_interval(task, [outcome(task)])
    assert interval.high[0] == 1
    assert interval.low[0] == pytest.approx(40 / (40 + 2.023**2), abs=1e-3)  # Wilson, t of 39


def rare_labels(task, seed, clips=300, labels=30, rate=0.03):
    """A test of rare labels whose scores are 1 higher for positives."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((clips, labels)) < rate).astype("f4")
    predictions = generator.normal(size=targets.shape) + targets
    done = outcome(task)
    rows = replace(done.rows, targets=targets)
    score = task.scores[0].values(predictions, targets)[""]
    return replace(done, rows=rows, logits=predictions, values={"test_score": score})


def test_intervals_of_rare_labels_hold_what_they_claim(task):
    ranked = replace(task, evaluation=("mAP",), skip_undefined=True)
    truth = score_interval(ranked, [rare_labels(ranked, 99, clips=40_000, labels=5)]).estimate[0]
    found = [score_interval(ranked, [rare_labels(ranked, seed)]) for seed in range(30)]
    assert all(f.low[0] < f.estimate[0] < f.high[0] for f in found)
    assert sum(f.low[0] <= truth <= f.high[0] for f in found) >= 27


def test_precision_of_two_positives_a_label_is_not_estimable(task):
    ranked = replace(task, evaluation=("mAP",), skip_undefined=True)
    interval = score_interval(ranked, [rare_labels(ranked, 0, clips=100, rate=0.015)])
    assert np.isfinite(interval.estimate[0])
    assert np.isnan([interval.low[0], interval.high[0]]).all()


def test_the_same_clips_are_left_out_for_every_repetition(task):
    wrong = range(10)
    once = score_interval(task, [outcome(task, wrong)])
    thrice = score_interval(task, [outcome(task, wrong, repetition=r) for r in range(3)])
    assert (once.low[0], once.high[0]) == pytest.approx((thrice.low[0], thrice.high[0]))


def test_repetitions_that_differ_are_averaged(task):
    outcomes = [outcome(task, range(10)), outcome(task, range(10, 30), repetition=1)]
    assert score_interval(task, outcomes).estimate[0] == pytest.approx((0.75 + 0.5) / 2)


def test_one_positive_tells_no_interval(task):
    ranked = replace(task, evaluation=("aucroc",), skip_undefined=True)
    rows = read_rows(task, ("test",))
    few = replace(outcome(task), rows=replace(rows, targets=rows.targets.copy()))
    few.rows.targets[:] = [0, 1]
    few.rows.targets[0] = [1, 0]
    stated = robust_statement(ranked, [replace(few, values={"test_score": 0.5})], {})
    assert (stated["mean"], stated["interval"]) == (0.5, None)


def test_the_statement_says_what_was_done(task):
    stated = robust_statement(task, [outcome(task, range(10))], {"seeds": 1})
    assert stated["score"] == "top1_acc"
    assert stated["protocol"]["name"] == "robust"
    assert stated["protocol"]["seeds"] == 1
    assert any("shuffled" in choice for choice in stated["protocol"]["choices"])
    assert stated["interval"][0] < stated["mean"] < stated["interval"][1]
    assert (stated["confidence"], stated["left_out"]) == (0.95, "clips")
    assert "jackknife" in stated["method"]
    assert stated["runs"][0]["chosen"] == GridPoint().describe()


def test_a_label_that_only_one_class_of_rows_has_is_named(task):
    one = outcome(task)
    rows = replace(one.rows, targets=np.tile([1.0, 0.0], (40, 1)).astype("f4"))
    stated = robust_statement(task, [replace(one, rows=rows)], {})
    assert stated["runs"][0]["labels_with_one_class"] == ["high", "low"]
