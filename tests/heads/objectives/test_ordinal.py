"""Ordinal outputs: parity, monotone logits, and the distribution behind them."""

import json

import pytest
import torch
from safetensors.torch import load_file

from heads.objectives.ordinal import (
    MonotonicOrdinalHead,
    coral_loss,
    expected_rank,
    rank_probabilities,
)


@pytest.mark.parity
def test_logits_ranks_and_losses_match_the_published_head(golden):
    folder = golden / "astar"
    config = json.loads((folder / "ordinal.config.json").read_text())
    published = load_file(folder / "ordinal.model.safetensors")
    io = load_file(folder / "ordinal.io.safetensors")
    head = MonotonicOrdinalHead(config["input_dim"], config["num_ranks"], config["hidden_dims"])
    renamed = {
        name.replace("raw_outputs_layer", "output").replace("shared_fc", "hidden"): tensor
        for name, tensor in published.items()
    }
    head.load_state_dict(renamed)
    head.eval()
    close = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(head(io["x"]), io["logits"], **close)
    torch.testing.assert_close(expected_rank(io["logits"]), io["mos"].squeeze(1), **close)
    logits = io["logits"].requires_grad_()
    for reduction in ("mean", "sum", "none"):
        loss = coral_loss(logits, io["mos_true"], reduction)
        expected = io[f"coral_{reduction}"].reshape(loss.shape)
        torch.testing.assert_close(loss, expected, **close)
    coral_loss(logits, io["mos_true"]).backward()
    torch.testing.assert_close(logits.grad, io["coral_mean_grad_logits"], **close)


def test_logits_never_increase():
    head = MonotonicOrdinalHead(8, ranks=7, hidden=(16,))
    logits = head(10 * torch.randn(100, 8))
    assert logits.shape == (100, 6)
    assert (logits.diff(dim=1) <= 0).all()


def test_probabilities_are_a_distribution_with_the_expected_rank_as_mean():
    logits = torch.randn(50, 4).sort(dim=1, descending=True).values
    probabilities = rank_probabilities(logits)
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(50))
    mean = (probabilities * torch.arange(1.0, 6.0)).sum(dim=1)
    torch.testing.assert_close(mean, expected_rank(logits))


def test_a_score_is_above_a_rank_only_if_strictly_greater():
    logits = torch.tensor([[0.0, 0.0]])
    sharp = torch.tensor([[30.0, -30.0]])  # "above 1, not above 2"
    assert coral_loss(sharp, torch.tensor([2.0])).item() == pytest.approx(0, abs=1e-6)
    assert coral_loss(sharp, torch.tensor([2.1])).item() == pytest.approx(30, rel=1e-3)
    assert coral_loss(logits, torch.tensor([1.0])).item() == pytest.approx(2 * 0.6931, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MonotonicOrdinalHead(8, ranks=1), "at least 2 ranks"),
        (lambda: coral_loss(torch.zeros(2, 4), torch.zeros(3)), r"target \(batch,\)"),
        (lambda: coral_loss(torch.zeros(2, 4), torch.zeros(2), "max"), "'mean', 'sum' or 'none'"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
