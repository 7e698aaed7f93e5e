"""The loss, the metrics, calibration, and what the encoder may see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import MINI, TargetConfig, encoder_sizes, target_sizes
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.export import calibrate
from hear_aesthetics.pretraining.objective import (
    MaskedPrediction,
    MaskedPredictionMetrics,
    Prediction,
    mask_waveform,
)
from hear_aesthetics.spec import FRAME_HOP


@pytest.fixture
def model(config) -> MaskedPrediction:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MaskedPrediction(config)


def batch(frames: int = 20) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    clean, masked = (torch.randn(2, frames * FRAME_HOP, generator=generator) for _ in range(2))
    mask = torch.zeros(2, frames, dtype=torch.bool)
    mask[:, 10:] = True
    return clean, masked, mask


def test_gradients_reach_the_encoder_and_the_head_but_not_the_targets(model):
    clean, masked, mask = batch()
    model.train()
    prediction = model(model.backbone.log_mel(clean), masked, mask)
    assert prediction.logits.shape == (2, 20, 2, 8)
    prediction.loss().backward()
    trained = [*model.backbone.parameters(), *model.head.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert all(p.grad is None for p in model.quantizer.parameters())


@pytest.mark.slow
def test_the_codes_behind_a_mask_can_be_learned_by_heart(model, pool):
    clean = draw_batch(pool, generator(1, "test", 0), 2, 20 * FRAME_HOP)
    _, _, mask = batch()
    masked = mask_waveform(clean, mask, np.random.default_rng(0))
    log_mel = model.backbone.log_mel(clean)
    model.features.fit(log_mel)
    model.train()
    optimizer = torch.optim.Adam([*model.backbone.parameters(), *model.head.parameters()], lr=1e-2)
    losses = []
    for _ in range(80):
        loss = model(log_mel, masked, mask).loss()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_targets_come_from_the_audio_as_it_was(model):
    clean, masked, mask = batch()
    log_mel = model.backbone.log_mel(clean)
    with torch.no_grad():
        model.eval()
        prediction = model(log_mel, masked, mask)
        other = model(model.backbone.log_mel(masked), masked, mask)
    assert torch.equal(prediction.codes, model.codes(log_mel))
    torch.testing.assert_close(
        prediction.logits, other.logits, rtol=0, atol=1e-6
    )  # the encoder saw the masked audio alone
    assert not torch.equal(prediction.codes, other.codes)


def test_only_masked_frames_count_unless_visible_ones_are_given_a_weight():
    codes = torch.zeros(1, 4, 1, dtype=torch.int64)
    mask = torch.tensor([[True, True, False, False]])
    logits = torch.zeros(1, 4, 1, 2)
    logits[:, 2:, :, 1] = 100.0  # wrong where visible
    prediction = Prediction(logits, codes, mask)
    assert float(prediction.loss()) == pytest.approx(0.6931, abs=1e-4)
    assert float(prediction.loss(0.5)) == pytest.approx(0.6931 + 50.0, abs=1e-3)
    everything = Prediction(logits, codes, torch.ones_like(mask))
    assert everything.loss(0.5).isfinite()


def test_the_head_begins_with_the_frequencies_of_the_codes(model):
    codes = torch.zeros(1, 100, 2, dtype=torch.int64)
    codes[0, 75:, 0] = 3
    model.start_from_frequencies(codes)
    shares = model.head.bias.detach().unflatten(0, (2, 8)).softmax(dim=1)
    assert shares[0, 0] == pytest.approx(76 / 108)
    assert shares[0, 3] == pytest.approx(26 / 108)
    assert shares[1, 0] == pytest.approx(101 / 108)


def test_metrics_compare_accuracy_with_the_majority_share():
    codes = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3])[None, :, None]
    guesses = torch.tensor([0, 0, 0, 1, 1, 2, 0, 0])
    logits = 9.0 * torch.nn.functional.one_hot(guesses, 4)[None, :, None].float()
    metrics = MaskedPredictionMetrics(TargetConfig(codebooks=1, codes=4))
    mask = torch.ones(1, 8, dtype=torch.bool)
    mask[0, -1] = False
    metrics.add(Prediction(logits, codes, mask))
    found = metrics.compute()
    assert found["accuracy"] == pytest.approx(6 / 7)
    assert found["majority_share"] == pytest.approx(3 / 7)
    assert found["lift"] == pytest.approx(2.0)
    assert 1.0 < found["perplexity"] < 4.0


def test_calibration_measures_clean_audio_and_nothing_else(model):
    clean, masked, _ = batch()
    backbone = model.backbone
    norm = backbone.encoder.layers[0].conv.batch_norm
    calibrate(backbone, [masked])
    first = norm.running_mean.clone()
    calibrate(backbone, [clean])
    assert not torch.allclose(norm.running_mean, first)
    calibrate(backbone, [masked])
    assert torch.allclose(norm.running_mean, first)  # nothing is left of what was there before
    assert not backbone.training
    assert norm.momentum == 0.1


def test_a_calibrated_encoder_has_normalised_activations(model):
    clean, _, _ = batch(200)
    calibrate(model.backbone, [clean])
    seen = []
    norm = model.backbone.encoder.layers[0].conv.batch_norm
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.backbone.hidden_states(clean, (1,))
    assert torch.allclose(seen[0].mean(dim=(0, 2, 3)), torch.zeros(16), atol=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "mert"}, "muq or musicfm"),
        ({"seconds": 1.0}, "multiple of the masked spans"),
        ({"seconds": 80.0}, "at most 8 s"),
        ({"mask_seconds": 0.05}, "multiple of 0.04"),
        ({"precision": "float16"}, "bfloat16"),
        ({"steps": 0}, "at least 1"),
        ({"mask_probability": 0.0}, "probability"),
    ],
)
def test_wrong_settings_say_the_right_ones(tiny, values, message):
    with pytest.raises(InputError, match=message):
        replace(tiny, **values)


def test_sizes_are_names_or_changes_to_mini():
    assert encoder_sizes("mini") == MINI
    assert encoder_sizes("published").dim == 1024
    assert encoder_sizes("dim=64,heads=2") == replace(MINI, dim=64, heads=2)
    assert target_sizes("codes=16").codes == 16
    assert target_sizes("") == target_sizes("codebooks=4")


@pytest.mark.parametrize("text", ["dims=3", "dim=x", "dim", "dim=0", "dim=100,heads=7"])
def test_unknown_sizes_are_an_error(text):
    with pytest.raises(InputError, match="size"):
        encoder_sizes(text)
