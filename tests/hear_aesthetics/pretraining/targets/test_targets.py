"""Targets: invariance of the features, nearest codes, and a residual quantizer that learns."""

import pytest
import torch
import torch.nn.functional as F

from hear_aesthetics.backbones.log_mel import LogMel
from hear_aesthetics.pretraining.config import TargetConfig
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.targets.normalized_mel import TARGET_DIM, TargetFeatures
from hear_aesthetics.pretraining.targets.quantizers import (
    MelRVQ,
    RandomProjection,
    nearest_code,
    train_rvq,
)


@pytest.fixture(scope="module")
def log_mel(pool) -> torch.Tensor:
    return LogMel()(draw_batch(pool, generator(1, "test", 0), 16, 24_000))


def fitted(log_mel: torch.Tensor) -> TargetFeatures:
    features = TargetFeatures()
    features.fit(log_mel)
    return features


def test_targets_do_not_know_the_level(log_mel):
    features = fitted(log_mel)
    assert torch.allclose(features(log_mel + 17.0), features(log_mel), atol=1e-4)


def test_what_is_far_below_the_loudest_is_all_the_same(log_mel):
    features, noise = fitted(log_mel), torch.randn(2, 128, 40, generator=torch.manual_seed(0))
    noise[:, :64] -= 60.0
    quieter = noise.clone()
    quieter[:, :64] -= 20.0
    assert torch.allclose(features(quieter), features(noise), atol=1e-4)


def test_a_frame_of_targets_is_its_four_mel_frames_at_unit_variance(log_mel):
    out = fitted(log_mel)(log_mel)
    assert out.shape == (16, 25, TARGET_DIM)
    bands = out.unflatten(2, (4, 128)).flatten(0, 2)
    spread = bands.std(dim=0)
    assert float(spread.max()) < 1.01
    assert float(spread.median()) == pytest.approx(1.0, abs=0.01)
    assert float(bands.mean(dim=0).abs().max()) < 1e-3
    ramp = torch.arange(8.0).expand(1, 128, 8) * 0.5
    frame = TargetFeatures()(ramp)[0, 0].unflatten(0, (4, 128))
    assert torch.allclose(frame.diff(dim=0), torch.full((3, 128), 0.5))


def test_the_nearest_code_is_the_one_at_the_smallest_angle():
    generator_ = torch.manual_seed(0)
    vectors = torch.randn(50, 6, generator=generator_)
    codebook = 5 * torch.randn(9, 6, generator=generator_)
    expected = F.cosine_similarity(vectors[:, None], codebook[None], dim=-1).argmax(dim=1)
    assert torch.equal(nearest_code(vectors, codebook), expected)


def test_random_projections_are_fixed_and_differ_by_codebook(log_mel):
    features = fitted(log_mel)(log_mel)
    quantizer = RandomProjection(TargetConfig(codebooks=3, codes=32))
    assert not list(quantizer.parameters())
    codes = quantizer(features)
    assert codes.shape == (16, 25, 3)
    assert torch.equal(codes, quantizer(features))
    assert not torch.equal(codes[..., 0], codes[..., 1])
    assert len(codes[..., 0].unique()) > 16


@pytest.mark.slow
def test_every_stage_of_a_trained_residual_quantizer_explains_more(log_mel):
    frames = fitted(log_mel)(log_mel).flatten(0, 1)
    config = TargetConfig(codebooks=3, codes=32, rvq_steps=250, rvq_frames=256)
    torch.manual_seed(0)
    rvq = MelRVQ(config)
    before = rvq.reconstruction_error(frames)
    after = train_rvq(rvq, frames, config, 1, lambda done, total: None)
    assert after < 0.6 < 0.9 < before
    first_stage = MelRVQ(config)
    first_stage.stages = rvq.stages[:1]
    assert after < first_stage.reconstruction_error(frames) - 0.02
    assert len(rvq(frames)[:, 0].unique()) > 24  # entries that nobody took have moved
