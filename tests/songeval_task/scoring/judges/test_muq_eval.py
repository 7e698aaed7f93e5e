"""MuQ-Eval as a scorer: the published preparation restated, windows, whose MuQ is used, errors."""

import json

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from heads import MuQEvalConfig, MuQEvalHead
from hear_aesthetics.audio.sinc import sinc_resample
from hear_aesthetics.backbones import MuQ
from hear_aesthetics.backbones.backbone import Backbone
from hear_aesthetics.errors import CheckpointError, InputError, WeightsUnavailableError
from songeval_task import AestheticScorer
from songeval_task.scoring.head_scorers import load_head_scorer
from songeval_task.scoring.judges import muq_copy
from songeval_task.scoring.judges.muq_eval import WINDOW, MuQEvalScorer

BATCH_NORM = "encoder.encoder.model.conformer.layers.3.conv_module.batch_norm.running_mean"
EXACT = {"precision": "float32", "device": "cpu"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hashes and comparisons of other tests are not remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def save_muq_eval(golden, tmp_path):
    """Writes a small one as published, with the fixtures' MuQ; None leaves a tensor out."""

    def save(folder="muq-eval", **changed):
        muq = load_file(golden / "muq_tiny" / "model.safetensors")
        dim = muq["model.conformer.layer_norm.weight"].shape[0]
        torch.manual_seed(7)
        head = MuQEvalHead(MuQEvalConfig(dim=dim, attention_dim=8, hidden_dim=6))
        tensors = {f"encoder.encoder.{name}": tensor for name, tensor in muq.items()}
        tensors |= {**head.published_state_dict(), **changed}
        path = tmp_path / folder / "model_state_dict.pt"
        path.parent.mkdir(exist_ok=True)
        torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
        return path

    return save


def published_scores(path, audio, golden, begin: float | None = None) -> np.ndarray:
    """The authors' evaluation said plainly: mono, resample, centre, zeros, MuQ, head."""
    samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    waveform = torch.from_numpy(sinc_resample(samples.mean(axis=1), rate, 24_000))
    if len(waveform) >= 240_000:
        start = (len(waveform) - 240_000) // 2 if begin is None else round(begin * 24_000)
        waveform = waveform[start : start + 240_000]
    else:
        waveform = F.pad(waveform, (0, 240_000 - len(waveform)))
    muq = MuQ.from_pretrained(golden / "muq_tiny")
    tensors = {n: t for n, t in torch.load(path).items() if not n.startswith("encoder.encoder.")}
    states = muq.hidden_states(waveform[None], [12])[12]
    first, second = ("encoder.pooling.attention.0.", "encoder.pooling.attention.2.")
    energy = F.linear(states, tensors[f"{first}weight"], tensors[f"{first}bias"]).tanh()
    energy = F.linear(energy, tensors[f"{second}weight"], tensors[f"{second}bias"])
    pooled = (energy.softmax(dim=1) * states).sum(dim=1)
    scores = []
    for name in ("MI", "TA"):
        w = {key: tensors[f"heads.{name}.mlp.{key}"] for key in ("0.weight", "0.bias")}
        hidden = F.gelu(F.linear(pooled, w["0.weight"], w["0.bias"]))
        last = (tensors[f"heads.{name}.mlp.3.{kind}"] for kind in ("weight", "bias"))
        scores.append(F.linear(hidden, *last).item())
    return np.array(scores)


@pytest.fixture
def write(tmp_path, write_clip):
    """Writes a clip whose seconds differ: a slow swell over noise and tones."""

    def write(seconds, rate=24_000, channels=1):
        path = write_clip(tmp_path / f"{seconds}_{rate}_{channels}.wav", seconds, 3, rate)
        samples = soundfile.read(path, dtype="float32")[0]
        swell = np.linspace(0.1, 1, len(samples), dtype="float32")[:, None]
        soundfile.write(path, samples[:, None] * swell ** np.arange(1, channels + 1), rate)
        return path

    return write


def loaded(path, **options) -> AestheticScorer:
    return AestheticScorer.from_pretrained(path, **EXACT, **options)


def values(scorer, audio, **options) -> np.ndarray:
    return np.array(list(scorer.score(audio, **options).values.values()))


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"),
    [
        (3, 44_100, 2),
        pytest.param(10, 24_000, 1, marks=pytest.mark.slow),
        pytest.param(13.3, 48_000, 2, marks=pytest.mark.slow),
    ],
)
def test_scores_are_those_of_the_published_evaluation(
    save_muq_eval, write, golden, seconds, rate, channels
):
    path, audio = save_muq_eval(), write(seconds, rate, channels)
    scores = loaded(path).score(audio)
    expected = published_scores(path, audio, golden)
    np.testing.assert_allclose(list(scores.values.values()), expected, rtol=0, atol=1e-5)
    assert list(scores.values) == ["MI", "TA"]
    assert (scores.notes, scores.model) == ({"window": "centre"}, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "begins"), [("centre", [7.5]), ("first", [0]), ("all", [0, 10, 15])]
)
def test_the_window_is_the_one_that_was_asked_for(save_muq_eval, write, golden, window, begins):
    path, audio = save_muq_eval(), write(25)
    expected = [published_scores(path, audio, golden, begin) for begin in begins]
    found = values(loaded(path, window=window), audio)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=0, atol=1e-5)
    assert np.ptp([*expected, published_scores(path, audio, golden, 3)], axis=0).max() > 1e-3


