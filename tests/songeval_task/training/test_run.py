"""Runs: what is in the folder, that it learns, and that a killed one goes on exactly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from heads import AestheticHead
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import json_text
from songeval_task.data.prepared import read_prepared, write_prepared
from songeval_task.features.store import FeatureStore
from songeval_task.reports.read_predictions import prepared_of
from songeval_task.training.config import SongEvalConfig
from songeval_task.training.data import _chosen, load_data
from songeval_task.training.loop import Trainer, make_accelerator
from songeval_task.training.predict import predict
from songeval_task.training.run import train_run
from songeval_task.uncertainty.calibration import read_calibration

OUTPUTS = ("metrics.json", "predictions.csv", "log.csv")


def as_stored(metrics: dict) -> dict:
    """Metrics as their file has them: null where an end cannot be estimated."""
    return json.loads(json_text(metrics))


FOLDER = {*OUTPUTS, "config.json", "model.safetensors", "README.md", "state", "tensorboard"}


@pytest.fixture
def run(folders, config, tmp_path):
    """A finished run and its figures."""
    out = tmp_path / "run"
    return out, train_run(config, *folders, out)


def mean_lcc(metrics):
    return metrics["test"]["utterance"]["mean"]["lcc"][0]


def test_a_run_leaves_what_the_design_says_and_learns(run):
    out, metrics = run
    assert {path.name for path in out.iterdir()} == FOLDER
    assert json.loads((out / "metrics.json").read_text()) == as_stored(metrics)
    assert mean_lcc(metrics) > 0.6
    assert metrics["test"]["system"]["count"] == 4
    assert len(pd.read_csv(out / "log.csv")) == metrics["epochs"]


def test_a_run_remembers_its_songs_whose_ratings_evaluate_needs(run, folders, tmp_path):
    assert prepared_of(run[0]) == folders[0].resolve()
    assert prepared_of(tmp_path) is None


def test_the_saved_head_gives_the_reported_predictions(run, folders):
    out, _ = run
    head = AestheticHead.from_pretrained(out)
    assert head.provenance["reads"] == "fused"
    assert head.provenance["training"]["epochs"] == 4
    assert head.provenance["features"]["model"] == "tiny"
    found = predict(head, load_data(*folders, SongEvalConfig()), "test")
    table = pd.read_csv(out / "predictions.csv")
    table = table[table["split"] == "test"]
    assert tuple(table["name"]) == found.songs
    assert found.preds == pytest.approx(table.filter(like="predicted").to_numpy(), abs=1e-5)


def test_a_finished_run_is_not_trained_again(run, folders, config):
    out, metrics = run
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert as_stored(train_run(config, *folders, out)) == as_stored(metrics)
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_of_another_run_is_refused_and_can_be_started_over(run, folders, config):
    out, _ = run
    other = replace(config, seed=1, epochs=1)
    with pytest.raises(InputError, match=r"training\.epochs was 4, now 1.*--overwrite"):
        train_run(other, *folders, out)
    assert train_run(other, *folders, out, resume=False)["epochs"] == 1


def test_a_result_of_which_nothing_says_what_made_it_is_refused(run, folders, config):
    out, metrics = run
    shutil.rmtree(out / "state")
    with pytest.raises(InputError, match=r"metrics\.json: made by another version.*--overwrite"):
        train_run(config, *folders, out)
    assert as_stored(train_run(config, *folders, out, resume=False)) == as_stored(metrics)


def test_a_run_of_other_rows_is_refused(run, folders, config, tmp_path):
    out, _ = run
    features = shutil.copytree(folders.features, tmp_path / "features")
    store = FeatureStore(features)
    store.write_index(entry for entry in store.entries() if entry.version != "aug2")
    with pytest.raises(InputError, match=r"rows\.train\.count was 60, now 40"):
        train_run(config, folders.prepared, features, out)


def test_wrong_sizes_leave_no_folder_that_refuses_right_ones(folders, config, tmp_path):
    with pytest.raises(InputError, match="head_size dim=-8"):
        train_run(replace(config, head_size="dim=-8"), *folders, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_never_takes_the_folder_that_it_learns_from(folders, config):
    for folder in folders:
        before = sorted(folder.iterdir())
        with pytest.raises(InputError, match="holds what the run learns from"):
            train_run(config, *folders, folder, resume=False)
        assert sorted(folder.iterdir()) == before


def test_versions_are_in_the_order_of_their_numbers():
    found = dict.fromkeys(("aug10", "aug2", "original"), 1)
    assert _chosen(found, "train", SongEvalConfig()) == ["original", "aug2", "aug10"]
    assert _chosen(found, "train", SongEvalConfig(last_version_only=True)) == ["aug10"]


def test_training_stops_at_the_first_loss_that_is_not_finite(folders, config, tmp_path):
    features = shutil.copytree(folders.features, tmp_path / "features")
    path = FeatureStore(features).path("mp3/30.mp3", "original")
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = {name: torch.full_like(value, torch.nan) for name, value in load_file(path).items()}
    save_file(tensors, path, header)
    with pytest.raises(InputError, match=r"run: the loss of update \d+ is not finite"):
        train_run(config, folders.prepared, features, tmp_path / "run")
    assert not (tmp_path / "run/metrics.json").exists()


def test_a_table_that_was_edited_is_noticed(folders, tmp_path):
    prepared = shutil.copytree(folders.prepared, tmp_path / "prepared")
    table = prepared / "songs.csv"
    table.write_text(table.read_text().replace("S001", "S002", 1))
    with pytest.raises(InputError, match=r"songs\.csv: changed since it was made"):
        load_data(prepared, folders.features, SongEvalConfig())


def test_the_same_seed_gives_the_same_run(run, folders, config, tmp_path):
    out, metrics = run
    assert as_stored(train_run(config, *folders, tmp_path / "again")) == as_stored(metrics)
    assert train_run(replace(config, seed=1), *folders, tmp_path / "other") != metrics
    for name in OUTPUTS:
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_run_stopped_inside_an_epoch_goes_on_exactly(run, folders, config, tmp_path, monkeypatch):
    _, metrics = run
    monkeypatch.setattr("songeval_task.training.loop.CHECKPOINT_UPDATES", 3)
    updates, update = [], Trainer._update

    def stop(self, draws, stacks):
        updates.append(len(updates))
        if len(updates) == 12:  # a checkpoint after the 9th, the 2nd epoch begins at the 8th
            raise KeyboardInterrupt
        update(self, draws, stacks)

    monkeypatch.setattr(Trainer, "_update", stop)
    with pytest.raises(KeyboardInterrupt):
        train_run(config, *folders, tmp_path / "stopped")
    monkeypatch.setattr(Trainer, "_update", update)
    assert as_stored(train_run(config, *folders, tmp_path / "stopped")) == as_stored(metrics)


def test_training_leaves_the_callers_random_numbers_alone(folders, config, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_run(replace(config, epochs=1), *folders, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "change",
    [
        {"track": "track1"},
        {"features": "muq_02", "head_size": "small"},
        {"mixup": False, "augmented": False},
        {"mixup_per_sample": True},
        {"rank_weight": 0.0, "regression": "mse"},
        {"precision": "bfloat16"},
        {"standardize": True},
    ],
    ids=lambda change: ",".join(change),
)
def test_every_variant_trains(folders, config, tmp_path, change):
    metrics = train_run(replace(config, epochs=1, **change), *folders, tmp_path / "run")
    assert metrics["updates"] > 0


def test_a_run_may_select_on_the_test_songs_after_every_update(folders, config, tmp_path):
    out = tmp_path / "run"
    metrics = train_run(
        replace(config, epochs=1, select_on="test", last_version_only=True), *folders, out
    )
    assert metrics["selected_on"] == "test"
    assert len(pd.read_csv(out / "log.csv")) == metrics["updates"]


def test_training_stops_when_the_valid_songs_stop_gaining(folders, config, tmp_path):
    still = replace(config, learning_rate=1e-12, min_learning_rate=0.0, patience=2, epochs=9)
    assert train_run(still, *folders, tmp_path / "run")["epochs"] == 3


def test_shuffled_labels_stay_with_training_and_valid_songs(data):
    shuffled = data.with_shuffled_labels(0)
    assert torch.equal(shuffled.labels("test"), data.labels("test"))
    assert not torch.equal(shuffled.labels("train"), data.labels("train"))
    by_song = {row.song: row.labels for row in shuffled.splits["train"]}
    assert all(by_song[row.song] == row.labels for row in shuffled.splits["train"])


def test_precision_is_what_was_asked_for(config):
    assert make_accelerator(replace(config, precision="bfloat16")).mixed_precision == "bf16"


def test_missing_features_are_named(folders, tmp_path):
    songs = list(read_prepared(folders.prepared).songs)
    songs[0] = replace(songs[0], name="mp3/unknown.mp3")
    write_prepared(tmp_path, tmp_path, songs, [], {})
    with pytest.raises(InputError, match=r"no features of mp3/unknown\.mp3; run `songeval feat"):
        load_data(tmp_path, folders.features, SongEvalConfig())
    with pytest.raises(InputError, match="muq_09"):
        load_data(*folders, SongEvalConfig(features="muq_09"))


def options(folders, config):
    return [
        *["-m", "songeval_task", "train", "--data", str(folders.prepared)],
        *["--features", str(folders.features), "--head-size", config.head_size],
        *["--lr", "3e-3", "--set", "precision=float32"],
    ]


@pytest.mark.slow
def test_two_processes_share_every_update_and_end_as_one_does(folders, config, tmp_path, run_in):
    """The whole run, with dropout and mix-up, is that of one process.

    60 rows are 12 micro-batches: an update of 11, and one of a single micro-batch, of which the
    second process has none. A weight whose gradient is nothing but rounding moves by a step of Adam
    in whichever direction; it changes no score.
    """
    command = ["songeval", *options(folders, config)[2:], "--epochs", "3"]
    command += ["--set", "batch_size=5", "--set", "accumulation=11", "--out"]
    run_in([*command, tmp_path / "one"])
    said = run_in([*command, tmp_path / "two"], 2)
    assert said.count("epoch") == 1, said
    one, two = (pd.read_csv(tmp_path / name / "log.csv") for name in ("one", "two"))
    assert len(one) == 3
    pd.testing.assert_frame_equal(one, two, rtol=1e-4, atol=1e-5)
    first, second = (load_file(tmp_path / n / "model.safetensors") for n in ("one", "two"))
    gaps = torch.cat([(first[name] - second[name]).abs().flatten() for name in first])
    assert (gaps < 1e-5).float().mean() > 0.99
    scores = [pd.read_csv(tmp_path / n / "predictions.csv") for n in ("one", "two")]
    pd.testing.assert_frame_equal(*scores, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_run_killed_without_warning_gives_identical_results(folders, config, tmp_path):
    command = [sys.executable, *options(folders, config)]
    command += ["--epochs", "12", "--set", "batch_size=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, "--out", str(whole)], env=environment, check=True)
    with subprocess.Popen([*command, "--out", str(killed)], env=environment) as process:
        while not (killed / "state" / "checkpoint.pt").is_file():
            assert process.poll() is None, "ended before its first checkpoint"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "metrics.json").exists()
    subprocess.run([*command, "--out", str(killed)], env=environment, check=True)
    for name in OUTPUTS:
        assert (whole / name).read_bytes() == (killed / name).read_bytes()


def test_a_run_calibrates_itself_where_enough_songs_select(tmp_path, config, write_rated_set):
    folders = write_rated_set(tmp_path, songs=100, valid=52)
    out = tmp_path / "run"
    metrics = train_run(replace(config, epochs=1), *folders, out)
    assert metrics["calibration"] == "calibration.json"
    found = read_calibration(out / "calibration.json")
    table = pd.read_csv(out / "predictions.csv")
    valid = table[table["split"] == "valid"]
    assert len(found.preds) == len(valid) == 52
    np.testing.assert_allclose(found.preds[:, 1], valid["predicted Musicality"], atol=1e-6)
    assert found.reference.points.shape[0] == 36, "training songs, without augmented versions"


def test_a_run_of_few_songs_says_why_it_is_not_calibrated(run):
    _, metrics = run
    assert metrics["calibration"] == "none: 8 rated songs calibrate nothing; give 50 or more"
