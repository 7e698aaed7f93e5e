"""Intervals cover what they claim, and pairing sees differences that separate intervals hide."""

from functools import partial

import numpy as np
import pytest

from hear_aesthetics import metrics


@pytest.fixture
def scores():
    """Predictions and targets (60, 3) with ties in both."""
    generator = np.random.default_rng(1)
    target = generator.uniform(1, 5, (60, 3)).round(1)
    return (target + generator.normal(0, 0.7, (60, 3))).round(1), target


def test_interval_holds_the_estimate_and_narrows_with_more_songs(scores):
    preds, target = (np.tile(s, (8, 1)) for s in scores)
    small = metrics.confidence_interval(metrics.srcc, *scores, scale="fisher")
    large = metrics.confidence_interval(metrics.srcc, preds, target, scale="fisher")
    assert ((small.low < small.estimate) & (small.estimate < small.high)).all()
    assert ((large.high - large.low) < 0.6 * (small.high - small.low)).all()


def test_interval_of_the_mean_covers_as_often_as_it_says():
    generator = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        sample = generator.normal(0, 1, (80, 1))
        interval = metrics.confidence_interval(
            metrics.mse, sample, np.zeros_like(sample), scale="log", confidence=0.9
        )
        hits += bool(interval.low[0] <= 1 <= interval.high[0])
    assert 167 <= hits <= 192  # 0.9 of 200 by three standard errors


def test_paired_interval_sees_a_difference_that_separate_intervals_hide(scores):
    preds, target = scores
    better = preds + 0.2 * (target - preds)
    difference = metrics.paired_interval(metrics.lcc, better, preds, target)
    separate = metrics.confidence_interval(metrics.lcc, preds, target)
    assert difference.excludes_zero.all()
    assert (difference.estimate > 0).all()
    assert (separate.high > metrics.lcc(better, target)).any()
    same = metrics.paired_interval(metrics.lcc, preds, preds, target)
    assert not same.excludes_zero.any()
    assert np.isnan([same.low, same.high]).all()  # nothing varies: equal now is not equal always


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_share_at_the_edge_has_the_interval_of_its_cases(wrong):
    preds, target = np.repeat([[4.0], [1.0]], [6, 14], axis=0), np.repeat([4.0, 1.0], [6, 14])
    tta = partial(metrics.top_tier_f1, thresholds=3.0)
    found = metrics.confidence_interval(tta, abs(5 * wrong - preds), target, scale="f_measure")
    assert found.estimate[0] == 1 - wrong
    # all of 6 (none of 20) cases: Wilson's n / (n + t^2) on the Jaccard index, t = 2.093 of 19
    jaccard = 2.093**2 / (20 + 2.093**2) if wrong else 6 / (6 + 2.093**2)
    ends = (found.high[0], found.low[0])
    assert ends[1 - wrong] == pytest.approx(2 * jaccard / (1 + jaccard), abs=1e-3)
    assert ends[wrong] == found.estimate[0]


@pytest.mark.parametrize("metric", ["lcc", "srcc", "ktau", "mse"])
def test_equal_numbers_and_few_songs_tell_no_width(metric, scores):
    preds, target = scores
    for p, t in ((np.ones_like(target), np.ones_like(target)), (preds[:2], target[:2])):
        scale = metrics.SCALES[metric]
        found = metrics.confidence_interval(getattr(metrics, metric), p, t, scale=scale)
        assert np.isnan([found.low, found.high]).all()


def test_intervals_of_ties_and_of_many_songs_stay_within_the_scale():
    target = np.random.default_rng(0).integers(1, 3, (450, 2)).astype(float)
    preds = target.copy()
    preds[:3] = 3 - preds[:3]
    for name in ("lcc", "srcc", "ktau"):
        metric = getattr(metrics, name)
        found = metrics.confidence_interval(metric, preds, target, scale="fisher")
        assert ((found.low < found.estimate) & (found.estimate < found.high)).all()
        assert (found.high < 1).all()
        assert (found.low > 0.9).all()


def test_the_confidence_must_be_a_probability(scores):
    with pytest.raises(ValueError, match=r"confidence 1\.0"):
        metrics.confidence_interval(metrics.mse, *scores, confidence=1.0)
