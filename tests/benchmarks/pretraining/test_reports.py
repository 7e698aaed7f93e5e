"""What reports of pretrained pairs are made of: aims, paired intervals, scores that were read."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.common import log_mel
from benchmarks.pretraining import curve, hear, probes
from benchmarks.pretraining.probes import BOTH, FUSED, MEL, RANDOM, REAL
from benchmarks.pretraining.songeval import paired
from hear_aesthetics.errors import InputError
from songeval_task.dimensions import TRACKS
from songeval_task.protocol import SongPredictions


def differences(over: list[float], mel: list[float], added: list[float]) -> dict:
    found = {}
    for index, task in enumerate(REAL):
        found[task, FUSED, RANDOM] = over[index]
        found[task, FUSED, MEL] = mel[index]
        found[task, BOTH, MEL] = added[index]
    return found


@pytest.mark.parametrize(
    ("over", "mel", "added", "met"),
    [
        ([0.03, 0.05, -0.01], [0.0, 0.1, -0.2], [0.02, 0.05, -0.1], [True, True, True]),
        ([0.03, 0.05, -0.02], [0.0, -0.1, -0.2], [0.02, 0.01, 0.0], [False, False, False]),
        ([0.02, 0.05, 0.02], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1], [False, True, True]),
    ],
)
def test_aims_are_about_two_of_three_real_tasks(over, mel, added, met) -> None:
    assert list(probes._targets(differences(over, mel, added)).values()) == met


def predictions(noise: float, seed: int) -> SongPredictions:
    rng = np.random.default_rng(7)
    track = TRACKS["track2"]
    target = rng.uniform(1, 5, size=(60, len(track.names)))
    preds = target + noise * np.random.default_rng(seed).normal(size=target.shape)
    songs = tuple(f"{i}.mp3" for i in range(60))
    return SongPredictions(songs, ("",) * 60, preds, target, track)


def test_the_interval_is_of_the_paired_difference() -> None:
    better, worse = [predictions(0.5, s) for s in (1, 2)], [predictions(2.0, s) for s in (3, 4)]
    found = paired({"mini": better, "untrained": worse}, "untrained")
    assert 0 < found.low[0] < found.estimate[0] < found.high[0]
    same = paired({"mini": better, "untrained": better}, "untrained")
    assert same.estimate[0] == 0
    assert np.isnan([same.low, same.high]).all()


@pytest.mark.parametrize(
    ("name", "of", "met"),
    [("lift", "lift", True), ("ratio", "lift", True), ("loss", "loss", False)],
)
def test_the_curve_needs_the_log_of_a_run(tmp_path: Path, name: str, of: str, met: bool) -> None:
    with pytest.raises(InputError, match=r"muq/pretraining/log\.csv is missing"):
        curve._log(tmp_path, "muq")
    path = tmp_path / "muq" / "pretraining" / "log.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("step", name), (0, 0.9), (1000, 2.5)])
    assert curve._log(tmp_path, "muq") == (of, {0: 0.9, 1000: 2.5})
    assert curve._met(of, 2.5) is met


def test_only_snapshots_of_both_sources_count(tmp_path: Path) -> None:
    for name in ("step-000100/muq", "step-000100/musicfm", "step-000200/muq"):
        (tmp_path / "snapshots" / name).mkdir(parents=True)
    assert curve._snapshots(tmp_path) == [(100, tmp_path / "snapshots" / "step-000100")]


def test_scores_are_means_over_runs() -> None:
    runs = {
        "fold00": {"test_score": 0.5, "validation_score": 0.7},
        "fold01": {"test_score": 0.7, "validation_score": 0.5},
        "aggregated_scores": {"test_score_mean": 0.9},
    }
    written = json.loads(json.dumps({**runs, "score_mode": "max"}))
    assert hear._scores(written) == pytest.approx({"valid": 0.6, "test": 0.6})


def test_the_log_mel_is_a_hear_module() -> None:
    model = log_mel.load_model()
    audio = torch.randn(2, 48_000, generator=torch.Generator().manual_seed(0)) / 4
    frames, times = log_mel.get_timestamp_embeddings(audio, model)
    assert frames.shape == (*times.shape, model.timestamp_embedding_size)
    assert torch.equal(times[0, :3], torch.tensor([0.0, 10.0, 20.0]))
    scenes = log_mel.get_scene_embeddings(audio, model)
    assert scenes.shape == (2, model.scene_embedding_size)
    torch.testing.assert_close(scenes[:, :128], frames.mean(1))
    assert log_mel.get_scene_embeddings(audio[:, :100], model).isfinite().all()
