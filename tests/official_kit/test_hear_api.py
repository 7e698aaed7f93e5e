"""``hear_aesthetics`` under the official tools: accepted, and usable up to the scores."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

import hear_aesthetics

pytestmark = [pytest.mark.official_kit, pytest.mark.slow]

MODULE = "hear_aesthetics"
RESERVATIONS = ("interval between timestamps less", "timestamps begin at", "timestamps end at")


def _assert_accepted(report: str) -> None:
    assert "Looks good!" in report, report[-2000:]
    found = [words for words in RESERVATIONS if words in report]
    assert not found, f"the validator has reservations {found}:\n{report[-3000:]}"


def _assert_learned(scores: dict, first: str) -> None:
    """The score file of a task that any representation of sound solves almost fully."""
    assert np.isfinite(scores["test"]["test_loss"])
    assert scores["test"]["test_score"] == scores["test"][f"test_{first}"]
    assert scores["test"]["test_score"] > 0.6


def test_validator_accepts_the_bundled_model(kit) -> None:
    _assert_accepted(kit.run("hear-validator", MODULE))


def test_validator_accepts_a_model_directory(kit, tiny_model: Path) -> None:
    _assert_accepted(kit.run("hear-validator", MODULE, "--model", tiny_model))


@pytest.fixture(scope="module")
def clips(kit, scene_task: Path) -> Path:
    """The clips' embeddings by the bundled model, as the official runner stores them."""
    return kit.embed(MODULE, scene_task) / "textures-1.0.0-test"


@pytest.fixture(scope="module")
def events(kit, event_task: Path) -> Path:
    """The event clips' timestamp embeddings by the bundled model."""
    return kit.embed(MODULE, event_task) / "beeps-1.0.0-test"


def test_runner_stores_what_the_api_returns(clips: Path, scene_task: Path) -> None:
    model = hear_aesthetics.load_model()
    stored = sorted((clips / "test").glob("*.embedding.npy"))
    assert len(stored) == 6
    for path in stored:
        name = path.name.removesuffix(".embedding.npy")
        audio, _ = sf.read(scene_task / clips.name / "48000/test" / name, dtype="float32")
        ours = hear_aesthetics.get_scene_embeddings(torch.from_numpy(audio)[None], model)
        np.testing.assert_allclose(np.load(path), ours[0].numpy(), rtol=1e-3, atol=1e-4)


def test_runner_scores_clips(kit, clips: Path) -> None:
    _assert_learned(kit.predict(clips, grid_points=2), "top1_acc")


def test_event_embeddings_come_every_40_ms_up_to_the_end(events: Path) -> None:
    stored = sorted((events / "test").glob("*.timestamps.json"))
    assert len(stored) == 2
    for path in stored:
        times = np.asarray(json.loads(path.read_text()))
        assert times == pytest.approx(40.0 * np.arange(len(times))), path.name
        assert 1000 - times[-1] <= 40, f"{path.name}: the last 40 ms have no embedding"


def test_runner_scores_events(kit, events: Path) -> None:
    _assert_learned(kit.predict(events), "event_onset_200ms_fms")


def test_runners_take_a_model_directory_and_options(
    kit, scene_task: Path, tiny_model: Path
) -> None:
    options = json.dumps({"layer": 6, "pooling": "mean+std", "precision": "float32"})
    out = kit.embed(MODULE, scene_task, "--model", tiny_model, "--model-options", options)
    assert out.name == f"{MODULE}-layer=6-pooling=mean-std-precision=float32"
    task = out / "textures-1.0.0-test"
    dim = json.loads((tiny_model / "muq/config.json").read_text())["encoder_dim"]
    rows, width = json.loads((task / "train.embedding-dimensions.json").read_text())
    assert (rows, width) == (12, 2 * 4 * dim), "mean and std of two sources at two scales"
    _assert_learned(kit.predict(task), "top1_acc")


def test_unknown_options_are_refused_with_the_known_ones(kit, scene_task: Path) -> None:
    with pytest.raises(AssertionError, match=r"pooling.*mean\+std"):
        kit.embed(MODULE, scene_task, "--model-options", '{"pooling": "median"}')
