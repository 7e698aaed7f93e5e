from itertools import product

import pytest
import torch
from safetensors.torch import load_file

from hear_aesthetics.backbones import Backbone, MelStatistics, MuQ, MusicFM
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.features.fusion import FusedFeatures, HiddenState
from hear_aesthetics.features.segments import CROP_SAMPLES
from hear_aesthetics.spec import MIN_SAMPLES, SAMPLE_RATE

SEGMENT = 2 * SAMPLE_RATE  # short segments keep these tests quick
MUQ_1 = HiddenState("muq", 1)
TINY = ConformerConfig(dim=16, depth=2, heads=2, ffn_dim=24, conv_channels=4, kernel_size=5)


@pytest.fixture(scope="module")
def backbones() -> dict[str, Backbone]:
    """Two seeded encoders with different statistics."""
    built = {}
    for seed, (source, mean) in enumerate({"musicfm": 6.0, "muq": -3.0}.items()):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = Backbone(TINY).published_state()
        built[source] = Backbone.from_published(state, MelStatistics(mean, 18.0))
    return built


@pytest.fixture(scope="module")
def fused(backbones) -> FusedFeatures:
    return FusedFeatures(backbones, layer=2, segment_seconds=2)


def noise(batch: int, samples: int) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(samples)) * 0.1


def four_passes(backbones, waveform, layer=2):
    """The published computation: every view by its own pass, cut to the shortest."""
    segments = [part for part in waveform.split(SEGMENT, dim=1) if part.shape[1] >= MIN_SAMPLES]
    views = [
        torch.cat([b.hidden_states(part, (layer,))[layer] for part in parts], dim=1)
        for parts, b in product((segments, [waveform]), backbones.values())
    ]
    shortest = min(view.shape[1] for view in views)
    return torch.cat([view[:, :shortest] for view in views], dim=-1)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["short", "medium", "long", "tail"])
def test_published_features_are_reproduced(name, golden, golden_audio, tiny_model_directory):
    fused = FusedFeatures(
        {
            "musicfm": MusicFM.from_pretrained(tiny_model_directory / "musicfm"),
            "muq": MuQ.from_pretrained(tiny_model_directory / "muq"),
        },
        layer=10,
    )
    expected = load_file(golden / "fused_features" / f"{name}.safetensors")["features"]
    torch.testing.assert_close(fused(golden_audio[name]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "samples",
    [
        MIN_SAMPLES,
        SEGMENT,
        SEGMENT + 1,
        SEGMENT + MIN_SAMPLES - 1,
        SEGMENT + MIN_SAMPLES,
        SEGMENT + CROP_SAMPLES - 1,
        SEGMENT + CROP_SAMPLES,
        SEGMENT + CROP_SAMPLES + 1,
        2 * SEGMENT,
        3 * SEGMENT + 500,
        3 * SEGMENT + 12_345,
    ],
)
def test_shared_subsampling_equals_four_separate_passes(fused, backbones, samples):
    waveform = noise(2, samples)
    torch.testing.assert_close(
        fused(waveform), four_passes(backbones, waveform), rtol=1e-5, atol=1e-5
    )


def test_views_differ_next_to_a_border(fused):
    waveform = noise(1, 2 * SEGMENT)
    segment, track = fused(waveform).chunk(2, dim=-1)
    border = SEGMENT // 960
    assert (segment - track)[0, border].abs().max() > 1e-2


def test_one_segment_or_less_is_encoded_once(fused, backbones):
    passes = []
    hook = backbones["muq"].encoder.register_forward_hook(lambda *_: passes.append(1))
    features = fused(noise(1, SEGMENT))
    hook.remove()
    assert len(passes) == 1
    assert torch.equal(*features.chunk(2, dim=-1))


def test_views_and_sources_are_taken_in_the_order_given(fused, backbones):
    waveform = noise(1, 3 * SEGMENT + 5000)
    views = fused(waveform).chunk(4, dim=-1)
    alone = FusedFeatures(
        {"muq": backbones["muq"], "musicfm": backbones["musicfm"]},
        views=("track",),
        layer=2,
        segment_seconds=2,
    )
    torch.testing.assert_close(
        alone(waveform), torch.cat([views[3], views[2]], dim=-1), rtol=0, atol=1e-6
    )
    segment = FusedFeatures(
        {"muq": backbones["muq"]}, views=("segment",), layer=2, segment_seconds=2
    )
    torch.testing.assert_close(segment(waveform), views[1])


def test_further_states_come_from_the_same_pass(fused, backbones):
    passes = []
    hook = (
        backbones["muq"]
        .encoder.subsampling.blocks[0]
        .register_forward_hook(lambda *_: passes.append(1))
    )
    waveform = noise(1, SEGMENT)
    features = fused.extract(waveform, [HiddenState("muq", 0), MUQ_1])
    hook.remove()
    assert len(passes) == 1
    expected = backbones["muq"].hidden_states(waveform, (0, 1))
    assert list(map(str, features.states)) == ["muq_00", "muq_01"]
    torch.testing.assert_close(features.states[MUQ_1], expected[1])


def test_a_batch_equals_its_items(fused):
    waveform = noise(8, SEGMENT + 9000)
    alone = torch.cat([fused(item[None]) for item in waveform])
    torch.testing.assert_close(fused(waveform), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rest", [0, MIN_SAMPLES - 1, MIN_SAMPLES, SEGMENT + 5000])
@pytest.mark.parametrize("views", [("segment", "track"), ("track",)])
def test_audio_beyond_the_limit_is_encoded_in_stretches(backbones, caplog, views, rest):
    waveform = noise(2, 4 * SEGMENT + rest)
    options = {"views": views, "layer": 2, "segment_seconds": 2}
    limited = FusedFeatures(backbones, **options, track_limit_seconds=5)  # two whole segments
    features = limited.extract(waveform, [MUQ_1])
    assert [record.getMessage() for record in caplog.records] == [
        f"{waveform.shape[1] // SAMPLE_RATE} s of audio: encoded in stretches of 4 s "
        "(track_limit_seconds)"
    ]
    short_rest = rest < MIN_SAMPLES
    cuts = [2 * SEGMENT, 2 * SEGMENT + rest] if short_rest else [2 * SEGMENT, 2 * SEGMENT, rest]
    whole = FusedFeatures(backbones, **options)
    parts = [whole.extract(part, [MUQ_1]) for part in waveform.split(cuts, dim=1)]
    expected = torch.cat([part.fused for part in parts], dim=1)
    torch.testing.assert_close(features.fused, expected, rtol=0, atol=1e-6)
    states = torch.cat([part.states[MUQ_1] for part in parts], dim=1)
    torch.testing.assert_close(features.states[MUQ_1], states, rtol=0, atol=1e-6)


def test_audio_within_the_limit_is_encoded_in_one_piece(backbones, caplog):
    waveform = noise(1, 4 * SEGMENT)
    limited = FusedFeatures(backbones, layer=2, segment_seconds=2, track_limit_seconds=8)
    whole = FusedFeatures(backbones, layer=2, segment_seconds=2)
    torch.testing.assert_close(limited(waveform), whole(waveform), rtol=0, atol=1e-6)
    assert not caplog.records


def test_a_layer_that_does_not_exist_is_refused(backbones):
    with pytest.raises(ValueError, match=r"\[7\] asked for; there are 0 to 2"):
        FusedFeatures(backbones, layer=7)
