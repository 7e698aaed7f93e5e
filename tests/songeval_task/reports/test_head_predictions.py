"""A head on the stored features of a split: its scores, and what it says where it does not fit."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from heads import AestheticHead, AestheticHeadConfig, SongEvalBaselineConfig, SongEvalBaselineHead
from hear_aesthetics.errors import InputError
from songeval_task.data.prepared import PreparedSong, write_prepared
from songeval_task.dimensions import DIMENSIONS
from songeval_task.features.store import Entry, FeatureStore
from songeval_task.reports.head_predictions import predict_split

SMALL = {"projection_dim": 16, "dim": 16, "ffn_dim": 16, "layers": 1, "pooling_bottleneck": 8}
NAMES = [dimension.name for dimension in DIMENSIONS]


@pytest.fixture
def folders(tmp_path):
    """Twenty test songs with features in float16, and five training songs without any."""
    rng = np.random.default_rng(0)
    store = FeatureStore.create(tmp_path / "features", {"model": "tiny"})
    songs, entries = [], []
    for number in range(25):
        name, split = f"mp3/{number}.mp3", "test" if number < 20 else "train"
        rated = tuple(map(float, rng.uniform(1, 5, 5)))
        songs.append(PreparedSong(name, rated, 4, f"S{number % 3}", split, "0" * 64, 1.0))
        if split == "test":
            entries.append(Entry(name, "original", "0" * 64, 12 + number, "tiny"))
            fused = torch.tensor(rng.normal(size=(entries[-1].frames, 32))).half()
            store.write(entries[-1], {"fused": fused, "muq_06": fused[:, :16]})
    store.write_index(entries)
    write_prepared(tmp_path / "prepared", tmp_path, songs, [], {})
    return tmp_path / "prepared", tmp_path / "features"


def write_released(path, width=32, dimensions=tuple(NAMES)):
    torch.manual_seed(0)
    head = AestheticHead(AestheticHeadConfig(feature_dim=width, dimensions=dimensions, **SMALL))
    torch.save(head.published_state_dict(), path)
    return path, head.eval()


@torch.no_grad()
def test_each_song_gets_the_score_of_its_own_features_in_float32(folders, tmp_path):
    path, head = write_released(tmp_path / "track_2.pth")
    found = predict_split(str(path), *folders)
    assert (found.name, found.split) == ("track_2.pth", "test")
    store = FeatureStore(folders[1])
    for song, scores in zip(found.predictions.songs, found.predictions.preds, strict=True):
        (features,) = store.load(song, "original")
        assert scores == pytest.approx(head(features.float()[None])[0].numpy(), abs=1e-5)
    assert len(found.predictions.songs) == 20


@torch.no_grad()
def test_a_head_of_a_hidden_state_reads_that_state(folders, tmp_path):
    torch.manual_seed(0)
    head = SongEvalBaselineHead(SongEvalBaselineConfig(dim=16, ffn_dim=16, layers=1)).eval()
    head.save_pretrained(tmp_path / "baseline")
    found = predict_split(str(tmp_path / "baseline"), *folders).predictions
    (state,) = FeatureStore(folders[1]).load(found.songs[0], "original", ("muq_06",))
    assert found.preds[0] == pytest.approx(head(state.float()[None])[0].numpy(), abs=1e-5)


def test_the_command_writes_the_report_of_a_run(command, folders, tmp_path):
    path, _ = write_released(tmp_path / "track_1.pth", dimensions=("Musicality",))
    prepared, features = folders
    out = tmp_path / "report"
    given = ("--head", path, "--data", prepared, "--features", features)
    outcome = command("songeval", "evaluate", *given, "--out", out)
    assert (outcome.code, outcome.errors) == (0, [])
    assert sum("without the agreement of raters" in note for note in outcome.notes) == 1
    figures = json.loads((out / "metrics.json").read_text())
    assert (figures["track"], figures["utterance"]["count"]) == ("track1", 20)
    assert figures["system"]["count"] == 3
    page = (out / "report.md").read_text()
    assert "track_1.pth" in page
    assert "| sha256 |" in page
    table = pd.read_csv(out / "predictions.csv")
    assert len(table) == 20
    again = command(
        "songeval", "evaluate", out / "track1_pred.scp", "--data", prepared, "--out", out
    )
    assert again.code == 0
    assert pd.read_csv(out / "predictions.csv")["name"].tolist() == table["name"].tolist()


def test_predictions_and_a_head_exclude_each_other(command, folders, tmp_path):
    path, _ = write_released(tmp_path / "track_2.pth")
    prepared, features = folders
    given = ("--data", prepared, "--features", features, "--out", tmp_path / "out")
    for words in ((), (tmp_path, "--head", path), (tmp_path,)):
        outcome = command("songeval", "evaluate", *words, *given)
        assert outcome.code != 0
        assert "name either PREDICTIONS, or a head" in outcome.errors[0]
    outcome = command("songeval", "evaluate", "--head", path, "--data", prepared, "--out", tmp_path)
    assert "name --features and --data" in outcome.errors[0]


def test_a_head_that_does_not_fit_is_one_line(folders, tmp_path):
    wide, _ = write_released(tmp_path / "wide.pth", width=64)
    with pytest.raises(InputError, match=r"fused is 32 wide, wide\.pth takes 64"):
        predict_split(str(wide), *folders)
    coarse = AestheticHead(AestheticHeadConfig(feature_dim=32, downsampling=20, **SMALL))
    coarse.save_pretrained(tmp_path / "coarse")
    with pytest.raises(InputError, match=r"mp3/0\.mp3 has 12 frames, .* needs 20"):
        predict_split(str(tmp_path / "coarse"), *folders)


def test_songs_without_features_are_named(folders, tmp_path):
    path, _ = write_released(tmp_path / "track_2.pth")
    with pytest.raises(InputError, match=r"no features of mp3/20\.mp3"):
        predict_split(str(path), *folders, split="train")


def test_a_head_that_was_selected_on_the_test_songs_says_so(folders, tmp_path, command):
    _, head = write_released(tmp_path / "x.pth")
    head.save_pretrained(tmp_path / "run", {"training": {"select_on": "test"}})
    prepared, features = folders
    given = ("--head", tmp_path / "run", "--data", prepared, "--features", features)
    assert command("songeval", "evaluate", *given, "--out", tmp_path / "out").code == 0
    assert "These figures are optimistic" in (tmp_path / "out" / "report.md").read_text()
