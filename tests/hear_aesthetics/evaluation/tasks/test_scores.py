"""The scores carry HEAR's names and values; official event predictions score the same."""

import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hear_aesthetics.evaluation.tasks.scores import SCORES, make_scores, named_values
from hear_aesthetics.metrics import correlation as metrics


def test_ties_go_to_the_first_class_and_chroma_ignores_the_octave():
    predictions = np.float32([[0.5, 0.5] + [0] * 22, [0] * 13 + [1] + [0] * 10])
    targets = np.zeros((2, 24), dtype=np.float32)
    targets[0, 1] = targets[1, 1] = 1
    values = named_values(
        make_scores(["top1_acc", "pitch_acc", "chroma_acc"]), predictions, targets
    )
    assert values == {"top1_acc": 0, "pitch_acc": 0, "chroma_acc": 0.5}


def test_regression_scores_name_the_mean_and_every_target():
    generator = np.random.default_rng(0)
    targets = generator.uniform(1, 5, (30, 2))
    predictions = targets + generator.normal(size=(30, 2))
    names = ["lcc", "srcc", "ktau", "mse", "tta"]
    scores = make_scores(names, ("Coherence", "Clarity"), (4.0, 3.75))
    values = named_values(scores, predictions, targets)
    lcc = metrics.lcc(predictions, targets)
    assert values["lcc"] == values["lcc_mean"] == pytest.approx(lcc.mean())
    assert values["lcc_Clarity"] == pytest.approx(lcc[1])
    expected = metrics.top_tier_f1(predictions, targets, (4.0, 3.75))
    assert values["tta_Coherence"] == pytest.approx(expected[0])
    assert [s.higher_is_better for s in scores] == [True, True, True, False, True]


def test_resampled_accuracy_is_the_share_of_drawn_rows():
    (score,) = make_scores(["top1_acc"])
    predictions, targets = np.eye(3)[[0, 1, 1]], np.eye(3)[[0, 1, 2]]
    weights = np.array([[1.0, 1, 1], [0, 0, 3], [2, 1, 0]])
    np.testing.assert_allclose(score.resampled(predictions, targets, weights), [2 / 3, 0, 1])


def test_a_label_that_vanishes_from_a_resample_leaves_the_others_to_decide():
    (score,) = make_scores(["aucroc"])
    targets = np.float32([[1, 0], [0, 1], [0, 1], [1, 0]])
    predictions = np.float32([[0.9, 0.2], [0.1, 0.8], [0.2, 0.1], [0.6, 0.4]])
    weights = np.array([[1.0, 1, 1, 1], [2, 0, 0, 2], [1, 1, 1, 1]])
    values = score.resampled(predictions, targets, weights)
    assert math.isnan(values[1])
    assert values[0] == values[2] == pytest.approx(score.values(predictions, targets)[""])


def test_undefined_labels_make_the_score_nan_or_are_left_out():
    targets = np.float32([[1, 0], [0, 0], [1, 0]])
    predictions = np.float32([[0.9, 0.2], [0.3, 0.8], [0.2, 0.1]])
    (official,) = make_scores(["aucroc"])
    (robust,) = make_scores(["aucroc"], skip_undefined=True)
    assert math.isnan(official.values(predictions, targets)[""])
    assert robust.values(predictions, targets)[""] == 0.5


def test_a_label_without_a_positive_counts_zero_officially_and_is_left_out_robustly():
    targets = np.float32([[1, 0], [0, 0], [1, 0]])
    predictions = np.float32([[0.9, 0.2], [0.1, 0.8], [0.2, 0.1]])
    (official,) = make_scores(["mAP"])
    (robust,) = make_scores(["mAP"], skip_undefined=True)
    assert official.values(predictions, targets)[""] == 0.5
    assert robust.values(predictions, targets)[""] == 1
    weights = np.array([[1.0, 1, 1], [0, 3, 0]])
    resampled = robust.resampled(predictions, targets, weights)
    assert resampled[0] == 1
    assert math.isnan(resampled[1])


@pytest.mark.parity
def test_scene_scores_equal_the_golden_ones(golden):
    folder = golden / "hear_scores"
    tensors = load_file(folder / "scene.safetensors")
    cases = json.loads((folder / "scene_expected.json").read_text())
    assert cases
    for name, case in cases.items():
        arrays = tensors[f"{name}.predictions"], tensors[f"{name}.targets"]
        for score, expected in case["metrics"].items():
            got = make_scores([score])[0].values(*arrays)[""]
            tolerance = {"abs": 0} if score.endswith("acc") else {"rel": 1e-5, "abs": 1e-6}
            assert got == pytest.approx(float(expected), nan_ok=True, **tolerance), (name, score)


@pytest.mark.parity
def test_official_event_predictions_score_as_stored(shared, tmp_path):
    pytest.importorskip("numpy", minversion="2")  # which pickled them
    import pickle

    from hear_aesthetics.evaluation.tasks.event_postprocessing import Timeline
    from hear_aesthetics.evaluation.tasks.task import load_task

    folder = shared / "hear/embeddings_melstats"
    (archive,) = folder.glob("*events*-full.tar.gz")
    name = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    task = load_task(tmp_path / name)
    rows = json.loads((task.folder / "test.filename-timestamps.json").read_text())
    timeline = Timeline([Path(path).name for path, _ in rows], [time for _, time in rows])
    target = timeline.targets(task.split_labels("test"), task.label_index)
    stored = sorted(folder.glob(f"{name}.*.predictions.tar.gz"))
    assert stored
    for predictions in stored:
        with tarfile.open(predictions) as tar:
            tar.extractall(tmp_path, filter="data")
        official = pickle.loads((tmp_path / "test.predictions.pkl").read_bytes())
        result = json.loads(
            (folder / predictions.name.replace(".predictions.tar.gz", ".json")).read_text()
        )
        events = timeline.decode(
            official["prediction"].numpy(), **dict(map(tuple, result["postprocessing"]))
        )
        assert events.as_dicts(timeline.files, task.labels) == official["predicted_events"]
        values = named_values(task.scores, events, target)
        expected = {key: result["test"][f"test_{key}"] for key in values}
        assert values == pytest.approx(expected, abs=1e-6)


def test_every_score_of_the_nineteen_tasks_is_known():
    assert {"top1_acc", "pitch_acc", "chroma_acc", "mAP", "d_prime", "aucroc"} <= set(SCORES)
