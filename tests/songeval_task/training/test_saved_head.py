"""Runs that start from a head: which weights train, what must fit, and that they go on exactly."""

from dataclasses import replace

import pytest
import torch

from heads import AestheticHead, SongEvalBaselineHead
from hear_aesthetics.errors import InputError
from songeval_task.scoring.head_scorers import load_saved_head
from songeval_task.training.config import SongEvalConfig, build_head, read_config
from songeval_task.training.data import load_data
from songeval_task.training.loop import Trainer
from songeval_task.training.predict import predict
from songeval_task.training.run import train_run
from songeval_task.training.saved_head import SavedHead

STILL = {"epochs": 1, "learning_rate": 1e-12, "min_learning_rate": 0.0}


def write_head(folder, config, seed=7, width=16):
    head = build_head(replace(config, seed=seed), width)
    head.save_pretrained(folder, {"reads": config.features})
    return folder


@pytest.fixture
def start(config, tmp_path):
    """A saved head of the configuration's sizes, of another seed."""
    return load_saved_head(write_head(tmp_path / "start", config))


def weights(folder):
    return AestheticHead.from_pretrained(folder).state_dict()


@pytest.mark.parametrize("standardize", [False, True])
def test_training_starts_from_the_weights(start, folders, config, tmp_path, standardize):
    still = replace(config, **STILL, standardize=standardize)
    train_run(still, *folders, tmp_path / "run", init=start)
    data = load_data(*folders, config)
    expected = predict(start.head, data, "test").preds
    found = predict(AestheticHead.from_pretrained(tmp_path / "run"), data, "test").preds
    assert found == pytest.approx(expected, abs=1e-4)
    train_run(still, *folders, tmp_path / "random")
    other = predict(AestheticHead.from_pretrained(tmp_path / "random"), data, "test").preds
    assert abs(other - expected).max() > 0.01


def test_the_head_that_was_given_stays_as_it_is(start, folders, config, tmp_path):
    before = start.head.fingerprint()
    train_run(replace(config, epochs=1), *folders, tmp_path / "run", init=start)
    assert start.head.fingerprint() == before
    trained = weights(tmp_path / "run")
    assert any((trained[name] != tensor).any() for name, tensor in start.head.state_dict().items())


def test_the_card_names_the_head_and_its_hash(start, folders, config, tmp_path):
    out = tmp_path / "run"
    train_run(replace(config, **STILL), *folders, out, init=start)
    made = AestheticHead.from_pretrained(out).provenance
    assert (made["init"], made["init sha256"]) == ("model.safetensors", start.sha256)
    assert start.sha256 in (out / "README.md").read_text()


def test_another_head_or_none_is_refused_and_the_same_goes_on(start, folders, config, tmp_path):
    out, still = tmp_path / "run", replace(config, **STILL)
    train_run(still, *folders, out, init=start)
    other = load_saved_head(write_head(tmp_path / "other", config, seed=8))
    with pytest.raises(InputError, match=r"made with other settings.*init\.sha256 was .*now"):
        train_run(still, *folders, out, init=other)
    with pytest.raises(InputError, match=r"init\.sha256 was .*now not recorded"):
        train_run(still, *folders, out)
    assert train_run(still, *folders, out, init=start)["epochs"] == 1


def test_a_stopped_run_goes_on_exactly(start, folders, config, tmp_path, monkeypatch):
    small = replace(config, epochs=2, standardize=True)
    train_run(small, *folders, tmp_path / "whole", init=start)
    evaluate, calls = Trainer._evaluate, []

    def stop(self, line):
        calls.append(line)
        if len(calls) == 2:
            raise KeyboardInterrupt
        evaluate(self, line)

    monkeypatch.setattr(Trainer, "_evaluate", stop)
    with pytest.raises(KeyboardInterrupt):
        train_run(small, *folders, tmp_path / "stopped", init=start)
    monkeypatch.setattr(Trainer, "_evaluate", evaluate)
    train_run(small, *folders, tmp_path / "stopped", init=start)
    whole, stopped = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert all(torch.equal(stopped[name], tensor) for name, tensor in whole.items())


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"track": "track1"},
        {"features": "muq_02", "head_size": "small"},
        {"head_size": "small"},
        {"head_size": "published"},
        {"head_size": "dim=64,layers=2,attention_heads=4,pooling_per_channel=false"},
    ],
)
def test_track_features_and_sizes_follow_from_the_head(asked, tmp_path):
    config = SongEvalConfig(**asked)
    with torch.device("meta"):
        meant = build_head(config, 16).config
    head = type(build_head(SongEvalConfig(features=config.features, head_size="small"), 16))
    small = head.__new__(head)
    torch.nn.Module.__init__(small)
    small.config, small.provenance = meant, {}
    follows = SavedHead(small, config.features, "x.pth", "").options()
    read = read_config(None, (), {}, initial=follows)
    assert (read.track, read.features) == (config.track, config.features)
    with torch.device("meta"):
        assert build_head(read, 16).config == meant
    if "head_size" in asked and asked["head_size"] in ("small", "published"):
        assert read.head_size == asked["head_size"]


