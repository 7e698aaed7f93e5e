"""Each target is trained towards what was published; plain scores become Gaussians."""

import pytest
import torch

from heads import bin_centers, coral_loss, expected_score, gaussian_target, kl_loss, one_hot_target
from musiceval_task.training.objective import as_distribution, loss

SCORES = torch.tensor([1.0, 2.37, 4.9])
PROBABILITIES = torch.full((3, 20), 0.05)


def test_gaussian_targets_have_the_published_width() -> None:
    target = gaussian_target(SCORES, bin_centers(), 0.25)
    assert loss(PROBABILITIES, SCORES, "gaussian") == kl_loss(PROBABILITIES, target)


@pytest.mark.parametrize(("recipe", "rounding"), [("corrected", "nearest"), ("published", "floor")])
def test_one_hot_targets_follow_the_recipe(recipe: str, rounding: str) -> None:
    predicted = torch.rand(3, 20).softmax(1)
    target = one_hot_target(SCORES, bin_centers(), rounding)
    assert loss(predicted, SCORES, "one-hot", recipe) == kl_loss(predicted, target)


def test_coral_is_trained_on_its_logits() -> None:
    logits = torch.randn(3, 4)
    assert loss(logits, SCORES, "coral") == coral_loss(logits, SCORES)


def test_a_plain_score_becomes_a_gaussian_of_the_released_width() -> None:
    distribution = as_distribution(SCORES)
    torch.testing.assert_close(distribution, gaussian_target(SCORES, bin_centers(), 0.35))
    assert abs(expected_score(distribution, bin_centers())[1] - SCORES[1]) < 0.01
