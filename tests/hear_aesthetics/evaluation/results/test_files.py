"""What an evaluation leaves behind: heareval's files, the mark last, official results set aside."""

import json
import math
import os
import pickle

import numpy as np
import pytest
import torch

from hear_aesthetics.evaluation.embeddings.rows import read_rows
from hear_aesthetics.evaluation.probes.fold_result import FoldResult, Selection
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.results.files import finished, read_scores, write_results
from hear_aesthetics.evaluation.results.task_result import read_result
from hear_aesthetics.evaluation.tasks.task import load_task

SETTINGS = {"protocol": "robust", "seeds": 2}


@pytest.fixture
def task(make_embeddings):
    return load_task(make_embeddings())


def outcome(task, repetition=0, score=0.5, point=None):
    """A test that found ``score``."""
    rows = read_rows(task, ("test",))
    selection = Selection(point or GridPoint(), 0.7, 5)
    values = {"test_loss": 0.25, "test_score": score, "test_top1_acc": score}
    logits = np.full(rows.targets.shape, repetition, dtype=np.float32)
    return FoldResult("test", selection, values, rows, logits, task.prediction_type, repetition)


def test_one_run_has_the_keys_of_heareval(task):
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    scores = read_scores(task)
    assert list(scores) == ["test", "hparams", "postprocessing", "score_mode", "embedding_path"]
    assert {"test_loss", "test_score", "validation_score", "epoch", "time_in_min"} <= set(
        scores["test"]
    )
    assert (scores["score_mode"], scores["postprocessing"]) == ("max", [])
    assert scores["hparams"]["hidden_dim"] == 1024


def test_several_runs_are_aggregated_with_one_degree_of_freedom_less(task):
    write_results(task, [outcome(task, 0, 0.5), outcome(task, 1, 0.8)], SETTINGS, 2.0)
    scores = read_scores(task)
    assert list(scores)[:3] == ["test", "test.seed1", "aggregated_scores"]
    assert scores["aggregated_scores"]["test_score_mean"] == pytest.approx(0.65)
    assert scores["aggregated_scores"]["test_score_std"] == pytest.approx(
        np.std([0.5, 0.8], ddof=1)
    )


def test_undefined_scores_stand_bare_and_are_left_out_of_means(task):
    write_results(task, [outcome(task, 0, math.nan), outcome(task, 1, 0.8)], SETTINGS, 2.0)
    assert '"test_score": NaN' in (task.folder / "test.predicted-scores.json").read_text()
    aggregated = read_scores(task)["aggregated_scores"]
    assert aggregated["test_score_mean"] == 0.8
    assert math.isnan(aggregated["test_score_std"])


def test_the_most_frequent_choice_is_the_one_that_is_named(task):
    points = [GridPoint(lr=1.0), GridPoint(lr=2.0), GridPoint(lr=2.0)]
    write_results(task, [outcome(task, i, point=p) for i, p in enumerate(points)], SETTINGS, 1.0)
    assert read_scores(task)["hparams"]["lr"] == 2.0


def test_predictions_are_the_tensors_of_heareval(task):
    write_results(task, [outcome(task), outcome(task, 1)], SETTINGS, 2.0)
    found = pickle.loads((task.folder / "test.seed1.predictions.pkl").read_bytes())
    assert list(found) == ["target", "prediction", "prediction_logit"]
    assert all(isinstance(value, torch.Tensor) for value in found.values())
    assert (found["prediction_logit"] == 1).all()
    assert (found["prediction"] == 0.5).all(), "softmax of two equal logits"


def test_intervals_of_an_earlier_method_are_not_taken_for_those_of_this_one(task):
    old = {"mean": 0.5, "interval": [0.4, 0.6], "bootstrap": {"resamples": 1000}}
    write_results(task, [outcome(task)], SETTINGS, 2.0, robust=old)
    assert not finished(task, SETTINGS)
    assert read_result(task.folder).interval is None


def test_the_mark_says_what_was_run(task):
    assert not finished(task, SETTINGS)
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    assert finished(task, SETTINGS)
    assert not finished(task, SETTINGS | {"seeds": 3})
    mark = json.loads((task.folder / "prediction-done.json").read_text())
    assert (mark["time"], mark["embedding_size"]) == (2.0, 6)


def test_an_evaluation_that_fails_half_way_leaves_no_mark(task, monkeypatch):
    write_results(task, [outcome(task)], SETTINGS, 2.0, robust={"mean": 1, "method": "m"})
    failing = outcome(task, 1)
    monkeypatch.setattr(pickle, "dump", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    other = SETTINGS | {"seeds": 3}
    with pytest.raises(OSError, match="disk full"):
        write_results(task, [failing], other, 2.0)
    assert not (task.folder / "prediction-done.json").exists()
    assert not (task.folder / "test.robust-scores.json").exists(), "of other predictions"
    assert not finished(task, other)
    assert finished(task, SETTINGS), "what was finished before is still there"
    assert read_scores(task)["robust"] == {"mean": 1, "method": "m"}


def test_results_of_the_official_kit_get_another_name(task):
    official = {"test": {"test_score": 0.9}}
    (task.folder / "test.predicted-scores.json").write_text(json.dumps(official))
    (task.folder / "prediction-done.json").write_text(json.dumps({"time": 1}))
    assert not finished(task, SETTINGS)
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    kept = json.loads((task.folder / "heareval.test.predicted-scores.json").read_text())
    assert kept == official
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    assert json.loads((task.folder / "heareval.test.predicted-scores.json").read_text()) == official


def test_results_of_other_settings_lie_side_by_side_and_come_back(task):
    official = {"protocol": "official"}
    write_results(task, [outcome(task, 0, 0.4)], SETTINGS, 2.0, robust={"mean": 0.4, "method": "m"})
    write_results(task, [outcome(task, 1, 0.8)], official, 2.0)
    assert read_scores(task)["test.seed1"]["test_score"] == 0.8
    assert "robust" not in read_scores(task)
    assert finished(task, SETTINGS)
    assert read_scores(task)["robust"] == {"mean": 0.4, "method": "m"}
    assert not list(task.folder.glob("test.seed1.predictions.pkl"))
    assert finished(task, official)
    assert read_scores(task)["test.seed1"]["test_score"] == 0.8
    assert (task.folder / "test.seed1.predictions.pkl").is_file()


@pytest.mark.parametrize("name", ["test.embeddings.npy", "train.target-labels.pkl"])
def test_results_of_other_embeddings_are_not_those_of_these(task, name):
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    write_results(task, [outcome(task)], {"protocol": "official"}, 2.0)
    path = task.folder / name
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, 1))
    assert not finished(task, {"protocol": "official"})
    assert not finished(task, SETTINGS)


@pytest.mark.parametrize("kept", ["scores", "mark"])
def test_half_of_a_result_is_no_result(task, kept):
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    write_results(task, [outcome(task)], {"protocol": "official"}, 2.0)
    end = {"scores": "prediction-done.json", "mark": "test.predicted-scores.json"}[kept]
    (aside,) = task.folder.glob(f"robust-*.{end}")
    aside.unlink()  # a run that was killed while it moved results
    assert not finished(task, SETTINGS)
    assert finished(task, {"protocol": "official"})


@pytest.mark.parametrize("mark", ["[1]", "7", '{"settings": null}'])
def test_a_mark_of_another_kind_is_no_mark(task, mark):
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    (task.folder / "prediction-done.json").write_text(mark)
    assert not finished(task, SETTINGS)
    write_results(task, [outcome(task)], SETTINGS, 2.0)
    assert finished(task, SETTINGS)
