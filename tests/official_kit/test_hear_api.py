"""``hear_aesthetics`` under the official tools: accepted, and usable up to the scores."""

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.official_kit, pytest.mark.slow]

MODULE = "hear_aesthetics"
RESERVATIONS = ("interval between timestamps less", "timestamps begin at", "timestamps end at")
EMBEDDINGS_DONE = ".done.embeddings"


def _assert_accepted(report: str) -> None:
    assert "Looks good!" in report, report[-2000:]
    found = [words for words in RESERVATIONS if words in report]
    assert not found, f"the validator has reservations {found}:\n{report[-3000:]}"


def _assert_scored(scores: dict, first: str) -> None:
    """A complete score file of a train / valid / test task whose values make sense."""
    assert scores["score_mode"] == "max"
    assert np.isfinite(scores["test"]["test_loss"])
    assert scores["test"]["test_score"] == scores["test"][f"test_{first}"]
    assert 0 <= scores["test"]["test_score"] <= 1


def test_validator_accepts_the_bundled_model(kit) -> None:
    _assert_accepted(kit.run("hear-validator", MODULE))


def test_validator_accepts_a_model_directory(kit, tiny_model: Path) -> None:
    _assert_accepted(kit.run("hear-validator", MODULE, "--model", tiny_model))


def test_runners_score_the_bundled_model_on_clips(kit, scene_task: Path) -> None:
    task = kit.embed(MODULE, scene_task) / "textures-1.0.0-test"
    assert (task / EMBEDDINGS_DONE).is_file()
    _assert_scored(kit.predict(task, grid_points=2), "top1_acc")


def test_runners_score_a_model_directory_with_options(
    kit, scene_task: Path, tiny_model: Path
) -> None:
    options = json.dumps({"layer": 6, "pooling": "mean+std", "precision": "float32"})
    out = kit.embed(MODULE, scene_task, "--model", tiny_model, "--model-options", options)
    assert out.name == f"{MODULE}-layer=6-pooling=mean-std-precision=float32"
    task = out / "textures-1.0.0-test"
    dim = json.loads((tiny_model / "muq/config.json").read_text())["encoder_dim"]
    rows, width = json.loads((task / "train.embedding-dimensions.json").read_text())
    assert (rows, width) == (12, 2 * 4 * dim), "mean+std of two sources at two scales"
    _assert_scored(kit.predict(task), "top1_acc")


def test_event_embeddings_come_every_40_ms_up_to_the_end(kit, event_task: Path) -> None:
    task = kit.embed(MODULE, event_task) / "beeps-1.0.0-test"
    assert (task / EMBEDDINGS_DONE).is_file()
    for path in sorted((task / "test").glob("*.timestamps.json")):
        times = np.asarray(json.loads(path.read_text()))
        assert times == pytest.approx(40.0 * np.arange(len(times))), path.name
        assert 1000 - times[-1] <= 40, f"{path.name}: the last 40 ms have no embedding"


def test_unknown_options_are_refused_with_the_known_ones(kit, scene_task: Path) -> None:
    with pytest.raises(AssertionError, match=r"pooling.*mean\+std"):
        kit.embed(MODULE, scene_task, "--model-options", '{"pooling": "median"}')
