"""Conformal intervals: ranks, coverage on new songs, and a scale only where it helps."""

import numpy as np
import pytest

from songeval_task.uncertainty.conformal import fit_scale, quantile, scale_of


def test_the_quantile_is_the_rank_of_the_theorem():
    values = np.arange(1.0, 100)[:, None]  # 99 songs: the 90th of 100 places
    assert quantile(values, 0.9) == 90
    assert quantile(values, 0.99) == 99
    assert np.isinf(quantile(values, 0.995)), "99 songs promise no more than 0.99"


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_new_songs_are_covered_as_often_as_stated(coverage):
    rng = np.random.default_rng(0)
    errors = np.abs(rng.standard_t(3, (10000, 60, 1)))
    new = np.abs(rng.standard_t(3, (10000, 1)))
    held = np.array([new[i] <= quantile(errors[i], coverage) for i in range(10000)])
    assert coverage - 0.02 < held.mean() < coverage + 0.04


def test_errors_that_grow_with_the_distance_get_a_scale_and_shorter_intervals():
    rng = np.random.default_rng(1)
    distance = rng.uniform(1, 9, 400)
    errors = rng.normal(size=(400, 1)) * 0.1 * distance[:, None]
    scale = fit_scale(errors, distance)
    assert scale[1, 0] > 0
    sigma = scale_of(scale, distance)
    assert (quantile(np.abs(errors) / sigma, 0.9) * sigma).mean() < quantile(np.abs(errors), 0.9)


def test_errors_that_do_not_keep_a_constant_width():
    rng = np.random.default_rng(2)
    scale = fit_scale(rng.normal(size=(200, 3)), rng.uniform(1, 9, 200))
    assert scale.tolist() == [[1, 1, 1], [0, 0, 0]]
