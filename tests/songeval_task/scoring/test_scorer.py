"""Songs to scores: the published numbers, one encoder pass, files and tensors alike."""

import dataclasses
import threading
from collections import Counter

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from hear_aesthetics import load_model
from hear_aesthetics.audio import decoding
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.loudness import LoudnessMeter
from hear_aesthetics.errors import AudioError, InputError, WeightsUnavailableError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.scorers import Scorer
from songeval_task import AestheticScorer
from songeval_task.scoring.head_scorers import load_demo, load_head_scorer
from songeval_task.scoring.scorer import AudioSpan
from songeval_task.scoring.scorer_set import ScorerSet


@pytest.fixture(scope="module")
def scorer(tiny_model_directory, published_heads) -> AestheticScorer:
    """The fixtures' encoders with three heads, two on the fused feature, one on a hidden state."""
    return AestheticScorer.from_pretrained(
        *published_heads, model=tiny_model_directory, precision="float32"
    )


@pytest.fixture
def encoded(monkeypatch):
    """How often each encoder is run, over all scorers, as the test goes on."""
    from hear_aesthetics.backbones.conformer import ConformerEncoder

    counts: Counter = Counter()
    forward = ConformerEncoder.forward

    def counted(self, *args, **kwargs):
        counts[id(self)] += 1
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(ConformerEncoder, "forward", counted)
    return counts


def published(golden, head: str, name: str) -> list[float]:
    folder = golden / ("songeval_baseline" if head == "chain" else "hear_head")
    key = f"{name}.scores" if head == "chain" else f"end_to_end.{name}.scores"
    return load_file(folder / f"{head}.outputs.safetensors")[key][0].tolist()


@pytest.mark.parity
@pytest.mark.parametrize("name", ["short", "medium", "long"])
def test_scores_of_files_match_the_published_systems(scorer, golden, name) -> None:
    scores = scorer.score(golden / "audio" / f"{name}.wav")
    expected = [v for head in ("track1", "track2", "chain") for v in published(golden, head, name)]
    np.testing.assert_allclose(list(scores.values.values()), expected, rtol=1e-4, atol=1e-4)
    assert not scores.demo
    assert scores.head == "track1.model+track2.model+chain.model"
    assert scores.means["chain.model:mean"] == pytest.approx(np.mean(expected[-5:]), abs=1e-4)


@pytest.mark.parity
def test_a_tail_without_segment_view_is_scored_as_published(scorer, golden) -> None:
    scores = scorer.score(golden / "audio" / "tail.wav")
    expected = published(golden, "track1", "tail") + published(golden, "track2", "tail")
    np.testing.assert_allclose(list(scores.values.values())[:6], expected, rtol=1e-4, atol=1e-4)


def test_three_heads_cost_one_encoder_pass(scorer, encoded, published_heads, golden) -> None:
    song = golden / "audio" / "medium.wav"
    scorer.score(song)
    three = encoded.copy()
    encoded.clear()
    one = AestheticScorer(scorer.model, ScorerSet(dict([load_head_scorer(published_heads[1])])))
    one.score(song)
    assert len(three) == len(encoded) == 2  # MusicFM and MuQ
    assert sorted(three.values()) == sorted(encoded.values()) == [1, 1]


def test_batches_of_a_narrow_model_are_computed_side_by_side(
    scorer, write_clip, tmp_path, monkeypatch
) -> None:
    paths = [write_clip(tmp_path / f"{number}.wav", 20, number) for number in range(3)]
    one_by_one = [scorer.score(path) for path in paths]
    compute, threads = scorer.scorer_set.compute, set()

    def watched(*args, **options):
        threads.add(threading.get_ident())
        return compute(*args, **options)

    monkeypatch.setattr(scorer.scorer_set, "compute", watched)
    monkeypatch.setattr(type(scorer.model), "batches_at_once", 2)
    together = [result.output for result in scorer.score_files(map(AudioSpan, paths))]
    assert threading.get_ident() not in threads
    for one, other in zip(one_by_one, together, strict=True):
        assert other.values == pytest.approx(one.values, abs=1e-4)
    monkeypatch.setattr(scorer.scorer_set, "encodes", (HiddenState("muq", 2),))
    assert scorer.batches_at_once == 1


