"""Losses: parity with the published ones, exactness far apart, ties and padding."""

import json
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from heads.objectives.losses import hybrid_loss, list_mle


@pytest.mark.parity
def test_list_mle_and_its_gradient_match_the_published_values(golden):
    cases = load_file(golden / "list_mle" / "cases.safetensors")
    expected = json.loads((golden / "list_mle" / "expected.json").read_text())
    assert expected
    for case, values in expected.items():
        preds = cases[f"{case}.pred"].requires_grad_()
        loss = list_mle(preds, cases[f"{case}.target"])
        loss.backward()
        assert loss.item() == pytest.approx(values["loss_exact_no_eps"], rel=1e-4, abs=1e-4), case
        assert torch.isfinite(preds.grad).all(), case
        if (
            f"{case}.grad_pred" in cases and not values["eps_matters"]
        ):  # the published loss adds eps
            published = cases[f"{case}.grad_pred"]
            torch.testing.assert_close(preds.grad, published, rtol=1e-3, atol=1e-5, msg=case)


def test_list_mle_is_the_log_likelihood_of_a_plackett_luce_draw():
    preds, target = torch.tensor([0.3, -1.2, 0.9, 0.0]), torch.tensor([2.0, 4.0, 1.0, 3.0])
    likelihood = {}
    for order in permutations(range(4)):
        left, chance = list(range(4)), 1.0
        for item in order:
            chance *= preds[item].exp() / preds[left].exp().sum()
            left.remove(item)
        likelihood[order] = float(chance)
    assert sum(likelihood.values()) == pytest.approx(1.0, abs=1e-5)
    true_order = tuple(target.argsort(descending=True).tolist())
    loss = list_mle(preds[None], target[None])
    assert loss.neg().exp().item() == pytest.approx(likelihood[true_order], rel=1e-5)


@pytest.mark.parametrize("spread", [1.0, 50.0, 1e4])
def test_a_right_order_costs_nothing_however_far_apart(spread):
    target = torch.tensor([[5.0, 4.0, 3.0, 2.0]])
    right = spread * target
    reference = float(
        sum((torch.logsumexp(right[0, i:].double(), 0) - right[0, i]) for i in range(4))
    )
    assert list_mle(right, target).item() == pytest.approx(reference, abs=1e-3)


def test_padding_contributes_nothing_even_when_its_prediction_is_extreme():
    preds, target = torch.randn(2, 5), torch.tensor([[3.0, 1.0, 2.0, 4.0, 5.0]]).repeat(2, 1)
    alone = list_mle(preds, target)
    padded_preds = torch.cat((torch.full((2, 3), 99.0), preds), dim=1).requires_grad_()
    padded_target = torch.cat((torch.full((2, 3), -1.0), target), dim=1)
    padded = list_mle(padded_preds, padded_target)
    torch.testing.assert_close(padded, alone)
    padded.backward()
    assert (padded_preds.grad[:, :3] == 0).all()
    assert torch.isfinite(padded_preds.grad).all()


def test_ties_are_broken_at_random_and_repeatably():
    preds, target = torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.full((1, 4), 3.0)

    def losses(seed):
        generator = torch.Generator().manual_seed(seed)
        return [list_mle(preds, target, generator).item() for _ in range(8)]

    assert len(set(losses(0))) > 1
    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_hybrid_loss_ranks_songs_within_each_dimension():
    preds, target = torch.randn(6, 3), torch.rand(6, 3) * 4 + 1
    per_dimension = [list_mle(preds[None, :, d], target[None, :, d]) for d in range(3)]
    expected = F.smooth_l1_loss(preds, target, beta=0.5) + 0.15 * torch.stack(per_dimension).mean()
    torch.testing.assert_close(hybrid_loss(preds, target, rank_weight=0.15), expected)


def test_hybrid_loss_is_computed_in_float32():
    preds = torch.rand(8, 2).bfloat16().requires_grad_()
    loss = hybrid_loss(preds, torch.rand(8, 2), rank_weight=0.05)
    assert loss.dtype == torch.float32


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((4,), (4,))])
def test_shapes_that_do_not_pair_are_refused(shapes):
    with pytest.raises(ValueError, match="preds and target must both be"):
        list_mle(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
