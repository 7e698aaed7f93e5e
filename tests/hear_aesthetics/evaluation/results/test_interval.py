"""The interval of a score: what is drawn, what it is about, and that it can be reproduced."""

from dataclasses import replace

import numpy as np
import pytest

from hear_aesthetics.evaluation.embeddings.rows import read_rows
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.outcome import Outcome, Selection, logged_values
from hear_aesthetics.evaluation.results.interval import robust_statement, score_interval
from hear_aesthetics.evaluation.tasks.task import load_task


@pytest.fixture
def task(make_embeddings):
    return load_task(make_embeddings(rows=40))


def outcome(task, wrong=(), repetition=0):
    """A test in which the named rows are predicted wrongly."""
    rows = read_rows(task, ("test",), with_times=True)
    predictions = rows.targets.copy()
    predictions[list(wrong)] = 1 - predictions[list(wrong)]
    values = logged_values(task, rows, predictions, (), 0.1)
    selection = Selection(GridPoint(), 0.7, 5)
    return Outcome("test", selection, values, rows, predictions, predictions, repetition)


def test_the_interval_holds_the_score_and_widens_with_its_spread(task):
    interval = score_interval(task, [outcome(task, wrong=range(10))])
    assert interval.estimate[0] == pytest.approx(0.75)
    # binomial: standard error sqrt(.75 * .25 / 40) = 0.068
    assert interval.low[0] == pytest.approx(0.75 - 1.96 * 0.068, abs=0.03)
    assert interval.high[0] == pytest.approx(0.75 + 1.96 * 0.068, abs=0.03)


def test_a_score_without_spread_has_no_width(task):
    interval = score_interval(task, [outcome(task)])
    assert (interval.low[0], interval.high[0]) == (1.0, 1.0)


def test_the_same_clips_are_drawn_for_every_repetition(task):
    wrong = range(10)
    once = score_interval(task, [outcome(task, wrong)])
    thrice = score_interval(task, [outcome(task, wrong, repetition=r) for r in range(3)])
    assert (once.low[0], once.high[0]) == pytest.approx((thrice.low[0], thrice.high[0]))


def test_repetitions_that_differ_are_averaged(task):
    outcomes = [outcome(task, range(10)), outcome(task, range(10, 30), repetition=1)]
    assert score_interval(task, outcomes).estimate[0] == pytest.approx((0.75 + 0.5) / 2)


def test_an_undefined_resample_does_not_undefine_the_interval(task):
    ranked = replace(task, evaluation=("aucroc",), skip_undefined=True)
    rows = read_rows(task, ("test",))
    few = replace(outcome(task), rows=replace(rows, targets=rows.targets.copy()))
    few.rows.targets[:] = [0, 1]
    few.rows.targets[0] = [1, 0]  # one positive: absent from a third of the resamples
    interval = score_interval(ranked, [replace(few, values={"test_score": 0.5})])
    assert np.isfinite([interval.low[0], interval.high[0]]).all()


def test_the_statement_says_what_was_done(task):
    stated = robust_statement(task, [outcome(task, range(10))], {"seeds": 1})
    assert stated["score"] == "top1_acc"
    assert stated["protocol"]["name"] == "robust"
    assert stated["protocol"]["seeds"] == 1
    assert any("shuffled" in choice for choice in stated["protocol"]["choices"])
    assert stated["interval"][0] < stated["mean"] < stated["interval"][1]
    assert (stated["confidence"], stated["bootstrap"]["drawn"]) == (0.95, "clips")
    assert stated["runs"][0]["chosen"] == GridPoint().describe()


def test_a_label_that_only_one_class_of_rows_has_is_named(task):
    one = outcome(task)
    rows = replace(one.rows, targets=np.tile([1.0, 0.0], (40, 1)).astype("f4"))
    stated = robust_statement(task, [replace(one, rows=rows)], {})
    assert stated["runs"][0]["labels_with_one_class"] == ["high", "low"]