def test_heads_on_features_of_other_lengths_share_their_windows(scorer, golden) -> None:
    """The fused feature of this file ends before the hidden state does, at a window's border."""
    scores = scorer.score(golden / "audio" / "tail.wav", timeline=True, explain=True)
    assert [(w["start"], w["end"]) for w in scores.timeline[:2]] == [(0.0, 30.0), (10.0, 40.0)]
    assert all(set(scorer.columns) <= set(window) for window in scores.timeline)
    for windows in (scores.timeline, scores.explain):
        assert windows[-1]["end"] == pytest.approx(scores.duration, abs=0.05)
    for column in ("attention", "track2.model:attention"):
        assert sum(window[column] for window in scores.explain) == pytest.approx(1, abs=1e-5)
    assert "chain.model:attention" not in scores.explain[0]


def test_a_head_on_a_hidden_state_alone_needs_neither_musicfm_nor_segments(
    encoded, published_heads, tiny_model_directory, golden
) -> None:
    scorer = AestheticScorer.from_pretrained(
        published_heads[2], model=tiny_model_directory, precision="float32"
    )
    values = scorer.score(golden / "audio" / "long.wav").values
    np.testing.assert_allclose(
        list(values.values()), published(golden, "chain", "long"), rtol=1e-4, atol=1e-4
    )
    assert list(scorer.model.fused.encoders) == ["muq"]
    assert sum(encoded.values()) == 1


def test_further_heads_have_their_name_before_their_columns(scorer) -> None:
    assert scorer.columns[:3] == (
        "Musicality",
        "track2.model:Coherence",
        "track2.model:Musicality",
    )
    assert scorer.scorer_set.means["track2.model"] == "track2.model:mean"


@pytest.mark.parametrize("shape", ["mono", "stereo"])
def test_waveforms_score_like_the_file_that_holds_them(demo_scorer, tmp_path, shape) -> None:
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal((44_100, 2)).astype(np.float32)
    if shape == "mono":
        samples = samples[:, :1]
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    expected = list(demo_scorer.score(tmp_path / "a.wav").values.values())
    batch = torch.from_numpy(samples.T.copy())[None]
    scores = demo_scorer.score_waveforms(batch[:, 0] if shape == "mono" else batch, 44_100)
    assert scores.dtype == torch.float32
    assert scores.shape == (1, len(demo_scorer.columns))
    np.testing.assert_allclose(scores[0].numpy(), expected, atol=1e-6)


def test_scores_of_an_earlier_length_rule_are_told_apart(demo_scorer) -> None:
    assert demo_scorer.fingerprint()["length_rule"] == "librosa"


def test_a_batch_of_waveforms_scores_each_as_alone(demo_scorer, monkeypatch) -> None:
    monkeypatch.setattr("songeval_task.scoring.scorer.SECONDS_PER_PASS", 2)  # more than one pass
    batch = 0.1 * torch.randn(5, 24_000, generator=torch.Generator().manual_seed(0))
    together = demo_scorer.score_waveforms(batch, 24_000)
    alone = [demo_scorer.score_waveforms(row[None], 24_000)[0] for row in batch]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-5)
    assert len(together.unique(dim=0)) == 5


@pytest.mark.parametrize("prompts", [[], ["one"], ["1", "2", "3"]])
def test_waveforms_and_prompts_go_together(demo_scorer, prompts) -> None:
    with pytest.raises(ValueError, match="prompts for 2 waveforms"):
        demo_scorer.score_waveforms(torch.zeros(2, 24_000), 24_000, prompts=prompts)


