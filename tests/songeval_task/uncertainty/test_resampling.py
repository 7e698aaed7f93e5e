"""Cluster bootstrap: probabilities that are no surer than what happens, with few clusters too."""

import numpy as np
import pytest

from songeval_task.uncertainty.resampling import resample_difference

ONE = [()]  # no clustering


def share_sure(draw, sets=400):
    """Of sets without a true difference, the share whose probability is called sure."""
    found = np.array([draw(np.random.default_rng(seed)).probability[0] for seed in range(sets)])
    return ((found < 0.05) | (found > 0.95)).mean()


@pytest.mark.parametrize("pairs", [3, 5, 20])
def test_pairs_without_a_difference_are_called_sure_as_often_as_stated(pairs):
    found = share_sure(
        lambda rng: resample_difference(None, rng.normal(size=(pairs, 1)), [], ONE * pairs)
    )
    assert found == pytest.approx(0.10, abs=0.04)


@pytest.mark.parametrize(("a", "b"), [(6, 6), (40, 25)])
def test_sides_without_a_difference_are_called_sure_no_more_often_than_stated(a, b):
    def draw(rng):
        sides = rng.normal(3, 0.5, (a, 1)), rng.normal(3, 0.5, (b, 1))
        return resample_difference(*sides, ONE * a, ONE * b)

    assert 0.03 < share_sure(draw) < 0.13


PROMPTS, TAKES = 6, 10


def clustered(rng, shared):
    """Takes of prompts that differ more than their takes; both sides may have the same prompts."""
    luck = rng.normal(0, 1, (2, PROMPTS, 1))
    luck[1] = luck[0] if shared else luck[1]
    return luck + rng.normal(0, 0.3, (2, PROMPTS, TAKES))


def of_prompts(values, side):
    return [(f"{side} {prompt}",) for prompt in range(PROMPTS) for _ in range(TAKES)]


def test_prompts_are_resampled_and_not_their_takes():
    def draw(rng, known):
        sides = [side.reshape(-1, 1) for side in clustered(rng, shared=False)]
        labels = [
            of_prompts(side, name) if known else ONE * len(side)
            for side, name in zip(sides, "ab", strict=True)
        ]
        return resample_difference(*sides, *labels)

    assert share_sure(lambda rng: draw(rng, known=True), 200) == pytest.approx(0.08, abs=0.06)
    assert share_sure(lambda rng: draw(rng, known=False), 200) > 0.4, "takes alone are too sure"


def test_prompts_that_both_sides_have_drop_out():
    a, b = clustered(np.random.default_rng(3), shared=True)
    a, b = a.reshape(-1, 1), b.reshape(-1, 1) + 0.3
    together = resample_difference(a, b, of_prompts(a, ""), of_prompts(b, ""))
    apart = resample_difference(a, b, of_prompts(a, "a"), of_prompts(b, "b"))
    assert together.error[0] < apart.error[0] / 3
    assert together.probability[0] > 0.95 > apart.probability[0]
    assert together.clusters == PROMPTS


def test_the_error_is_that_of_theory_and_of_both_clusterings():
    rng = np.random.default_rng(4)
    pairs = rng.normal(size=(30, 1))
    found = resample_difference(None, pairs, [], ONE * 30)
    assert found.error[0] == pytest.approx(pairs.std(ddof=1) / np.sqrt(30), rel=0.05)
    systems, prompts = rng.normal(size=(12, 1)), rng.normal(size=(1, 12))
    crossed = (systems + prompts + rng.normal(0, 0.1, (12, 12))).reshape(-1, 1)
    labels = [(f"s{s}", f"p{p}") for s in range(12) for p in range(12)]
    found = resample_difference(None, crossed, [], labels)
    truth = np.sqrt(systems.var(ddof=1) / 12 + prompts.var(ddof=1) / 12)
    assert found.error[0] == pytest.approx(truth, rel=0.25)


def test_a_clustering_with_one_level_is_left_out():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 20, 1))
    plain = resample_difference(a, b, ONE * 20, ONE * 20)
    named = resample_difference(a, b, [("a",)] * 20, [("b",)] * 20)
    assert named.clusters is plain.clusters is None
    assert np.array_equal(named.probability, plain.probability)


def test_what_does_not_vary_is_even_if_equal_and_else_unknown():
    same = np.zeros((8, 1))
    assert resample_difference(None, same, [], ONE * 8).probability[0] == 0.5
    assert np.isnan(resample_difference(None, same + 0.2, [], ONE * 8).probability[0])
    assert resample_difference(None, same[:1], [], ONE) is None
