"""From an embedding folder to its scores, by either protocol, and not twice."""

import json
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import f1_score

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation import evaluate_embeddings
from hear_aesthetics.evaluation.embeddings.module import HearModule
from hear_aesthetics.evaluation.embeddings.runner import embed_task

QUICK = {"grid": "faster", "grid_points": 2, "seeds": 2, "precision": "float32", "device": "cpu"}
PROBE = {"lr": [0.01], "max_epochs": [60], "patience": [60], "hidden_dim": [16]}
FOLDS = ["fold00", "fold01", "fold02"]


@pytest.mark.parametrize("protocol", ["robust", "official"])
@pytest.mark.parametrize("splits", [None, FOLDS])
def test_a_task_that_can_be_learned_is_learned(make_embeddings, protocol, splits):
    mode = {"splits": splits, "split_mode": "new_split_kfold"} if splits else {}
    folder = make_embeddings(**mode)
    scores = evaluate_embeddings(folder, **QUICK | {"protocol": protocol}).scores
    tests = splits or ["test"]
    assert set(tests) <= set(scores)
    assert all(scores[name]["test_top1_acc"] > 0.8 for name in tests)
    assert ("robust" in scores) == (protocol == "robust")
    assert (folder / "prediction-done.json").is_file()


def test_the_same_options_give_the_same_results(make_embeddings):
    folder = make_embeddings(noise=2.0)
    first = evaluate_embeddings(folder, **QUICK).scores
    again = evaluate_embeddings(folder, overwrite=True, **QUICK).scores
    for run in (first, again):
        for name in ("test", "test.seed1"):
            run[name].pop("time_in_min")
        for entry in run["robust"]["runs"]:
            entry.pop("time_in_min")
    assert first["test"] == again["test"]
    assert first["robust"] == again["robust"]


def test_results_of_the_same_options_are_kept(make_embeddings, files_below):
    folder = make_embeddings()
    first = evaluate_embeddings(folder, **QUICK)
    before = files_below(folder)
    assert evaluate_embeddings(folder, **QUICK) == first
    assert files_below(folder) == before
    evaluate_embeddings(folder, **QUICK | {"seeds": 1})
    assert files_below(folder) != before


def test_only_what_killed_evaluations_have_left_is_removed(make_embeddings):
    folder = make_embeddings()
    ours, theirs = (folder / f"{place}.scores.json.99.partial" for place in ("", "test/"))
    theirs.parent.mkdir()
    for leftover in (ours, theirs):
        leftover.touch()
    evaluate_embeddings(folder, **QUICK)
    assert not ours.exists()
    assert theirs.exists(), "the embedding stage looks below, once"


def test_progress_counts_fits(make_embeddings):
    seen = []
    evaluate_embeddings(make_embeddings(), **QUICK, progress=lambda *at: seen.append(at))
    assert seen[-1] == (4, 4)


def test_regression_scores_are_those_of_scipy_on_the_written_predictions(
    make_embeddings, song_scores
):
    folder = make_embeddings(rows=60, **song_scores)
    scores = evaluate_embeddings(folder, **QUICK).scores
    found = pickle.loads((folder / "test.predictions.pkl").read_bytes())
    preds, target = (found[key].double().numpy().T for key in ("prediction", "target"))
    pairs = list(zip(preds, target, strict=True))
    thresholds = song_scores["evaluation_params"]["top_tier_thresholds"]
    expected = {
        "lcc": [stats.pearsonr(*pair).statistic for pair in pairs],
        "srcc": [stats.spearmanr(*pair).statistic for pair in pairs],
        "ktau": [stats.kendalltau(*pair).statistic for pair in pairs],
        "mse": [np.mean((p - t) ** 2) for p, t in pairs],
        "tta": [f1_score(t >= c, p >= c) for (p, t), c in zip(pairs, thresholds, strict=True)],
    }
    for name, values in expected.items():
        for label, value in zip(("high", "low"), values, strict=True):
            assert scores["test"][f"test_{name}_{label}"] == pytest.approx(value, abs=1e-6)
        assert scores["test"][f"test_{name}"] == pytest.approx(np.mean(values), abs=1e-6)
    assert scores["test"]["test_score"] > 0.8


def test_shuffled_labels_leave_nothing_to_predict(make_embeddings, song_scores):
    folder = make_embeddings(rows=200, **song_scores)
    for split in ("train", "valid", "test"):
        path = folder / f"{split}.target-labels.pkl"
        labels = pickle.loads(path.read_bytes())
        np.random.default_rng(1).shuffle(labels)
        path.write_bytes(pickle.dumps(labels))
    assert abs(evaluate_embeddings(folder, **QUICK).score) < 0.2