def test_scoring_waveforms_needs_no_gradient_and_leaves_the_input_alone(demo_scorer) -> None:
    batch = 0.1 * torch.randn(1, 12_000, requires_grad=True)
    before = batch.detach().clone()
    assert not demo_scorer.score_waveforms(batch.detach(), 24_000).requires_grad
    assert torch.equal(batch, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_scores_stay_on_the_device_of_the_waveforms(demo_scorer) -> None:
    batch = 0.1 * torch.randn(2, 24_000)
    scorer = AestheticScorer.from_pretrained(model="mini", device="cuda")
    scores = scorer.score_waveforms(batch.cuda(), 24_000)
    assert scores.device.type == "cuda"
    expected = demo_scorer.score_waveforms(batch, 24_000)
    torch.testing.assert_close(scores.cpu(), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("waveforms", "message"),
    [
        (torch.zeros(24_000), r"shape \(24000,\).*pass finite floats"),
        (torch.zeros(1, 24_000, dtype=torch.int16), "int16.*pass finite floats"),
        (torch.full((1, 24_000), torch.nan), "pass finite floats"),
        (torch.zeros(0, 24_000), r"shape \(0, 24000\)"),
        (torch.zeros(1, 1500), "hold 0.062 s of audio, a score needs at least 0.210 s"),
    ],
)
def test_wrong_waveforms_are_named(demo_scorer, waveforms, message) -> None:
    with pytest.raises(ValueError, match=message):
        demo_scorer.score_waveforms(waveforms, 24_000)


@pytest.mark.parametrize("rate", [0, -24_000, 999])
def test_a_rate_that_no_audio_has_is_refused(demo_scorer, rate) -> None:
    with pytest.raises(ValueError, match=rf"sample_rate is {rate}; it takes 1000 to"):
        demo_scorer.score_waveforms(torch.zeros(1, 24_000), rate)


def test_waveforms_that_are_no_tensor_are_refused(demo_scorer) -> None:
    with pytest.raises(TypeError, match="waveforms are a list"):
        demo_scorer.score_waveforms([torch.zeros(24_000)], 24_000)


def test_audio_too_short_for_the_head_is_an_audio_error(demo_scorer, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=0.07)  # enough for the encoders
    with pytest.raises(AudioError, match=r"a\.wav: 0\.07 s of audio, need at least 0\.210 s"):
        demo_scorer.score(path)
    write_clip(path, seconds=0.21)
    assert demo_scorer.score(path).duration == pytest.approx(0.21)


def test_a_span_is_scored_as_the_file_that_holds_it(demo_scorer, write_clip, tmp_path) -> None:
    whole = write_clip(tmp_path / "whole.wav", seconds=3)
    samples, _ = soundfile.read(whole, dtype="float32")
    soundfile.write(tmp_path / "part.wav", samples[24_000:60_000], 24_000, subtype="FLOAT")
    span = demo_scorer.score(whole, start=1.0, end=2.5)
    part = demo_scorer.score(tmp_path / "part.wav")
    assert list(span.values.values()) == pytest.approx(list(part.values.values()), abs=1e-4)
    assert (span.start, span.end, span.duration) == (1.0, 2.5, 1.5)
    assert span.loudness_lufs == pytest.approx(part.loudness_lufs, abs=0.02)


def test_loudness_is_measured_as_it_is_and_normalised_only_when_asked(
    demo_scorer, write_clip, tmp_path
) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=1)
    samples, _ = soundfile.read(path, dtype="float32")
    soundfile.write(tmp_path / "loud.wav", 2 * samples, 24_000, subtype="FLOAT")
    quiet, loud = (demo_scorer.score(p) for p in (path, tmp_path / "loud.wav"))
    meter = LoudnessMeter()
    load_audio(path, on_block=meter.push)
    assert quiet.loudness_lufs == pytest.approx(meter.loudness())
    assert loud.loudness_lufs - quiet.loudness_lufs == pytest.approx(6.02, abs=0.01)
    assert quiet.values != pytest.approx(loud.values, abs=1e-3)
    levelled = [demo_scorer.score(p, loudness=-14.0) for p in (path, tmp_path / "loud.wav")]
    assert levelled[0].values == pytest.approx(levelled[1].values, abs=1e-4)
    assert levelled[0].loudness_lufs == quiet.loudness_lufs


