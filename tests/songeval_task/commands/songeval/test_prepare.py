import json
import shutil

import pytest
import torch

from songeval_task.data.prepared import read_prepared
from songeval_task.data.splits import SPLITS
from songeval_task.features.store import FeatureStore


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_songeval):
    return write_songeval(tmp_path_factory.mktemp("songeval"))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "songeval")


def change_rows(folder, change):
    path = folder / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps(row) for row in change(rows)))


def test_a_whole_copy_is_checked_and_split(command, folder, tmp_path):
    outcome = command("songeval", "prepare", folder, "--out", tmp_path / "out")
    assert (outcome.code, outcome.errors) == (0, [])
    assert outcome.notes == ["12 songs checked"]
    assert "12 songs" in outcome.out
    assert "train 8, valid 1, test 3" in outcome.out
    assert "not the official list" in outcome.out
    prepared = read_prepared(tmp_path / "out")
    assert prepared.about["songs"] == {"train": 8, "valid": 1, "test": 3}
    assert {song.system for song in prepared.songs} == {"S0", "S1", "S2"}


def test_the_official_list_decides_and_json_is_the_description(command, folder, tmp_path):
    ids = tmp_path / "val_ids.txt"
    ids.write_text("mp3/3.mp3\nmp3/4.mp3\n")
    outcome = command(
        *("songeval", "prepare", folder, "--out", tmp_path / "out", "--json"),
        *("--validation-ids", ids, "--valid-fraction", 0.2),
    )
    about = json.loads(outcome.out)
    assert about == json.loads((tmp_path / "out/dataset.json").read_text())
    assert about["songs"] == {"train": 8, "valid": 2, "test": 2}
    assert about["validation_ids"] == str(ids)


def test_faults_are_named_and_the_rest_is_used(command, folder, tmp_path):
    (folder / "mp3/1.mp3").unlink()
    (folder / "mp3/2.mp3").write_bytes(b"no music")
    shutil.copy(folder / "mp3/3.mp3", folder / "mp3/unknown.mp3")

    def change(rows):
        rows[4]["annotation"][1].pop("Clarity")
        rows[5]["annotation"][0]["Musicality"] = 6
        rows[6]["annotation"] = []
        return [*rows, rows[7]]

    change_rows(folder, change)
    outcome = command("songeval", "prepare", folder, "--out", tmp_path / "out")
    assert outcome.code == 3
    expected = (
        "missing audio: metadata.jsonl:2: mp3/1.mp3 is not there",
        "bad rating: metadata.jsonl:5: mp3/4.mp3: rater 2 has no number for Clarity",
        "bad rating: metadata.jsonl:6: mp3/5.mp3: rater 1: Musicality 6 is outside 1 to 5",
        "unrated: metadata.jsonl:7: mp3/6.mp3 has no annotation",
        "duplicate id: metadata.jsonl:13: mp3/7.mp3 again",
        "no row: mp3/unknown.mp3",
        "unreadable audio: ",
    )
    for line in expected:
        assert sum(note.startswith(f"warning: {line}") for note in outcome.notes) == 1, line
    assert "7 songs" in outcome.out
    listed = (tmp_path / "out/problems.csv").read_text().splitlines()
    assert len(listed) == 1 + len(expected)


def test_unrated_songs_alone_are_no_fault(command, folder, tmp_path):
    change_rows(folder, lambda rows: [rows[0] | {"annotation": []}, *rows[1:]])
    outcome = command("songeval", "prepare", folder, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert read_prepared(tmp_path / "out").about["problems"] == {"unrated": 1}


def test_many_faults_of_a_kind_are_shown_in_part(command, folder, tmp_path):
    for number in range(25):
        (folder / f"mp3/x{number}.mp3").write_bytes(b"")
    outcome = command("songeval", "prepare", folder, "--out", tmp_path / "out")
    shown = [note for note in outcome.notes if note.startswith("warning: no row: ")]
    assert len(shown) == 11
    assert shown[-1] == "warning: no row: 15 more, see problems.csv"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "metadata.jsonl: not there"),
        (["songeval", "--validation-ids", "nowhere.txt"], "cannot be read"),
        (["songeval", "--test-songs", "12"], "12 of 12 songs cannot be held out"),
        (["songeval", "--valid-fraction", "0.01"], "0 of 9 songs cannot be held out"),
        (["songeval", "--systems", "nowhere.csv"], "nowhere.csv: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    command, folder, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    outcome = command("songeval", "prepare", *words, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert message in outcome.errors[0]
    assert not (tmp_path / "out").exists()


def test_features_are_exported_as_released_and_imported_again(command, whole, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    assert command("songeval", "prepare", whole, "--out", first).code == 0
    words = ("songeval", "features", first, "--out", tmp_path / "store", "--model", "mini")
    assert command(*words).code == 0
    exported = command(
        *("songeval", "prepare", whole, "--out", first, "--export-interchange", tmp_path / "store")
    )
    assert exported.code == 0
    assert "12 files exported" in exported.notes
    lists = first / "interchange"
    imported = command(
        *("songeval", "prepare", lists / "train_set.pkl", "--out", again),
        *("--validation-ids", lists / "test_set.pkl", "--valid-fraction", 0.3),
    )
    assert (imported.code, imported.notes) == (0, ["11 files imported"])
    names = {split: {song.name for song in read_prepared(again).split(split)} for split in SPLITS}
    assert names["test"] == {song.name for song in read_prepared(first).split("test")}
    assert {len(names[split]) for split in ("train", "valid")} == {6, 2}
    expected, found = (
        FeatureStore(folder).load("mp3/0.mp3", "original")[0]
        for folder in (tmp_path / "store", again / "features")
    )
    assert torch.equal(found, expected)


@pytest.mark.slow
def test_a_full_disk_is_one_line(command, folder, small_disk):
    out = small_disk(4)
    (out / "filler").write_bytes(b"x" * 4096)
    outcome = command("songeval", "prepare", folder, "--out", out / "prepared")
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "cannot take more (No space left on device)" in outcome.errors[0]
    assert not list(out.rglob("*.partial"))
    assert not (out / "prepared/dataset.json").exists()
