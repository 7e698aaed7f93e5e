"""Probes have heareval's layers and draw their weights in its order."""

import math

import pytest
import torch
from torch import nn

from hear_aesthetics.evaluation.grid import GridPoint
from hear_aesthetics.evaluation.probe import build_probe, logit_loss, probabilities


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
    ("prediction_type", "loss"),
    [
        ("multiclass", nn.CrossEntropyLoss()),
        ("multilabel", nn.BCEWithLogitsLoss()),
        ("regression", nn.SmoothL1Loss()),
    ],
)
def test_every_type_has_its_loss_and_output(prediction_type, loss):
    logits, targets = torch.randn(5, 3) * 3, torch.eye(3)[[0, 2, 1, 1, 0]]
    expected = targets.argmax(1) if prediction_type == "multiclass" else targets
    assert torch.equal(logit_loss(logits, targets, prediction_type), loss(logits, expected))
    outputs = {"multiclass": logits.softmax(1), "multilabel": logits.sigmoid()}
    found = probabilities(logits, prediction_type)
    assert torch.equal(found, outputs.get(prediction_type, logits))
