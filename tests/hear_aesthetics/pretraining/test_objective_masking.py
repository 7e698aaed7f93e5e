"""Which samples are replaced, and by what."""

import numpy as np
import pytest
import torch

from hear_aesthetics.pretraining.objective import draw_mask, mask_waveform
from hear_aesthetics.spec import FRAME_HOP


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_whole_spans_are_masked_with_the_probability_asked_for():
    mask = draw_mask(rng(), 500, 20, 10, 0.6)
    assert mask.shape == (500, 200)
    spans = mask.unflatten(1, (20, 10))
    assert torch.equal(spans.all(dim=2), spans.any(dim=2))
    assert float(mask.float().mean()) == pytest.approx(0.6, abs=0.02)


def test_every_clip_has_a_masked_span_even_at_a_tiny_probability():
    mask = draw_mask(rng(), 50, 4, 10, 1e-9)
    assert mask.any(dim=1).all()
    assert int(mask.sum()) == 50 * 10


def test_masked_samples_become_noise_and_the_others_stay():
    waveform = torch.full((3, 30 * FRAME_HOP), 0.5)
    before = waveform.clone()
    mask = draw_mask(rng(1), 3, 3, 10, 0.5)
    out = mask_waveform(waveform, mask, rng(2), noise=0.1)
    frames = out.unflatten(1, (30, FRAME_HOP))
    assert torch.equal(frames[~mask], torch.full_like(frames[~mask], 0.5))
    assert float(frames[mask].std()) == pytest.approx(0.1, rel=0.05)
    assert float(frames[mask].mean()) == pytest.approx(0.0, abs=0.005)
    assert torch.equal(waveform, before)
