"""Calibration of batch norm statistics on clean audio.

During training the running statistics are those of masked audio, and an untrained encoder has none.
Both are measured anew on clean clips, so that a comparison of the two compares weights.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from hear_aesthetics.backbones import Backbone

__all__ = ["calibrate"]


@torch.no_grad()
def calibrate(backbone: Backbone, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics by the mean over batches of clean audio.

    Args:
        backbone: Not yet prepared for inference; left in evaluation mode.
        batches: Waveforms at 24 kHz, each ``(B, samples)``.
    """
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    backbone.train()
    for waveform in batches:
        backbone.hidden_states(waveform, (backbone.config.depth,))
    backbone.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
