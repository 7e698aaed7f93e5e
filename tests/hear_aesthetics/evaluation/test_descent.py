"""A written-out training step leaves the weights, statistics and random state of autograd's."""

import pytest
import torch

from hear_aesthetics.evaluation.descent import Descent
from hear_aesthetics.evaluation.grid import GridPoint
from hear_aesthetics.evaluation.probe import build_probe, logit_loss

FEATURES, LABELS, STEPS = 33, 5, 4


@pytest.mark.parametrize("prediction_type", ["multiclass", "multilabel"])
@pytest.mark.parametrize("norm_after_activation", [False, True])
@pytest.mark.parametrize(("layers", "width", "rows"), [(0, 64, 50), (1, 64, 57), (2, 300, 250)])
def test_steps_have_the_bits_of_autograd(
    prediction_type, norm_after_activation, layers, width, rows
):
    point = GridPoint(
        hidden_layers=layers, hidden_dim=width, norm_after_activation=norm_after_activation
    )
    embeddings = torch.randn(rows, FEATURES) * 3 + 2
    targets = torch.eye(LABELS)[torch.randint(LABELS, (rows,))]
    states = []
    for written_out in (False, True):
        torch.manual_seed(3)
        probe = build_probe(FEATURES, LABELS, point)
        descent, reference = (
            Descent(probe, point.lr),
            torch.optim.Adam(probe.parameters(), point.lr),
        )
        for _ in range(STEPS):
            if written_out:
                descent.step(embeddings, targets, prediction_type)
                continue
            reference.zero_grad()
            logit_loss(probe(embeddings), targets, prediction_type).backward()
            reference.step()
        counted = {n: t for n, t in probe.state_dict().items() if "num_batches" not in n}
        states.append(counted | {"next random number": torch.rand(1)})
    for name, expected in states[0].items():
        assert torch.equal(states[1][name], expected), name
