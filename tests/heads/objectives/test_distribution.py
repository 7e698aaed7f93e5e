"""Distributions over bins: parity of targets and loss, and what a prediction says."""

import pytest
import torch
from safetensors.torch import load_file

from heads.objectives.distribution import (
    bin_centers,
    expected_score,
    gaussian_target,
    kl_loss,
    one_hot_target,
    score_deviation,
    score_interval,
)

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parity
class TestPublishedTables:
    @pytest.fixture
    def tables(self, golden):
        return load_file(golden / "astar" / "targets.safetensors")

    def test_centers(self, tables):
        expected = tables["bin_centers"]
        torch.testing.assert_close(bin_centers(len(expected)), expected)

    def test_gaussian_targets(self, tables):
        names = [name for name in tables if name.startswith("gaussian_bins")]
        assert names
        for name in names:
            bins, sigma = name.removeprefix("gaussian_bins").split("_sigma")
            ours = gaussian_target(tables["scores"], bin_centers(int(bins)), float(sigma))
            torch.testing.assert_close(ours, tables[name], **CLOSE)

    def test_one_hot_targets_by_the_published_floor_rule(self, tables):
        names = [name for name in tables if name.startswith("one_hot_bins")]
        assert names
        for name in names:
            centers = bin_centers(int(name.removeprefix("one_hot_bins")))
            ours = one_hot_target(tables["scores"], centers, rounding="floor")
            assert torch.equal(ours, tables[name].float())

    def test_divergence_and_expected_score(self, tables):
        preds, centers = tables["pred_dist"], bin_centers(tables["pred_dist"].shape[1])
        targets = {
            "kl_gaussian": gaussian_target(tables["scores"], centers),
            "kl_one_hot": one_hot_target(tables["scores"], centers, rounding="floor"),
        }
        for name, target in targets.items():
            torch.testing.assert_close(kl_loss(preds, target), tables[name][0], **CLOSE)
        ours = expected_score(preds, centers)
        torch.testing.assert_close(ours, tables["expected_score"], **CLOSE)


def test_nearest_bin_is_within_half_a_bin_and_floor_is_biased_low():
    centers = bin_centers(20)
    scores = torch.linspace(1, 5, 101)
    errors = {
        rule: expected_score(one_hot_target(scores, centers, rule), centers) - scores
        for rule in ("nearest", "floor")
    }
    half = (centers[1] - centers[0]) / 2
    assert errors["nearest"].abs().max() <= half + 1e-5
    assert errors["nearest"].mean().abs() < half / 10
    assert errors["floor"].mean() < -half / 2


def test_targets_take_their_range_from_the_centers():
    centers = bin_centers(11, low=0, high=10)
    scores = torch.tensor([-3.0, 4.0, 12.0])
    for target in (gaussian_target(scores, centers, 0.1), one_hot_target(scores, centers)):
        assert expected_score(target, centers).tolist() == pytest.approx([0, 4, 10], abs=1e-3)


def test_divergence_vanishes_for_a_perfect_prediction_and_stays_finite_for_a_certain_one():
    centers = bin_centers()
    target = gaussian_target(torch.tensor([2.0, 4.5]), centers)
    assert kl_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    certain = one_hot_target(torch.tensor([5.0, 1.0]), centers).requires_grad_()
    loss = kl_loss(certain, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(certain.grad).all()


def test_deviation_and_interval_of_a_gaussian():
    centers = bin_centers(401)
    distribution = gaussian_target(torch.tensor([3.0]), centers, sigma=0.5)
    assert score_deviation(distribution, centers).item() == pytest.approx(0.5, abs=0.01)
    lower, upper = score_interval(distribution, centers, coverage=0.9)
    assert lower.item() == pytest.approx(3 - 1.645 * 0.5, abs=0.02)
    assert upper.item() == pytest.approx(3 + 1.645 * 0.5, abs=0.02)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_interval_holds_at_least_its_share(coverage):
    centers = bin_centers(20)
    probabilities = torch.randn(50, 20).mul(3).softmax(-1)
    lower, upper = score_interval(probabilities, centers, coverage)
    inside = (centers >= lower[:, None]) & (centers <= upper[:, None])
    assert ((probabilities * inside).sum(-1) >= coverage - 1e-5).all()
    assert (lower <= upper).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bin_centers(1), "at least 2 bins"),
        (lambda: bin_centers(5, 3, 3), "low < high"),
        (lambda: one_hot_target(torch.ones(1), bin_centers(), "up"), "'nearest' or 'floor'"),
        (lambda: kl_loss(torch.ones(2, 3), torch.ones(2, 4)), "differ in shape"),
        (lambda: score_interval(torch.ones(1, 20), bin_centers(), 1.0), "between 0 and 1"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