def test_silence_has_scores_and_no_loudness(demo_scorer, tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(24_000), 24_000)
    scores = demo_scorer.score(tmp_path / "a.wav", loudness=-14.0)
    assert scores.loudness_lufs is None
    assert np.isfinite(list(scores.values.values())).all()


def test_faults_of_the_file_are_warnings_of_its_scores(demo_scorer, write_clip, tmp_path) -> None:
    """As it is in the file: all channels at its own rate, before any change of loudness."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((44_100 * 11, 2))
    samples[:, 1] = 0
    soundfile.write(tmp_path / "a.wav", samples + np.array([0.05, 0]), 44_100)
    expected = ("DC offset (+0.050 of full scale)", "no sound in channel 2 of 2")
    for loudness in (None, -40.0):
        assert demo_scorer.score(tmp_path / "a.wav", loudness=loudness).warnings == expected
    span = demo_scorer.score(tmp_path / "a.wav", start=2.0, end=5.0)
    assert span.warnings == (*expected, "shorter than 10 s (3.0 s)")


def test_waveforms_have_the_warnings_of_their_files(demo_scorer, tmp_path) -> None:
    batch = 0.1 * torch.randn(2, 2, 44_100 * 3, generator=torch.Generator().manual_seed(0))
    batch[1] = batch[1, :, :44_100].repeat(1, 3)
    warnings = demo_scorer.waveform_warnings(batch, 44_100)
    for waveform, found in zip(batch, warnings, strict=True):
        soundfile.write(tmp_path / "a.wav", waveform.T.numpy(), 44_100, subtype="FLOAT")
        assert demo_scorer.score(tmp_path / "a.wav").warnings == found
    short = "shorter than 10 s (3.0 s)"
    assert warnings == [(short,), ("a loop of 1.00 s", short)]
    assert demo_scorer.waveform_warnings(batch[:, 0], 44_100) == warnings
    with pytest.raises(ValueError, match="pass finite floats"):
        demo_scorer.waveform_warnings(torch.full((1, 24_000), torch.nan), 24_000)


def test_the_limits_of_faults_decide_rows(demo_scorer) -> None:
    assert demo_scorer.fingerprint()["faults"]["short_seconds"] == 10


def test_errors_take_the_place_of_scores_and_the_rest_goes_on(
    demo_scorer, write_clip, tmp_path
) -> None:
    good = write_clip(tmp_path / "good.wav")
    clips = [AudioSpan(good), AudioSpan(tmp_path / "absent.wav"), AudioSpan(good, 0.1, 0.4)]
    results = list(demo_scorer.score_files(clips))
    assert [result.item for result in results] == clips
    assert [result.error is None for result in results] == [True, False, True]
    assert "absent.wav: no such file" in str(results[1].error)


def test_provenance_names_weights_and_heads(demo_scorer, write_clip, tmp_path) -> None:
    scores = demo_scorer.score(write_clip(tmp_path / "a.wav"))
    (head,) = scores.provenance["heads"]
    assert len(scores.provenance["weights_sha256"]["muq"]) == len(head["sha256"]) == 64
    assert head["status"] == "demo"
    assert scores.demo


def test_a_head_of_another_width_is_refused(published_heads) -> None:
    with pytest.raises(
        ValueError, match=r"track2\.model takes fused features 128 wide, model mini"
    ):
        AestheticScorer.from_pretrained(published_heads[1], model="mini")


def test_missing_head_and_model_are_named_together(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HEAR_AESTHETICS_HOME", raising=False)
    with pytest.raises(WeightsUnavailableError, match=r"hear-track2 is not.*large is missing too"):
        AestheticScorer.from_pretrained()


def test_a_misspelt_model_is_named_before_heads_are_fetched(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="'mino' is neither a variant"):
        AestheticScorer.from_pretrained(model="mino")


class Prompted:
    """A scorer of another package: reads a hidden state and the prompt."""

    columns = ("alignment",)
    reads = ("muq_02",)

    def __call__(self, features, row):
        assert not features.fused.numel()
        state = features.read("muq_02")
        assert state.shape[0] == 1
        return {"alignment": len(row["prompt"] or "") + float(state.mean())}


@pytest.fixture
def prompted() -> AestheticScorer:
    scorers: dict[str, Scorer] = {"demo": load_demo(), "prompted": Prompted()}
    return AestheticScorer(load_model(states=[HiddenState("muq", 2)]), ScorerSet(scorers))


def test_scorers_of_other_packages_get_features_and_prompt(prompted, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav")
    with_text = prompted.score(path, prompt="four")
    without = prompted.score(path)
    assert with_text.values["prompted:alignment"] == pytest.approx(
        without.values["prompted:alignment"] + 4
    )
    assert with_text.means["prompted:mean"] == with_text.values["prompted:alignment"]
    waveform = torch.from_numpy(load_audio(path))[None].repeat(2, 1)
    table = prompted.score_waveforms(waveform, 24_000, prompts=["four", ""])
    assert table[0, -1] == pytest.approx(with_text.values["prompted:alignment"])
    assert table[0, -1] - table[1, -1] == pytest.approx(4)


def test_scorers_of_other_packages_alone_have_no_windows(prompted, write_clip, tmp_path) -> None:
    alone = AestheticScorer(prompted.model, ScorerSet({"prompted": Prompted()}))
    scores = alone.score(write_clip(tmp_path / "a.wav"), timeline=True, explain=True)
    assert (scores.timeline, scores.explain) == ([], [])


def test_scores_that_are_not_finite_are_an_error(prompted, write_clip, tmp_path) -> None:
    class Broken(Prompted):
        def __call__(self, features, row):
            return {"alignment": float("nan")}

    prompted.scorer_set.scorers["prompted"] = Broken()
    with pytest.raises(AudioError, match="scores of prompted:alignment are not finite"):
        prompted.score(write_clip(tmp_path / "a.wav"))


def test_a_foreign_scorer_that_fails_costs_one_clip(prompted, write_clip, tmp_path) -> None:
    class Picky(Prompted):
        def __call__(self, features, row):
            return {"alignment": 5 / len(row["prompt"])}

    prompted.scorer_set.scorers["prompted"] = Picky()
    path = write_clip(tmp_path / "a.wav")
    good, bad = prompted.score_files([AudioSpan(path, prompt="fives"), AudioSpan(path, prompt="")])
    assert good.output.values["prompted:alignment"] == 1
    assert "a.wav: scorer prompted failed (ZeroDivisionError" in str(bad.error)


def test_scores_are_plain_data(demo_scorer, write_clip, tmp_path) -> None:
    scores = demo_scorer.score(write_clip(tmp_path / "a.wav"), timeline=True, explain=True)
    assert dataclasses.asdict(scores)["timeline"][0]["start"] == 0.0
    assert scores.path == str(tmp_path / "a.wav")


@pytest.mark.parametrize("loudness", [None, -14.0])
def test_a_file_is_opened_and_decoded_once(
    loudness, demo_scorer, write_clip, tmp_path, monkeypatch
):
    path = write_clip(tmp_path / "a.wav", seconds=1)
    opened, decoded = [], []
    real_open, real_blocks = decoding._open_file, decoding.SoundFileDecoder.blocks_from
    monkeypatch.setattr(decoding, "_open_file", lambda p: opened.append(p) or real_open(p))
    monkeypatch.setattr(
        decoding.SoundFileDecoder,
        "blocks_from",
        lambda self, start: decoded.append(start) or real_blocks(self, start),
    )
    scores = demo_scorer.score(path, loudness=loudness)
    assert scores.loudness_lufs is not None
    assert (opened, decoded) == ([path], [0.0])


def test_a_scorer_moves_as_one() -> None:
    scorer = AestheticScorer.from_pretrained(model="mini", device="cpu")
    assert scorer.to("meta") is scorer
    parts = [scorer.model, *(head.head for head in scorer.scorer_set.heads.values())]
    assert {p.device.type for part in parts for p in part.parameters()} == {"meta"}
