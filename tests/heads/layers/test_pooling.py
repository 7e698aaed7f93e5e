"""Pooling: statistics, masks, and parity with the published pooling of both systems."""

import json

import pytest
import torch
from safetensors.torch import load_file

from heads.keys import from_published, to_published
from heads.layers.pooling import MQMHASTP, AttentivePooling, InvertedAttentivePooling


def published_pooling(folder, case):
    """The published pooling with its weights, and the tensors it was run on."""
    config = json.loads((folder / f"{case}.config.json").read_text())
    pooling = MQMHASTP(
        config["in_dim"],
        layers=config["layer_num"],
        queries=config["query_num"],
        heads=config["head_num"],
        per_channel=config["d_s"] > 1,
        bottleneck=config["bottleneck_dim"],
    )
    published = load_file(folder / f"{case}.model.safetensors")
    slots = pooling.published_slots()
    pooling.load_state_dict(from_published(published, slots, pooling.state_dict(), where=case))
    assert to_published(pooling.state_dict(), slots).keys() == published.keys()
    return pooling, load_file(folder / f"{case}.io.safetensors")


@pytest.mark.parity
@pytest.mark.parametrize("case", ["a", "b"])
class TestPublishedMQMHASTP:
    def test_matches_with_and_without_padding(self, golden, case):
        pooling, io = published_pooling(golden / "mqmhastp", case)
        x = io["x"].transpose(1, 2)
        torch.testing.assert_close(pooling(x), io["out_nomask"], rtol=1e-4, atol=1e-4)
        masked = pooling(x, io["padding_mask"].bool())
        torch.testing.assert_close(masked, io["out_mask"], rtol=1e-4, atol=1e-4)

    def test_constant_input_has_its_value_as_mean_and_almost_no_deviation(self, golden, case):
        pooling, io = published_pooling(golden / "mqmhastp", case)
        pooled = pooling(io["x_constant"].transpose(1, 2))
        shape = (len(pooled), pooling.queries * pooling.heads, 2, -1)
        mean, std = pooled.reshape(shape).unbind(2)
        expected_mean = io["out_constant"].reshape(shape)[:, :, 0]
        torch.testing.assert_close(mean, expected_mean, rtol=1e-4, atol=1e-4)
        assert ((std >= 0) & (std <= 3e-3)).all()


def tiny_pooling():
    return MQMHASTP(16, heads=4, bottleneck=8)


@pytest.fixture(params=[tiny_pooling, lambda: AttentivePooling(16)], ids=["mqmhastp", "attentive"])
def pooling(request):
    return request.param()


class TestMasks:
    def test_padding_never_reaches_the_output_even_when_it_is_nan(self, pooling):
        x, length = torch.randn(2, 10, 16), 6
        padding_mask = torch.arange(10).expand(2, 10) >= length
        alone = pooling(x[:, :length])
        x[:, length:] = torch.nan
        torch.testing.assert_close(pooling(x, padding_mask), alone, rtol=1e-5, atol=1e-6)

    def test_weights_sum_to_one_over_valid_frames_and_vanish_at_padding(self, pooling):
        padding_mask = torch.tensor([[False] * 5 + [True] * 3])
        weights = pooling.weights(torch.randn(1, 8, 16), padding_mask)
        weights = weights.flatten() if weights.ndim == 2 else weights.movedim(-2, 0)
        torch.testing.assert_close(weights.sum(dim=0), torch.ones(weights.shape[1:]))
        assert (weights[5:] == 0).all()


def test_statistics_of_equal_weights_are_plain_mean_and_deviation():
    pooling = tiny_pooling()
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.zero_()
    x = torch.randn(3, 50, 16)
    mean, std = pooling(x).reshape(3, 2, 4, 2, 4).unbind(3)
    assert torch.allclose(mean[:, 0].flatten(1), x.mean(1), atol=1e-6)
    assert torch.allclose(std[:, 1].flatten(1), x.std(1, correction=0), atol=1e-5)


def test_gradient_is_finite_where_the_input_does_not_vary():
    x = torch.ones(1, 5, 16, requires_grad=True)
    tiny_pooling()(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_statistics_stay_precise_under_bfloat16_autocast():
    pooling, x = tiny_pooling(), 5 + 0.1 * torch.randn(1, 200, 16)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = pooling(x)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, pooling(x), rtol=0.0, atol=0.01)


@pytest.mark.parity
def test_attentive_pooling_attends_to_valid_frames(golden):
    folder = golden / "astar"
    io = load_file(folder / "attentive_pooling.io.safetensors")
    published = load_file(folder / "attentive_pooling.model.safetensors")
    pooling = AttentivePooling(io["x"].shape[-1])
    pooling.load_state_dict(
        {f"scorer.{kind}": published[f"attention_weights.{kind}"] for kind in ("weight", "bias")}
    )
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(pooling(io["x"]), io["pooled"], **tolerance)
    masked = pooling(io["x"], ~io["valid_mask"].bool())
    torch.testing.assert_close(masked, io["pooled_masked_correct"], **tolerance)


@pytest.mark.parity
def test_inverted_pooling_attends_to_padding_as_released(golden):
    """Rows with padding get its weighted mean; rows without, and batches without, the plain one."""
    folder = golden / "astar"
    io = load_file(folder / "attentive_pooling.io.safetensors")
    published = load_file(folder / "attentive_pooling.model.safetensors")
    pooling = InvertedAttentivePooling(io["x"].shape[-1])
    pooling.load_state_dict(
        {f"scorer.{kind}": published[f"attention_weights.{kind}"] for kind in ("weight", "bias")}
    )
    padding = ~io["valid_mask"].bool()
    assert padding.any(dim=1).any()
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    pooled = pooling(io["x"], padding)
    torch.testing.assert_close(pooled, io["pooled_reference_defect"], **tolerance)
    torch.testing.assert_close(pooling(io["x"]), io["x"].mean(dim=1), **tolerance)
    full = ~padding.any(dim=1)
    assert full.any()
    torch.testing.assert_close(pooled[full], io["x"][full].mean(dim=1), **tolerance)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="8 pooling heads do not divide the width 20"):
        MQMHASTP(20)
