"""The simulation tells intervals that hold from those that do not."""

from functools import partial

import numpy as np
import pytest

from benchmarks.coverage import Case, cases, classes, main, measure, row
from hear_aesthetics.metrics.intervals import SCALES


def test_accuracy_of_twelve_songs_is_covered_by_ours_alone():
    found = row(Case("top1_acc", "97% right", 12, partial(classes, right=0.97)), 40)
    assert found["truth"] == pytest.approx(0.97, abs=0.003)
    assert found["estimable"] == 1
    assert found["coverage"] >= 0.9
    assert found["percentile: coverage"] < 0.5


def test_an_interval_that_misses_is_seen(monkeypatch):
    case = Case("top1_acc", "60% right", 100, partial(classes, right=0.6))
    true = Case.interval
    monkeypatch.setattr(Case, "interval", lambda self, *drawn: _halved(true(self, *drawn)))
    assert row(case, 40)["coverage"] < 0.9


def _halved(found):
    ends = ((found.estimate + end) / 2 for end in (found.low, found.high))
    return type(found)(found.estimate, *ends, found.confidence)


def test_every_kind_of_score_is_simulated():
    simulated = {case.score for case in cases()}
    alike = {"pitch_acc", "event_onset_50ms_fms"}
    assert simulated == set(SCALES) - alike
    for case in cases():
        preds, target = case.draw(np.random.default_rng(0), case.songs)
        with np.errstate(all="ignore"):
            assert case.value(preds, target).shape == (1,)


@pytest.mark.slow
def test_quick_run_covers_more_than_a_percentile_bootstrap(capsys):
    assert main("coverage", measure, ["--quick"]) == 0
    assert "| mAP | 50 rare labels | 100 |" in capsys.readouterr().out
