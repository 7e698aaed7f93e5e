"""Scorers that hear the waveform: one decoding, no encoder that nobody reads, clear refusals."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from hear_aesthetics.audio import decoding
from hear_aesthetics.audio.loading import load_audio, load_waveforms
from hear_aesthetics.audio.waveforms import WaveformFormat
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import Features, HiddenState
from hear_aesthetics.scorers import BatchScorer, Windows
from songeval_task import AestheticScorer
from songeval_task.scoring import feature_scorer, head_scorers
from songeval_task.scoring.feature_scorer import FeatureScorer
from songeval_task.scoring.head_scorers import load_demo
from songeval_task.scoring.scorer import AudioSpan
from songeval_task.scoring.scorer_set import ScorerSet

SINC = "waveform_16000_sinc"


class Level(BatchScorer):
    """Mean and greatest amplitude at 16 kHz, and those of windows."""

    columns = ("mean_level", "peak")
    reads = (SINC,)
    gives = frozenset({"timeline"})
    scale = 0.0, 1.0

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.batches: list[tuple[int, ...]] = []

    def compute(self, features: Features, windows: Windows) -> dict[str, Tensor]:
        heard = features.read(SINC)
        self.batches.append(tuple(heard.shape))
        outputs = {"scores": self._level(heard)}
        if windows.timeline:
            parts = [heard[:, a * 640 : b * 640] for a, b in windows.timeline]
            outputs["timeline"] = torch.stack([self._level(part) for part in parts], dim=1)
        return outputs

    def _level(self, heard: Tensor) -> Tensor:
        return torch.stack([heard.abs().mean(dim=1), heard.abs().amax(dim=1)], dim=1)

    def provenance(self) -> dict:
        return {"source": "a test"}

    def fingerprint(self) -> dict:
        return {"version": 1}

    def to(self, device: torch.device) -> None:
        self.device = device


class Plain:
    """A scorer of one clip at a time that hears 48 kHz and reads the fused feature."""

    columns = ("samples", "frames")
    reads = ("waveform_48000", "fused")

    def __call__(self, features, row):
        return {
            "samples": features.read("waveform_48000").shape[1],
            "frames": features.fused.shape[1],
        }


class SelfEncoding(Level):
    """Encodes the second half of each clip itself."""

    columns = ("state",)
    reads = ("waveform_24000",)
    encodes = ("muq_02",)
    gives = frozenset()
    min_samples = 4_000
    model = None

    def attach(self, model) -> None:
        super().attach(model)
        self.model = model

    def compute(self, features, windows):
        heard = features.read("waveform_24000")
        state = HiddenState("muq", 2)
        states = self.model.hidden_states(heard[:, heard.shape[1] // 2 :], [state])
        return {"scores": states[state].mean(dim=(1, 2))[:, None]}


@pytest.fixture
def level() -> AestheticScorer:
    return AestheticScorer(None, ScorerSet({"level": Level()}))


@pytest.fixture
def registered(monkeypatch):
    """Makes a scorer known by a name, as an installed package would."""

    def register(name: str, scorer: object) -> None:
        monkeypatch.setattr(head_scorers, "scorer_names", lambda: [name])
        monkeypatch.setattr(head_scorers, "load_scorer", lambda _: scorer)

    return register


def test_a_scorer_hears_the_audio_as_it_names_it(level, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=1.5, sample_rate=44_100)
    heard = load_waveforms(path, [WaveformFormat(16_000, "sinc")]).by_name[SINC]
    scores = level.score(path)
    assert scores.values["peak"] == pytest.approx(np.abs(heard).max(), abs=1e-6)
    assert scores.values["mean_level"] == pytest.approx(np.abs(heard).mean(), abs=1e-6)
    assert (scores.duration, scores.model, scores.head) == (1.5, None, "level")
    assert "model" not in scores.provenance
    assert json.dumps(level.fingerprint())
    assert level.fingerprint()["waveforms"] == [SINC]
    assert "model" not in level.fingerprint()


def test_without_a_reader_no_model_is_looked_for(monkeypatch, registered) -> None:
    registered("level", Level())
    monkeypatch.setattr("songeval_task.scoring.scorer.load_model", None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    scorer = AestheticScorer.from_pretrained("level", model="large")
    assert scorer.model is None
    with pytest.raises(InputError, match="hears waveforms alone; name a head"):
        scorer.required_model  # noqa: B018


def test_heads_of_features_need_a_model() -> None:
    with pytest.raises(InputError, match="demo reads features of encoders; pass a model"):
        AestheticScorer(None, ScorerSet({"demo": load_demo()}))


def test_one_decoding_and_one_pass_serve_all(
    demo_scorer, write_clip, tmp_path, monkeypatch
) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=1, sample_rate=44_100)
    alone = demo_scorer.score(path).values
    opened, passes = [], []
    real_open, model = decoding._open_file, demo_scorer.model
    real_extract = model.extract
    monkeypatch.setattr(decoding, "_open_file", lambda p: opened.append(p) or real_open(p))
    monkeypatch.setattr(model, "extract", lambda *a: passes.append(1) or real_extract(*a))
    scorers = {"demo": load_demo(), "level": Level(), "plain": Plain()}
    together = AestheticScorer(model, ScorerSet(scorers))
    scores = together.score(path)
    assert (opened, len(passes)) == ([path], 1)
    for column, value in alone.items():
        assert scores.values[column] == pytest.approx(value, abs=1e-6)
    assert scores.values["plain:samples"] == 48_000
    assert scores.values["plain:frames"] == 25
    assert scores.values["level:peak"] > 0.05
    kept = {k: v for k, v in together.fingerprint().items() if k not in ("head", "heads")}
    added = {"waveforms": [SINC, "waveform_48000"]}
    assert kept == {**added, **{k: demo_scorer.fingerprint()[k] for k in kept if k not in added}}


def test_waveforms_and_files_score_alike(demo_scorer, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=1, sample_rate=44_100)
    scorers = {"demo": load_demo(), "level": Level(), "plain": Plain()}
    scorer = AestheticScorer(demo_scorer.model, ScorerSet(scorers))
    batch = torch.from_numpy(load_audio(path, 44_100))[None].repeat(2, 1)
    table = scorer.score_waveforms(batch, 44_100)
    expected = torch.tensor(list(scorer.score(path).values.values()), dtype=torch.float32)
    torch.testing.assert_close(table, expected.repeat(2, 1), rtol=0, atol=1e-5)


def test_a_clip_without_a_least_length_may_be_tiny(level, write_clip, tmp_path) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=0.01)  # too short for the encoders
    assert level.score(path).duration == pytest.approx(0.01)
    assert level.score_waveforms(torch.ones(1, 1), 24_000).shape == (1, 2)


def test_clips_share_a_batch_only_if_all_their_waveforms_are_equally_long(
    write_clip, tmp_path
) -> None:
    """Of the first two, both are 12,002 samples at 24 kHz, but 8,001 and 8,002 at 16 kHz."""
    scorer = Level()
    scorer.reads = ("waveform_24000", SINC)
    clips = [
        AudioSpan(write_clip(tmp_path / f"{number}.wav", samples / 48_000, number, 48_000))
        for number, samples in enumerate([24_003, 24_004, 24_003])
    ]
    results = list(AestheticScorer(None, ScorerSet({"level": scorer})).score_files(clips))
    assert [result.item for result in results] == clips
    assert sorted(scorer.batches) == [(1, 8_002), (2, 8_001)]


def test_windows_over_time_are_those_of_scorers_that_have_them(
    level, demo_scorer, write_clip, tmp_path
) -> None:
    path = write_clip(tmp_path / "a.wav", seconds=45)
    scores = level.score(path, timeline=True, explain=True)
    assert [(w["start"], w["end"]) for w in scores.timeline] == [(0, 30), (10, 40), (20, 45)]
    assert set(scores.timeline[0]) == {"start", "end", "mean_level", "peak"}
    assert scores.explain == []
    span = level.score(path, start=20, end=45)
    assert scores.timeline[2]["peak"] == pytest.approx(span.values["peak"], abs=0.01)
    both = AestheticScorer(demo_scorer.model, ScorerSet({"demo": load_demo(), "level": Level()}))
    mixed = both.score(path, timeline=True, explain=True)
    alone = demo_scorer.score(path, timeline=True, explain=True)
    for kind in ("timeline", "explain"):
        for ours, theirs in zip(getattr(mixed, kind), getattr(alone, kind), strict=True):
            assert {k: v for k, v in ours.items() if k in theirs} == pytest.approx(theirs, abs=1e-5)
    assert mixed.timeline[1]["level:peak"] == pytest.approx(scores.timeline[1]["peak"], abs=1e-6)
    assert "level:peak" not in mixed.explain[0]


def test_a_scorer_may_encode_a_part_itself(
    write_clip, tmp_path, registered, tiny_model_directory
) -> None:
    registered("self", SelfEncoding())
    scorer = AestheticScorer.from_pretrained("self", model=tiny_model_directory)
    assert list(scorer.model.fused.encoders) == ["muq"]
    path = write_clip(tmp_path / "a.wav", seconds=1)
    state = HiddenState("muq", 2)
    half = torch.from_numpy(load_audio(path))[None, 12_000:]
    expected = scorer.model.extract(half, [state]).states[state].mean().item()
    assert scorer.score(path).values["state"] == pytest.approx(expected, abs=1e-5)
    passes = []
    scorer.model.extract = lambda *_: passes.append(1)  # the pass that nobody reads
    scorer.score(path)
    assert passes == []
    short = write_clip(tmp_path / "short.wav", seconds=0.1)
    with pytest.raises(Exception, match=r"short\.wav: 0\.10 s of audio, need at least 0\.167 s"):
        scorer.score(short)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        (("waveform_999",), "scorer level: 'waveform_999' is no waveform.*1000 to 768000 Hz"),
        (("clap_06",), "scorer level: 'clap_06' is no hidden state.*waveforms such as"),
        ((), r"scorer level: reads is \(\); write names in it"),
        ("waveform_8000", "scorer level: reads is 'waveform_8000'; write names in it"),
    ],
)
def test_what_does_not_exist_is_named_with_its_scorer(reads, message) -> None:
    scorer = Level()
    scorer.reads = reads
    with pytest.raises(InputError, match=message):
        ScorerSet({"level": scorer})


def test_files_of_features_are_refused_in_one_line(level, command, tmp_path, registered) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 10, 4), np.float32))
    registered("level", Level())
    done = command("score", tmp_path / "a.npy", "--head", "level")
    (error,) = done.errors
    assert f"level reads {SINC}, a .npy file holds features; give it the audio" in error
    assert done.code == 2
    with pytest.raises(InputError, match="a \\.npy file holds features"):
        FeatureScorer(level.scorer_set).check_reads()


def test_the_commands_score_without_a_model(command, write_clip, tmp_path, registered) -> None:
    registered("level", Level())
    for number in range(2):
        write_clip(tmp_path / "in" / f"{number}.wav", 1, number)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no audio")
    out = tmp_path / "out.jsonl"
    done = command("score", tmp_path / "in", "--head", "level", "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert (done.code, [row["status"] for row in rows]) == (3, ["ok", "ok", "error"])
    assert all(row["model"] is None for row in rows)
    again = command("score", tmp_path / "in", "--head", "level", "--out", out)
    assert "2 of 3 rows are there already" in "\n".join(again.notes)
    compared = command("compare", tmp_path / "in/0.wav", tmp_path / "in/1.wav", "--head", "level")
    assert compared.code == 0
    assert "peak" in compared.out


def test_commands_say_what_a_scorer_lacks(command, write_clip, tmp_path, registered) -> None:
    registered("level", Level())
    path = write_clip(tmp_path / "a.wav", 1)
    explained = command("score", path, "--head", "level", "--explain", "--json")
    assert explained.code == 2
    assert "--explain: level does not give it; add a head" in explained.errors[0]
    (tmp_path / "r.csv").write_text("path,mean_level,peak\na.wav,0.1,0.5\n")
    calibrated = command(
        "calibrate", tmp_path / "r.csv", "--out", tmp_path / "c.json", "--head", "level"
    )
    assert calibrated.code == 2
    assert "a calibration is of one head that reads features" in calibrated.errors[0]


def test_an_audit_hears_the_variants(command, write_clip, tmp_path, registered) -> None:
    registered("level", Level())
    path = write_clip(tmp_path / "a.wav", 12, sample_rate=44_100)
    out = tmp_path / "audit"
    done = command("audit", path, "--head", "level", "--variants", "gain", "--out", out)
    assert done.code == 0, done.errors
    lines = (out / "scores.jsonl").read_text().splitlines()[1:]
    peaks = {row["variant"]: row["peak"] for row in (json.loads(line)["row"] for line in lines)}
    ratio = peaks["gain -6 dB"] / peaks["original"]
    assert ratio == pytest.approx(10 ** (-6 / 20), abs=1e-3)


def test_missing_weights_of_a_waveform_scorer_say_nothing_of_a_model(monkeypatch) -> None:
    monkeypatch.setattr(feature_scorer, "HEARD_ALONE", frozenset({"level"}))
    assert not feature_scorer.reads_model(["level"])
    assert feature_scorer.reads_model(["level", "track2"])
    assert feature_scorer.reads_model([])
