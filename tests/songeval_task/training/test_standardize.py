"""Standardized training: the constants, and heads that take raw features afterwards."""

import pytest
import torch

from songeval_task.training.config import SongEvalConfig, build_head
from songeval_task.training.standardize import Standardizer, fold, unfold


def songs():
    generator = torch.Generator().manual_seed(0)
    offset, spread = torch.linspace(-5, 5, 16), torch.linspace(0.1, 3, 16)
    return [torch.randn(n, 16, generator=generator) * spread + offset for n in (40, 70, 25)]


def test_standardized_features_have_mean_zero_and_deviation_one():
    scale = Standardizer.fit(songs())
    frames = torch.cat([scale(song) for song in songs()])
    torch.testing.assert_close(frames.mean(dim=0), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(frames.std(dim=0, correction=0), torch.ones(16))


def test_a_constant_channel_stays_finite():
    frames = torch.randn(30, 4)
    frames[:, 2] = 7.0
    assert Standardizer.fit([frames])(frames).isfinite().all()
    assert Standardizer.fit([torch.ones(3, 4)])(torch.ones(3, 4)).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("features", ["fused", "muq_06"])
def test_a_folded_head_scores_raw_features_as_it_scored_standardized_ones(features):
    head = build_head(SongEvalConfig(features=features, head_size="small"), 16).eval()
    scale = Standardizer.fit(songs())
    expected = [head(scale(song)[None]) for song in songs()]
    fold(head, scale)
    for song, scores in zip(songs(), expected, strict=True):
        torch.testing.assert_close(head(song[None]), scores, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("features", ["fused", "muq_06"])
def test_an_unfolded_head_scores_standardized_features_as_it_scored_raw_ones(features):
    head = build_head(SongEvalConfig(features=features, head_size="small"), 16).eval()
    scale = Standardizer.fit(songs())
    expected = [head(song[None]) for song in songs()]
    unfold(head, scale)
    for song, scores in zip(songs(), expected, strict=True):
        torch.testing.assert_close(head(scale(song)[None]), scores, rtol=1e-4, atol=1e-5)
