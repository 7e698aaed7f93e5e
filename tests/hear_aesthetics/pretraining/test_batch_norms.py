"""Running statistics: moved once by an update, whatever its micro-batches."""

import torch
from torch import nn

from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.pretraining.batch_norms import batch_norms, moved_once


def test_an_update_moves_statistics_by_the_mean_of_its_micro_batches():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    norms = batch_norms(model)
    parts = [torch.randn(2, 3, 4, 5) * scale + scale for scale in (1, 2, 3)]
    with moved_once(norms, 3, 3, Processes()):
        for part in parts:
            model(part)
    (norm,) = norms
    mean = torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0)
    variance = torch.stack([part.var((0, 2, 3)) for part in parts]).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * variance)
    assert (norm.momentum, int(norm.num_batches_tracked)) == (0.1, 1)


def test_one_micro_batch_is_what_a_batch_norm_does_by_itself():
    ours, usual = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    for _ in range(3):
        batch = torch.randn(4, 3, 2, 2)
        usual(batch)
        with moved_once([ours], 1, 1, Processes()):
            ours(batch)
    torch.testing.assert_close(ours.running_var, usual.running_var)
    assert int(ours.num_batches_tracked) == 3
