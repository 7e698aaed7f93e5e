"""Probes have heareval's layers and draw their weights in its order."""

import math

import pytest
import torch
from torch import nn

from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.probe import (
    build_probe,
    logit_loss,
    mean_loss,
    probabilities,
)


def test_layers_follow_the_point():
    def names(**choices):
        point = GridPoint(hidden_layers=1, hidden_dim=7, **choices)
        return [type(module).__name__ for module in build_probe(3, 2, point)]

    assert names() == ["Linear", "BatchNorm1d", "Dropout", "ReLU", "Linear"]
    after = ["Linear", "Dropout", "ReLU", "BatchNorm1d", "Linear"]
    assert names(norm_after_activation=True) == after
    shapes = [tuple(p.shape) for p in build_probe(3, 2, GridPoint(hidden_layers=0)).parameters()]
    assert shapes == [(2, 3), (2,)]


def test_weights_are_drawn_linear_first_then_xavier_layer_by_layer():
    torch.manual_seed(5)
    probe = build_probe(3, 2, GridPoint(hidden_layers=1, hidden_dim=7))
    torch.manual_seed(5)
    for module, size, gain in ((probe[0], (3, 7), 1.0), (probe[-1], (7, 2), math.sqrt(2))):
        expected = nn.Linear(*size)
        nn.init.xavier_uniform_(expected.weight, gain=gain)
        assert torch.equal(module.weight, expected.weight)
        assert torch.equal(module.bias, expected.bias)


@pytest.mark.parametrize(
    ("prediction_type", "loss", "output"),
    [
        ("multiclass", math.log(4), [0.25, 0.75]),
        ("multilabel", (math.log(2) + math.log(4)) / 2, [0.5, 0.75]),
        ("regression", math.log(3) / 2, [0.0, math.log(3)]),
    ],
)
def test_every_type_has_its_loss_and_output(prediction_type, loss, output):
    """Logits of 0 and log 3, by hand: the first label is on, and the second is not."""
    logits, targets = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[1.0, 0.0]])
    found = probabilities(logits, prediction_type)
    assert found[0].tolist() == pytest.approx(output, abs=1e-6)
    assert float(logit_loss(logits, targets, prediction_type)) == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize("prediction_type", ["multiclass", "multilabel"])
def test_the_loss_of_many_rows_is_that_of_all_at_once(monkeypatch, prediction_type):
    logits, targets = torch.randn(7, 3), torch.eye(3, dtype=torch.bool).repeat(3, 1)[:7]
    whole = float(logit_loss(logits, targets.float(), prediction_type))
    assert mean_loss(logits, targets, prediction_type) == whole
    monkeypatch.setattr("hear_aesthetics.evaluation.probes.probe._BLOCK_LOGITS", 6)
    assert mean_loss(logits, targets, prediction_type) == pytest.approx(whole, rel=1e-6)
