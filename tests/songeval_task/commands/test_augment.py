import subprocess

import pytest

from songeval_task.features.augmented_files import read_copies

pytestmark = pytest.mark.slow  # processes start


def test_copies_are_written_and_taken_by_features(command, prepared, tmp_path):
    words = ("songeval", "augment", prepared, "--out", tmp_path / "copies")
    outcome = command(*words, "--copies", 1, "--seed", 4)
    assert (outcome.code, outcome.notes) == (0, ["8 files written"])
    assert {(row.version, row.seed) for row in read_copies(tmp_path / "copies").values()} == {
        ("copy1", 4)
    }
    store = tmp_path / "store"
    made = command(
        *("songeval", "features", prepared, "--out", store, "--model", "mini"),
        *("--augmented", tmp_path / "copies", "--copies", 1),
    )
    assert made.code == 0
    assert "20 files stored" in made.notes
    assert len(list(store.rglob("copy1.safetensors"))) == 8


def test_the_published_protocol_says_what_it_does(command, prepared, tmp_path):
    words = ("songeval", "augment", prepared, "--out", tmp_path, "--protocol", "published")
    outcome = command(*words)
    assert outcome.code == 0
    assert "only the last is made" in outcome.notes[0]
    assert {row.version for row in read_copies(tmp_path).values()} == {"published3"}


def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on(command, prepared, small_disk):
    disk = small_disk(300)
    words = ("songeval", "augment", prepared, "--out", disk / "copies", "--copies", 1)
    outcome = command(*words)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "cannot take more (No space left on device)" in outcome.errors[0]
    assert not list(disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    assert command(*words).code == 0
    assert len(read_copies(disk / "copies")) == 8