@pytest.mark.slow
def test_windows_over_time_are_means_of_ten_seconds(save_muq_eval, write, golden):
    path, audio = save_muq_eval(), write(42)
    timeline = loaded(path).score(audio, timeline=True).timeline
    assert [(w["start"], w["end"]) for w in timeline] == [(0, 30), (10, 40), (20, 42)]
    for window, begins in zip(timeline, ([0, 10, 20], [10, 20, 30], [20, 30, 32]), strict=True):
        expected = np.mean([published_scores(path, audio, golden, b) for b in begins], axis=0)
        np.testing.assert_allclose([window["MI"], window["TA"]], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_batch_scores_as_one_by_one(save_muq_eval, write):
    scorer = loaded(save_muq_eval(), window="all")
    batch = torch.randn(3, WINDOW + 5_000) / 8
    table = scorer.score_waveforms(batch, 24_000)
    alone = torch.cat([scorer.score_waveforms(row[None], 24_000) for row in batch])
    torch.testing.assert_close(table, alone, rtol=0, atol=1e-5)


@pytest.fixture
def encoders_loaded(monkeypatch) -> list[type]:
    """Every encoder that is made of published tensors, by its class."""
    made, real = [], Backbone.from_published.__func__
    monkeypatch.setattr(
        Backbone,
        "from_published",
        classmethod(lambda cls, *a, **k: made.append(cls) or real(cls, *a, **k)),
    )
    return made


@pytest.fixture
def beside(published_heads, tiny_model_directory):
    """Scorers of the SongEval baseline, which reads MuQ, and of a MuQ-Eval."""

    def load(path, **options):
        return AestheticScorer.from_pretrained(
            *(published_heads[2], path), model=tiny_model_directory, **EXACT, **options
        )

    return load


@pytest.mark.slow
def test_an_equal_muq_is_not_loaded_twice(save_muq_eval, write, beside, golden, encoders_loaded):
    path, audio = save_muq_eval(), write(12)
    scorer = beside(path)
    assert len(encoders_loaded) == 1
    expected = published_scores(path, audio, golden)
    np.testing.assert_allclose(values(scorer, audio)[-2:], expected, rtol=0, atol=1e-5)
    assert scorer.provenance["heads"][1]["muq"] == "the model's"
    assert scorer.model.fused.layer == 6  # the whole song is not encoded up to state 12


@pytest.mark.slow
def test_another_muq_is_loaded_beside_and_scores_as_published(
    save_muq_eval, write, beside, encoders_loaded
):
    """Frozen weights in training mode still change the statistics of batch normalization."""
    moved = torch.full_like(torch.load(save_muq_eval())[BATCH_NORM], 0.3)
    path, audio = save_muq_eval("moved", **{BATCH_NORM: moved}), write(12)
    scorer = beside(path)
    assert len(encoders_loaded) == 2
    found = values(scorer, audio)[-2:]
    np.testing.assert_allclose(found, values(loaded(path), audio), rtol=0, atol=1e-5)
    assert np.abs(found - values(loaded(save_muq_eval()), audio)).max() > 1e-4
    said = scorer.provenance["heads"][1]["muq"]
    assert said.startswith("its own, which differs from the model's: 1 of ")
    assert said.endswith("conformer.layers.3.conv_module.batch_norm.running_mean")


def test_the_files_are_compared_once(save_muq_eval, beside, monkeypatch):
    path, calls = save_muq_eval(), []
    real = muq_copy._difference
    monkeypatch.setattr(muq_copy, "_difference", lambda *a: calls.append(1) or real(*a))
    beside(path)
    beside(path)
    assert calls == [1]


def test_a_head_saved_without_its_muq_reads_that_of_the_model(
    save_muq_eval, write, golden, tmp_path, tiny_model_directory
):
    path, audio = save_muq_eval(), write(12)
    small = MuQEvalHead.from_pretrained(path).save_pretrained(tmp_path / "small")
    found = values(loaded(small, model=tiny_model_directory), audio)
    np.testing.assert_allclose(found, published_scores(path, audio, golden), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"hidden states \[12\] asked for; there are 0 to 6"):
        loaded(small, model="mini")


def test_by_name_it_needs_no_model(save_muq_eval, write, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    with pytest.raises(WeightsUnavailableError, match=r"muq-eval is not on this machine.*MIT"):
        loaded("muq-eval")
    save_muq_eval()
    scorer = loaded("muq-eval", model="large")
    assert scorer.model is None
    assert isinstance(scorer.scorer_set.scorers["muq-eval"], MuQEvalScorer)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encoder.encoder.base_model.lora_A.weight": torch.zeros(1)}, "no plain MuQ but has"),
        ({BATCH_NORM: None}, "does not fit"),
        ({"heads.TA.mlp.3.bias": None}, r"missing: heads\.TA\.mlp\.3\.bias"),
        ({"bias_heads.MI.bias.weight": torch.zeros(2, 1)}, "unexpected: bias_heads"),
    ],
)
def test_a_file_that_is_not_wholly_understood_is_refused(save_muq_eval, changed, message):
    path = save_muq_eval(**changed)
    with pytest.raises(CheckpointError, match=message) as error:
        loaded(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_the_training_checkpoint_is_refused_with_what_is_needed(tmp_path):
    (tmp_path / "best_model.pt").write_bytes(b"a pickle of more than tensors")
    for source in (tmp_path, tmp_path / "best_model.pt"):
        with pytest.raises(CheckpointError, match=r"take the model_state_dict\.pt beside it"):
            load_head_scorer(source)


@pytest.mark.parametrize("name", ["best_model.pt", "checkpoint.pt"])
def test_a_state_dict_of_ones_own_may_have_the_name_of_a_training_checkpoint(save_muq_eval, name):
    path = save_muq_eval()
    assert loaded(path.rename(path.with_name(name))).columns == ("MI", "TA")


def test_the_published_folder_is_a_head_too(save_muq_eval, tmp_path):
    path = save_muq_eval()
    name, _ = load_head_scorer(path.parent)
    assert path.name == "model_state_dict.pt"
    assert name == path.parent.name
    path.with_name("track_2.pth").write_bytes(b"another")
    with pytest.raises(CheckpointError, match=r"holds track_2\.pth and model_state_dict\.pt; name"):
        load_head_scorer(path.parent)


def test_a_truncated_file_is_refused(save_muq_eval):
    path = save_muq_eval()
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(CheckpointError, match="not a readable PyTorch checkpoint"):
        load_head_scorer(path)


@pytest.mark.slow
def test_rows_say_the_window_and_other_windows_are_never_mixed(
    command, save_muq_eval, write, tmp_path
):
    path, audio, out = save_muq_eval(), write(12), tmp_path / "out.jsonl"
    words = ("score", audio, "--head", path, "--out", out)
    assert command(*words, "--window", "all").code == 0
    row = json.loads(out.read_text())
    assert (row["window"], row["model"], row["demo"]) == ("all", None, False)
    again = command(*words)
    assert again.code == 2
    assert "window" in again.errors[0]


def test_the_column_of_a_further_head_has_its_name(save_muq_eval, beside):
    scorer_set = beside(save_muq_eval()).scorer_set
    assert scorer_set.notes == {"model_state_dict:window": "centre"}


def test_a_window_that_does_not_exist_is_refused(save_muq_eval):
    with pytest.raises(InputError, match="window is 'center'; it takes centre, first, all"):
        loaded(save_muq_eval(), window="center")


def test_a_window_without_muq_eval_is_wrong_usage(command, write):
    done = command("score", write(1), "--model", "mini", "--window", "first")
    assert done.code == 2
    assert done.errors == ["error: --window is for muq-eval; demo scores the whole song"]