def test_what_is_given_wins_over_what_follows(start):
    read = read_config(None, ["track=track1"], {"head_size": "small"}, initial=start.options())
    assert (read.track, read.head_size) == ("track1", "small")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"track": "track1"}, "dimensions of the head is"),
        ({"head_size": "small"}, "projection_dim of the head is 16, of the run 128"),
        (
            {"features": "muq_02", "head_size": "small"},
            "muq_02 train SongEvalBaselineHead",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_one_line(start, folders, config, tmp_path, changed, words):
    with pytest.raises(InputError, match=rf"^model\.safetensors: .*{words}"):
        train_run(replace(config, **changed), *folders, tmp_path / "run", init=start)
    assert not (tmp_path / "run").exists()


def test_features_of_another_width_are_one_line(folders, config, tmp_path):
    wide = load_saved_head(write_head(tmp_path / "wide", config, width=24))
    with pytest.raises(InputError, match="feature_dim of the head is 24, of the run 16"):
        train_run(config, *folders, tmp_path / "run", init=wide)


def test_a_head_of_other_dimensions_is_refused(config, tmp_path):
    head = build_head(config, 16)
    scored = AestheticHead(replace(head.config, dimensions=("Loudness", "Rhythm")))
    scored.save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match="scores Loudness, Rhythm; take a head of track1 or"):
        load_saved_head(tmp_path / "other").options()


@pytest.mark.parametrize("name", ["hear_head/track1", "hear_head/track2"])
def test_a_released_file_is_a_start(golden, tmp_path, name):
    tensors = AestheticHead.from_pretrained(golden / f"{name}.model.safetensors")
    torch.save(tensors.published_state_dict(), tmp_path / "model.pth")
    start = load_saved_head(tmp_path / "model.pth")
    config = read_config(None, (), {}, initial=start.options())
    assert config.track == name.rpartition("/")[2]
    head = start.start(config, tensors.feature_dim)
    assert all(parameter.requires_grad for parameter in head.parameters())
    assert start.head.fingerprint() == tensors.fingerprint()


def test_a_released_baseline_is_a_start(golden):
    start = load_saved_head(golden / "songeval_baseline" / "chain.model.safetensors")
    config = read_config(None, (), {}, initial=start.options())
    assert config.features == "muq_06"
    assert isinstance(start.start(config, start.head.feature_dim), SongEvalBaselineHead)


def test_the_command_takes_a_run_and_its_configuration_goes_on_to_work(
    command, start, folders, config, tmp_path
):
    def train(*words):
        given = ("--data", folders.prepared, "--features", folders.features, "--epochs", 1)
        return command("songeval", "train", *given, *words)

    out = tmp_path / "run"
    assert train("--init", tmp_path / "start", "--lr", 1e-12, "--out", out).code == 0
    trained = AestheticHead.from_pretrained(out)
    assert trained.config == start.head.config
    repeated = train("--init", tmp_path / "start", "--config", out / "config.json", "--out", out)
    assert (repeated.code, repeated.errors) == (0, [])
    scratch = train("--config", out / "config.json", "--out", tmp_path / "scratch")
    assert scratch.code == 0
    assert any("began with model.safetensors, this run with random" in n for n in scratch.notes)
    wrong = train("--init", tmp_path / "start", "--head-size", "small", "--out", tmp_path / "wrong")
    assert "of the head is 16, of the run 128" in wrong.errors[0]
    absent = train("--init", tmp_path / "absent.pth", "--out", tmp_path / "wrong")
    assert "absent.pth' is neither a head" in absent.errors[0]
