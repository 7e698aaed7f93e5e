"""The aesthetic head: parity with the published head, masks, sizes, training step."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from heads import SONGEVAL_DIMENSIONS, AestheticHead, AestheticHeadConfig, hybrid_loss, mix
from heads.keys import to_published

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def mask_of(lengths, frames):
    return torch.arange(frames) >= torch.tensor(lengths)[:, None]


@pytest.mark.parity
class TestPublishedHead:
    @torch.no_grad()
    def test_scores_and_pooled_vectors_match(self, published_track, track_features):
        head, prefix = published_track
        outputs = load_file(f"{prefix}.outputs.safetensors")
        cases = [name.removesuffix(".pooled") for name in outputs if name.endswith(".pooled")]
        assert cases
        for case in cases:
            features = track_features[case]
            torch.testing.assert_close(head(features), outputs[f"{case}.scores"], **CLOSE)
            torch.testing.assert_close(head.pool(features), outputs[f"{case}.pooled"], **CLOSE)

    @torch.no_grad()
    def test_scores_of_real_fused_features_match(self, published_track, golden):
        head, prefix = published_track
        outputs = load_file(f"{prefix}.outputs.safetensors")
        songs = [name.split(".")[1] for name in outputs if name.startswith("end_to_end.")]
        assert songs
        for song in songs:
            features = load_file(golden / "fused_features" / f"{song}.safetensors")["features"]
            expected = outputs[f"end_to_end.{song}.scores"]
            torch.testing.assert_close(head(features), expected, **CLOSE)

    @torch.no_grad()
    def test_padded_songs_score_as_if_alone(self, published_track, track_features, golden):
        head, prefix = published_track
        meta = json.loads((golden / "hear_head" / "meta.json").read_text())
        outputs = load_file(f"{prefix}.outputs.safetensors")
        for case, description in meta["padded_cases"].items():
            features = track_features[case]
            padding_mask = mask_of(description["lengths"], features.shape[1])
            expected = outputs[f"{case}.scores_alone"]
            torch.testing.assert_close(head(features, padding_mask), expected, **CLOSE)

    def test_one_training_step_matches_in_losses_and_gradients(self, published_track):
        head, prefix = published_track
        expected = json.loads(Path(f"{prefix}.train.json").read_text())
        data = load_file(f"{prefix}.train.safetensors")
        factor = torch.full((len(data["labels_1"]),), expected["mixup_lambda"])
        labels = mix(data["labels_1"], data["labels_2"], factor)
        torch.testing.assert_close(labels, data["mixed_labels"], **CLOSE)
        for rank_weight, values in expected["by_rank_weight"].items():
            head.zero_grad()
            pooled = mix(head.pool(data["features_1"]), head.pool(data["features_2"]), factor)
            preds = head.score(pooled)
            torch.testing.assert_close(preds, data["predictions"], **CLOSE)
            regression = hybrid_loss(preds, labels, rank_weight=0.0).item()
            assert regression == pytest.approx(expected["loss_regression"], rel=1e-4, abs=1e-5)
            loss = hybrid_loss(preds, labels, float(rank_weight))
            assert loss.item() == pytest.approx(values["total_loss"], rel=1e-4, abs=1e-5)
            loss.backward()
            gradients = {name: p.grad for name, p in head.named_parameters()}
            published = to_published(gradients, head.published_slots())
            norms = {name: float(gradient.norm()) for name, gradient in published.items()}
            # shifting all scores of a softmax changes nothing: the last bias has no gradient
            known = values["grad_norm_per_parameter"]
            assert norms == pytest.approx(known, rel=1e-3, abs=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize(("track", "parameters"), [(1, 38_055_937), (2, 38_072_325)])
def test_full_size_listing_fits_by_name_and_shape(golden, track, parameters):
    listing = json.loads((golden / "hear_head" / f"hear_track{track}_state_dict.json").read_text())
    config = AestheticHead.config_from_published({k: tuple(v) for k, v in listing.items()})
    assert config.dimensions == (("Musicality",) if track == 1 else SONGEVAL_DIMENSIONS)
    assert config == AestheticHeadConfig(dimensions=config.dimensions)
    with torch.device("meta"):
        head = AestheticHead(config)
    published = head.published_state_dict()
    assert {name: list(tensor.shape) for name, tensor in published.items()} == listing
    assert sum(p.numel() for p in head.parameters()) == parameters


class TestMasks:
    @torch.no_grad()
    def test_batch_equals_songs_one_by_one(self, tiny_head):
        lengths = [30, 29, 17, 3]
        features = torch.randn(4, 30, 24)
        batched = tiny_head(features, mask_of(lengths, 30))
        for row, length in enumerate(lengths):
            alone = tiny_head(features[row : row + 1, :length])
            torch.testing.assert_close(batched[row : row + 1], alone, rtol=0.0, atol=1e-5)

    @torch.no_grad()
    def test_what_the_padding_holds_never_matters(self, tiny_head):
        features, padding_mask = torch.randn(2, 12, 24), mask_of([12, 7], 12)
        expected = tiny_head(features, padding_mask)
        for rubbish in (0.0, 1e6, torch.nan):
            features[padding_mask] = rubbish
            torch.testing.assert_close(tiny_head(features, padding_mask), expected)

    @torch.no_grad()
    def test_no_mask_means_that_nothing_is_padded(self, tiny_head):
        features = torch.randn(2, 12, 24)
        nothing = torch.zeros(2, 12, dtype=torch.bool)
        torch.testing.assert_close(
            tiny_head(features), tiny_head(features, nothing), rtol=0, atol=1e-6
        )

    @torch.no_grad()
    def test_frames_after_the_last_whole_window_are_not_heard(self, tiny_head):
        features = torch.randn(1, 14, 24)
        torch.testing.assert_close(
            tiny_head(features), tiny_head(features[:, :12]), rtol=0, atol=1e-6
        )

    @torch.no_grad()
    def test_attention_mass_spreads_one_over_the_valid_moments(self, tiny_head):
        mass = tiny_head.attention_mass(torch.randn(2, 12, 24), mask_of([12, 8], 12))
        assert mass.shape == (2, 4)
        torch.testing.assert_close(mass.sum(dim=1), torch.ones(2))
        assert (mass[1, 2:] == 0).all()  # the third window mixes valid and padded frames


class TestErrors:
    @pytest.mark.parametrize("frames", [0, 1, 2])
    def test_short_audio_names_the_minimum(self, tiny_head, frames):
        with pytest.raises(ValueError, match=f"{frames} frames, need at least 3 frames"):
            tiny_head(torch.randn(1, frames, 24))

    def test_a_song_of_padding_alone_is_named(self, tiny_head):
        with pytest.raises(ValueError, match=r"item\(s\) \[1\]: each needs at least 3 frames"):
            tiny_head(torch.randn(2, 9, 24), mask_of([9, 2], 9))

    @pytest.mark.parametrize("shape", [(9, 24), (1, 9, 23)])
    def test_features_of_another_shape_are_refused(self, tiny_head, shape):
        with pytest.raises(ValueError, match=r"expected floats of shape \(batch, frames, 24\)"):
            tiny_head(torch.randn(shape))

    @pytest.mark.parametrize("mask", [torch.zeros(1, 9), torch.zeros(1, 8, dtype=torch.bool)])
    def test_masks_of_another_type_or_shape_are_refused(self, tiny_head, mask):
        with pytest.raises(ValueError, match="padding_mask must be bool"):
            tiny_head(torch.randn(1, 9, 24), mask)

    def test_dimensions_need_distinct_names_and_a_range(self):
        with pytest.raises(ValueError, match="distinct names"):
            AestheticHeadConfig(dimensions=("Clarity", "Clarity"))
        with pytest.raises(ValueError, match="low < high"):
            AestheticHeadConfig(low=5, high=1)


def test_scores_stay_inside_the_range_and_precise_in_bfloat16(tiny_head):
    low, high = tiny_head.config.low, tiny_head.config.high
    features = 100 * torch.randn(8, 9, 24)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        scores = tiny_head(features)
    assert scores.dtype == torch.float32
    assert scores.shape == (8, 5)
    assert ((scores >= low) & (scores <= high)).all()


def test_the_range_comes_from_the_configuration():
    config = AestheticHeadConfig(
        feature_dim=8, projection_dim=8, dim=8, ffn_dim=8, low=0, high=100, dimensions=("Fun",)
    )
    head = AestheticHead(config)
    torch.nn.init.zeros_(head.output.weight)
    torch.nn.init.zeros_(head.output.bias)
    assert head(torch.randn(2, 6, 8)).tolist() == [[50.0], [50.0]]


def test_every_weight_learns_whatever_the_padding_holds(tiny_head):
    tiny_head.train()
    features, padding_mask = torch.randn(4, 14, 24), mask_of([14, 13, 12, 5], 14)
    features[padding_mask] = torch.nan
    preds = tiny_head(features, padding_mask)
    hybrid_loss(preds, torch.rand(4, 5) * 4 + 1, rank_weight=0.15).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tiny_head.parameters())


def test_training_drops_out_and_evaluation_does_not(tiny_head):
    features = torch.randn(1, 60, 24)
    assert torch.equal(tiny_head(features), tiny_head(features))
    tiny_head.train()
    assert not torch.equal(tiny_head(features), tiny_head(features))
