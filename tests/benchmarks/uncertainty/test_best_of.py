"""The simulation tells the expected score of a winner from a score that promises too much."""

import pytest

from benchmarks.uncertainty.best_of import WITHIN, Case, main, measure, row


@pytest.mark.parametrize("case", [Case(0.15, 0.4), Case(0.4, 0.15)])
def test_expected_scores_of_winners_are_what_they_turn_out_to_be(case):
    found = row(case, 100, 10)
    assert found["expected"] == pytest.approx(0, abs=WITHIN)
    assert found["said better"] == pytest.approx(found["is better"], abs=WITHIN)


def test_the_raw_score_and_the_line_alone_are_seen_to_promise_too_much():
    found = row(Case(0.15, 0.4), 100, 10)
    assert found["raw score"] > 5 * WITHIN
    assert found["line alone"] > 5 * WITHIN


@pytest.mark.slow
def test_quick_run_reaches_its_targets(capsys):
    assert main("uncertainty.best_of", measure, ["--quick"]) == 0
    assert "expected score within 0.05" in capsys.readouterr().out
