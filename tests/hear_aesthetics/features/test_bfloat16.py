"""What is promised of bfloat16, with harsher weights than any training starts from.

Queries and keys 2.5 times as large make attention sharp, so that rounded scores move it; biases,
norms and BatchNorm statistics are random. The largest difference of an element is not promised:
here it is beyond 2e-2, with the published sizes it reached 4.6e-2 of the RMS.
"""

import pytest
import torch

from heads import AestheticHead, AestheticHeadConfig
from hear_aesthetics.backbones import Backbone, MelStatistics
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.features.fusion import FusedFeatures
from hear_aesthetics.spec import SAMPLE_RATE

RELATIVE_RMS = 1.5e-2
LEAST_COSINE = 0.9999  # of a frame
HEAD_DIFFERENCE = 0.01
SHARPNESS = 2.5  # factor of queries and keys
SMALL = ConformerConfig(dim=64, depth=10, heads=4, ffn_dim=128, conv_channels=8)
HEAD = AestheticHeadConfig(feature_dim=4 * 64, projection_dim=128, dim=128, ffn_dim=256)


def harsh_weights(seed):
    """Published tensors of an encoder, all redrawn."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in Backbone(SMALL).published_state().items():
        normal = torch.randn(tensor.shape, generator=generator)
        uniform = torch.rand(tensor.shape, generator=generator)
        if not tensor.is_floating_point() or name.endswith("inv_freq"):
            state[name] = tensor
        elif name.endswith("running_var"):
            state[name] = 0.3 + 2.7 * uniform
        elif name.endswith(("bias", "running_mean")):
            state[name] = 0.2 * normal
        elif tensor.dim() == 1:  # of norms
            state[name] = 0.5 + uniform
        else:
            factor = SHARPNESS if "linear_q" in name or "linear_k" in name else 1.0
            state[name] = factor * normal / tensor[0].numel() ** 0.5
    return state


@pytest.fixture(scope="module")
def features():
    """Features of 6 s by harsh encoders, in float32 and in bfloat16."""
    states = {source: harsh_weights(seed) for seed, source in enumerate(("musicfm", "muq"))}
    generator = torch.Generator().manual_seed(0)
    times = torch.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    swell = 0.2 + torch.sin(torch.pi * 0.7 * times).square()
    waveform = 0.1 * swell * torch.randn(len(times), generator=generator)
    return [
        FusedFeatures(
            {
                source: Backbone.from_published(state, MelStatistics(), dtype=dtype)
                for source, state in states.items()
            },
            layer=10,
            segment_seconds=2,
        )(waveform[None])
        for dtype in (torch.float32, torch.bfloat16)
    ]


def test_error_of_all_features_is_small(features):
    exact, rounded = features
    error = (rounded - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 1e-4 < error < RELATIVE_RMS  # above the first: it was computed in bfloat16


def test_every_frame_keeps_its_direction(features):
    assert torch.cosine_similarity(*features, dim=-1).min() > LEAST_COSINE


def test_scores_of_a_head_hardly_move(features):
    torch.manual_seed(0)
    head = AestheticHead(HEAD).eval().requires_grad_(False)
    exact, rounded = map(head, features)
    assert 0 < (rounded - exact).abs().max() < HEAD_DIFFERENCE
