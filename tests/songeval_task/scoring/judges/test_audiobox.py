"""Audiobox-Aesthetics as a head: windows of 10 s, no model, and one line for what is wrong."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from hear_aesthetics.audio.sinc import sinc_resample
from hear_aesthetics.errors import CheckpointError, WeightsUnavailableError
from songeval_task import AestheticScorer
from songeval_task.scoring.head_scorers import load_head_scorer
from songeval_task.scoring.scorer import AudioSpan


@pytest.fixture(scope="module")
def scorer(audiobox_file) -> AestheticScorer:
    return AestheticScorer.from_pretrained(audiobox_file.parent)


@pytest.fixture
def song(tmp_path):
    """43.21 s of stereo at 44.1 kHz that changes as it goes."""
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal((round(43.21 * 44_100), 2))
    samples *= np.linspace(0.1, 1, len(samples))[:, None] ** 2
    soundfile.write(tmp_path / "song.wav", samples, 44_100, subtype="FLOAT")
    return tmp_path / "song.wav"


def test_scores_are_the_mean_of_windows_by_their_length(scorer, song) -> None:
    scores = scorer.score(song)
    assert (scores.model, scorer.model) == (None, None)
    assert list(scores.values) == ["CE", "CU", "PC", "PQ"]
    samples, _ = soundfile.read(song, dtype="float32")
    heard = torch.from_numpy(sinc_resample(samples.mean(axis=1), 44_100, 16_000))
    (audiobox,) = scorer.scorer_set.scorers.values()
    weighted, total = torch.zeros(4), 0.0
    for window in heard.split(160_000):
        padded = torch.nn.functional.pad(window, (0, 160_000 - len(window)))[None]
        weighted += audiobox.head(audiobox.encoder(padded, len(window)))[0] * len(window)
        total += len(window)
    assert list(scores.values.values()) == pytest.approx((weighted / total).tolist(), abs=1e-5)
    assert scores.duration == pytest.approx(43.21)


def test_a_window_over_time_scores_as_its_clip(scorer, song) -> None:
    timeline = scorer.score(song, timeline=True).timeline
    assert [(w["start"], w["end"]) for w in timeline] == [
        (0, 30),
        (10, 40),
        (20, pytest.approx(43.21)),
    ]
    spans = scorer.score_files([AudioSpan(song, w["start"], w["end"]) for w in timeline])
    for window, result in zip(timeline, spans, strict=True):
        found = {name: window[name] for name in scorer.columns}
        # But for what the resampler hears beyond the ends of a window.
        assert found == pytest.approx(result.output.values, abs=1e-3)
    assert len({window["PQ"] for window in timeline}) == 3


def test_leaving_windows_out_leaves_the_mean_of_the_others(scorer, song) -> None:
    """The rest of 3.21 s belongs to the last window."""
    scores = scorer.score(song, explain=True, timeline=True)
    assert [(w["start"], w["end"]) for w in scores.explain] == [
        (0, 10),
        (10, 20),
        (20, 30),
        (30, pytest.approx(43.21)),
    ]
    without_last = scores.values["PQ"] + scores.explain[3]["PQ"]
    assert without_last == pytest.approx(scores.timeline[0]["PQ"], abs=1e-5)
    short = scorer.score(song, start=0, end=9, explain=True)
    assert short.explain[0]["PQ"] is None


def test_a_batch_scores_each_clip_as_alone(scorer) -> None:
    batch = 0.1 * torch.randn(3, 16_000 * 12, generator=torch.Generator().manual_seed(0))
    together = scorer.score_waveforms(batch, 16_000)
    alone = torch.cat([scorer.score_waveforms(row[None], 16_000) for row in batch])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert len(together.unique(dim=0)) == 3


def test_silence_and_a_single_sample_have_scores(scorer, tmp_path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(24_000), 24_000)
    assert np.isfinite(list(scorer.score(tmp_path / "silence.wav").values.values())).all()
    assert scorer.score_waveforms(torch.ones(1, 1), 16_000).isfinite().all()


def test_it_shares_a_decoding_with_heads_of_features(demo_scorer, audiobox_file, song) -> None:
    both = AestheticScorer.from_pretrained("demo", audiobox_file.parent, model="mini")
    scores = both.score(song, timeline=True)
    alone = demo_scorer.score(song).values
    assert {name: scores.values[name] for name in alone} == pytest.approx(alone, abs=1e-5)
    assert {"Musicality", "small-audiobox:PQ"} <= set(scores.timeline[2])
    assert scores.means["small-audiobox:mean"] == pytest.approx(
        np.mean([v for k, v in scores.values.items() if k.startswith("small")])
    )


def test_what_decides_the_scores_is_recorded(scorer, audiobox_file) -> None:
    made = scorer.fingerprint()
    assert made["waveforms"] == ["waveform_16000_sinc"]
    decides = made["heads"]["small-audiobox"]
    assert decides["class"] == "AudioboxHead"
    assert len(decides["sha256"]) == 64
    assert decides["config"]["mean"][0] == 5.06865
    assert json.dumps(made)
    (head,) = scorer.provenance["heads"]
    assert (head["file"], head["head"]) == ("model.safetensors", "small-audiobox")


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Neither hub nor cache; the folder that HEAR_AESTHETICS_HOME names."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_named_head_needs_no_model(home, audiobox_file, command, song) -> None:
    """Large is neither on this machine nor asked for, and a wrong --model is not looked at."""
    with pytest.raises(
        WeightsUnavailableError, match=r"audiobox is not on .*415 MB, licence CC-BY"
    ) as e:
        AestheticScorer.from_pretrained("audiobox")
    assert "large" not in str(e.value)
    shutil.copytree(audiobox_file.parent, home / "audiobox")
    done = command("score", song, "--head", "audiobox", "--json", "--model", "none")
    assert done.code == 0, done.errors
    (row,) = json.loads(done.out)
    assert row["head"] == "audiobox"
    assert row["model"] is None
    assert row["PQ"] > 0


def test_files_of_other_heads_are_refused(home, audiobox_file, golden) -> None:
    shutil.copytree(audiobox_file.parent, home / "audiobox")
    track = golden / "hear_head" / "track2.model.safetensors"
    shutil.copy(track, home / "audiobox" / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds AestheticHead, not AudioboxHead, which aud"):
        load_head_scorer("audiobox")
    (home / "songeval").mkdir()
    shutil.copy(audiobox_file, home / "songeval" / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds AudioboxHead, not SongEvalBaselineHead"):
        load_head_scorer("songeval")


def test_what_is_broken_is_one_line(write_audiobox, tmp_path) -> None:
    file = write_audiobox(tmp_path / "mine")
    whole = file.read_bytes()

    def message() -> str:
        with pytest.raises(CheckpointError) as error:
            load_head_scorer(tmp_path / "mine")
        assert "\n" not in str(error.value)
        return str(error.value)

    file.write_bytes(whole[: len(whole) // 2])
    assert "not a readable safetensors file; get the file again" in message()
    tensors = load_file(write_audiobox(tmp_path / "mine"))
    save_file({**tensors, "other": torch.ones(1)}, file)
    assert "the tensors do not fit this head (unexpected: other)" in message()
    save_file({**tensors, "layer_weights.CE": torch.full((3,), torch.nan)}, file)
    assert "layer_weights.CE holds numbers that are not finite" in message()
    config = json.loads(file.with_name("config.json").read_text())
    write_audiobox(tmp_path / "mine")
    file.with_name("config.json").write_text(json.dumps(config | {"nth_layer": 13}))
    assert "WavLM has 3 hidden states, config.json beside it says 13" in message()
    file.with_name("config.json").unlink()
    assert "config.json: no such file; Audiobox's weights come with it" in message()
    file.rename(file.with_name("checkpoint.pt"))
    assert "if its checkpoint.pt is the published one, take the model.safetensors" in message()
    torch.save({"state_dict": tensors, "model_cfg": {}}, file.with_name("checkpoint.pt"))
    with pytest.raises(CheckpointError, match=r"take the model\.safetensors beside it with its co"):
        load_head_scorer(file.with_name("checkpoint.pt"))
