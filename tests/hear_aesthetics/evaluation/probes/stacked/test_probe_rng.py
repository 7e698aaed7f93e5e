"""What a probe draws depends on its seed alone, and has the right distribution."""

import math

import pytest
import torch

from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.stacked.probe_rng import ProbeRng

CPU = torch.device("cpu")


def test_the_same_seed_draws_the_same():
    drawn = []
    for seed in (1, 1, 2):
        member = ProbeRng(GridPoint(), seed, CPU)
        weights = member.matrix(3, 4, 1.0), member.bias(3, 4), member.draw_mask(torch.empty(9, 11))
        drawn.append(torch.cat([tensor.flatten() for tensor in weights]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_"])
def test_weights_have_xaviers_spread(name):
    weights = ProbeRng(GridPoint(initialization=name), 0, CPU).matrix(200, 300, math.sqrt(2))
    expected = torch.empty(200, 300)
    getattr(torch.nn.init, name)(expected, gain=math.sqrt(2))
    assert float(weights.std()) == pytest.approx(float(expected.std()), rel=0.02)
    assert float(weights.abs().max()) == pytest.approx(float(expected.abs().max()), rel=0.2)


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_drop_the_right_share(dropout, dtype):
    member = ProbeRng(GridPoint(dropout=dropout), 0, CPU)
    mask = member.draw_mask(torch.empty(300, 333, dtype=dtype)).double()
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert float(mask.mean()) == pytest.approx(1 - dropout, abs=0.005)
    assert member.keep_prob == 1 - dropout


def test_masks_differ_from_step_to_step():
    member = ProbeRng(GridPoint(), 0, CPU)
    masks = [member.draw_mask(torch.empty(20, 30)) for _ in range(2)]
    assert not torch.equal(*masks)
