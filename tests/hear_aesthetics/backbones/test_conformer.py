import copy

import pytest
import torch
from torch import nn

from hear_aesthetics.backbones import conformer
from hear_aesthetics.backbones.conformer import (
    ConformerConfig,
    ConformerEncoder,
    rotary_tables,
    rotate,
)

TINY = ConformerConfig(dim=32, depth=2, heads=2, ffn_dim=48, conv_channels=4, kernel_size=5)


@pytest.fixture
def encoder() -> ConformerEncoder:
    """Seeded, with batch-norm statistics that are not the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = ConformerEncoder(TINY).eval()
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                for statistic in (module.running_mean, module.bias.data):
                    statistic.normal_(0, 0.3)
                for statistic in (module.running_var, module.weight.data):
                    statistic.uniform_(0.5, 2)
    return encoder


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="heads"):
        ConformerConfig(dim=30, heads=4)


@torch.no_grad()
def test_folding_batch_norms_changes_no_result(encoder):
    mel = noise(1, 128, 90)
    folded = copy.deepcopy(encoder)
    folded.prepare(torch.float32)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    expected = encoder(encoder.subsampling(mel), (0, 1, 2))
    states = folded(folded.subsampling(mel), (0, 1, 2))
    for layer, state in expected.items():
        torch.testing.assert_close(states[layer], state, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_taking_frames_by_blocks_changes_no_result(encoder, dtype, monkeypatch):
    """Blocks of 7 of 40 frames: whole ones, a rest, and positions that go on between them."""
    encoder.prepare(dtype)
    frames = noise(3, 40, 32)
    expected = encoder(frames, (2,))[2]
    monkeypatch.setattr(conformer, "FRAMES_PER_CHUNK", 7)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(encoder(frames, (2,))[2], expected, rtol=0, atol=tolerance)


@torch.no_grad()
def test_what_frames_share_passes_attention_unchanged(encoder):
    """In float32, where nothing is rounded; biases that matter, and items that differ."""
    attention, frames = encoder.layers[0].attention, noise(2, 40, 32) + noise(2, 1, 32)
    for layer in (attention.value, attention.out):
        layer.bias.copy_(noise(32))
    rotary = rotary_tables(encoder.inv_freq, 40)
    expected = attention(frames, rotary)
    attention.part()
    assert attention.shared is not None
    torch.testing.assert_close(attention(frames, rotary), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_layers_above_the_highest_asked_are_not_run(encoder):
    calls = []
    for index, layer in enumerate(encoder.layers, start=1):
        layer.register_forward_hook(lambda *_, index=index: calls.append(index))
    states = encoder(noise(1, 20, 32), (0, 1))
    assert calls == [1]
    assert set(states) == {0, 1}


@torch.no_grad()
def test_only_the_last_state_is_normalised_by_the_encoder(encoder):
    nn.init.constant_(encoder.norm.bias, 5.0)
    states = encoder(noise(1, 20, 32), (1, 2))
    assert states[2].mean() == pytest.approx(5.0, abs=1e-4)
    assert abs(states[1].mean()) < 1


def test_rotation_keeps_norms_and_depends_on_distance_alone():
    tables = rotary_tables(ConformerEncoder(TINY).inv_freq, 30)
    q, k = noise(1, 1, 1, 16).expand(1, 30, 1, 16), noise(2, 1, 1, 16)[:1].expand(1, 30, 1, 16)
    rotated_q, rotated_k = rotate(q, tables)[0, :, 0], rotate(k, tables)[0, :, 0]
    torch.testing.assert_close(rotated_q.norm(dim=-1), q[0, :, 0].norm(dim=-1))
    products = rotated_q @ rotated_k.T
    torch.testing.assert_close(products[5, 2], products[25, 22])
    assert (products[5, 2] - products[5, 20]).abs() > 1e-3


@torch.no_grad()
def test_bfloat16_keeps_the_residual_stream_in_float32(encoder):
    reference = encoder(frames := noise(1, 40, 32), (2,))[2]
    encoder.prepare(torch.bfloat16)
    assert encoder.norm.weight.dtype == torch.float32
    assert encoder.layers[0].ffn1.up.weight.dtype == torch.bfloat16
    states = encoder(frames, (1, 2))
    assert states[1].dtype == torch.float32
    cosine = torch.cosine_similarity(states[2], reference, dim=-1)
    assert cosine.min() > 0.9995
