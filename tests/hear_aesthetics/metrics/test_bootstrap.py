"""Intervals cover what they claim, and pairing sees differences that separate intervals hide."""

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
    small = metrics.bootstrap_interval(metrics.srcc, *scores, seed=3)
    large = metrics.bootstrap_interval(metrics.srcc, preds, target, seed=3)
    assert ((small.low < small.estimate) & (small.estimate < small.high)).all()
    assert ((large.high - large.low) < 0.6 * (small.high - small.low)).all()
    np.testing.assert_array_equal(
        small.low, metrics.bootstrap_interval(metrics.srcc, *scores, seed=3).low
    )


def test_interval_of_the_mean_covers_as_often_as_it_says():
    generator = np.random.default_rng(4)
    hits = 0
    for seed in range(200):
        sample = generator.normal(0, 1, (80, 1))
        interval = metrics.bootstrap_interval(
            metrics.mse, sample, np.zeros_like(sample), resamples=200, confidence=0.9, seed=seed
        )
        hits += bool(interval.low[0] <= 1 <= interval.high[0])
    assert 160 <= hits <= 195  # 0.9 of 200, less the small sample's bias


def test_paired_bootstrap_sees_a_difference_that_separate_intervals_hide(scores):
    preds, target = scores
    better = preds + 0.2 * (target - preds)
    difference = metrics.paired_bootstrap(metrics.lcc, better, preds, target)
    separate = metrics.bootstrap_interval(metrics.lcc, preds, target)
    assert difference.excludes_zero.all()
    assert (difference.estimate > 0).all()
    assert (separate.high > metrics.lcc(better, target)).any()
    same = metrics.paired_bootstrap(metrics.lcc, preds, preds, target)
    assert not same.excludes_zero.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"confidence": 1.0}, "confidence 1.0"), ({"resamples": 0}, "0 bootstrap resamples")],
)
def test_bootstrap_options_out_of_range_are_refused(scores, options, message):
    with pytest.raises(ValueError, match=message):
        metrics.bootstrap_interval(metrics.mse, *scores, **options)