def test_events_are_found_and_files_are_drawn(make_audio_task, make_module, tmp_path):
    times = {"high": (40.0, 120.0), "low": (40.0, 160.0)}  # each file is one tone throughout
    events = {
        split: {
            f"{split}_{i}.wav": [{"label": name, "start": times[name][0], "end": times[name][1]}]
            for i, name in enumerate(["high", "low"] * 4)
        }
        for split in ("train", "valid", "test")
    }
    decoding = {"median_filter_ms": [0], "min_duration": [0, 60]}
    grid = {"lr": [0.03], "max_epochs": [60], "patience": [60], "hidden_dim": [32]}
    params = {"event_postprocessing_grid": decoding, "task_specific_param_grid": grid}
    task = make_audio_task(
        split_labels=events,
        embedding_type="event",
        prediction_type="multilabel",
        evaluation=["event_onset_200ms_fms", "segment_1s_er"],
        evaluation_params=params,
    )
    folder = embed_task(HearModule(make_module()), task, tmp_path / "out")
    scores = evaluate_embeddings(folder, **QUICK).scores
    assert scores["test"]["test_event_onset_200ms_fms"] > 0.9
    assert scores["test"]["test_score"] == scores["test"]["test_event_onset_200ms_fms_f_measure"]
    assert scores["robust"]["left_out"] == "files"
    assert scores["postprocessing"][0] == ["median_filter_ms", 0]
    found = pickle.loads((folder / "test.predictions.pkl").read_bytes())
    assert set(found["predicted_events"]) == set(found["target_events"]) == set(events["test"])
    assert len(found["timestamp"]) == len(found["prediction"]) == 8 * 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_gives_the_embeddings_and_scores_of_the_processor(
    make_audio_task, make_module, tmp_path, precision
):
    task, name = (
        make_audio_task(evaluation_params={"task_specific_param_grid": PROBE}),
        make_module(),
    )
    found = {}
    for device in ("cpu", "cuda"):
        folder = embed_task(HearModule(name, device=device), task, tmp_path / device)
        options = QUICK | {"device": device, "precision": precision}
        found[device] = np.fromfile(folder / "test.embeddings.npy", "f4")
        assert evaluate_embeddings(folder, **options).score > 0.8
    np.testing.assert_allclose(found["cuda"], found["cpu"], rtol=1e-4, atol=1e-6)


def test_heareval_has_no_regression(make_embeddings, song_scores):
    with pytest.raises(TaskError, match="evaluate it with the robust protocol"):
        evaluate_embeddings(make_embeddings(**song_scores), **QUICK | {"protocol": "official"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "kit"}, "unknown protocol 'kit'; choose one of robust, official"),
        ({"precision": "half"}, "unknown precision 'half'; choose one of auto, float32, bfloat16"),
        ({"grid": "huge"}, "unknown grid 'huge'; choose one of default, fast, faster"),
        ({"seeds": 0}, "0 seeds; ask for at least 1"),
        ({"grid_points": 0}, "0 grid points; ask for at least 1"),
    ],
)
def test_wrong_options_list_the_right_ones(make_embeddings, options, message):
    with pytest.raises(InputError, match=message):
        evaluate_embeddings(make_embeddings(), **QUICK | options)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "train.embeddings.npy").unlink(), r"train\.embeddings\.npy: missing"),
        (
            lambda f: (f / "train.embeddings.npy").write_bytes(b"1234"),
            r"1 values, but 24 x 6 in train\.embedding-dimensions\.json",
        ),
        (lambda f: (f / "test.target-labels.pkl").unlink(), r"test\.target-labels\.pkl: missing"),
        (
            lambda f: (f / "test.target-labels.pkl").write_bytes(pickle.dumps([["high"]])),
            r"1 label lists for 24 embeddings",
        ),
        (
            lambda f: (f / "test.target-labels.pkl").write_bytes(pickle.dumps([["x"]] * 24)),
            r"row 0: label 'x' is not known",
        ),
        (
            lambda f: (f / "valid.target-labels.pkl").write_bytes(pickle.dumps(json.dumps)),
            r"valid\.target-labels\.pkl: not a list of labels .*names json.dumps",
        ),
        (
            lambda f: np.full(144, math.nan, "f4").tofile(f / "valid.embeddings.npy"),
            r"valid\.embeddings\.npy: row 0 holds NaN",
        ),
        (
            lambda f: (f / "valid.embedding-dimensions.json").write_text("[24, 5]"),
            r"embedding sizes differ between splits",
        ),
    ],
)
def test_a_broken_folder_is_one_line_with_the_file(make_embeddings, damage, message):
    folder = make_embeddings()
    damage(folder)
    with pytest.raises(TaskError, match=message) as error:
        evaluate_embeddings(folder, **QUICK)
    assert "\n" not in str(error.value)
