import subprocess

import pytest

from songeval_task.features.augmented_files import read_augmented

pytestmark = pytest.mark.slow  # processes start


def test_versions_are_written_and_taken_by_features(command, prepared, tmp_path):
    words = ("songeval", "augment", prepared, "--out", tmp_path / "files")
    outcome = command(*words, "--augmentations", 1, "--seed", 4)
    assert (outcome.code, outcome.notes) == (0, ["8 files written"])
    assert {(row.version, row.seed) for row in read_augmented(tmp_path / "files").values()} == {
        ("aug1", 4)
    }
    store = tmp_path / "store"
    made = command(
        *("songeval", "features", prepared, "--out", store, "--model", "mini"),
        *("--augmented", tmp_path / "files", "--augmentations", 1),
    )
    assert made.code == 0
    assert "20 files stored" in made.notes
    assert len(list(store.rglob("aug1.safetensors"))) == 8


def test_the_published_versions_come_with_a_warning(command, prepared, tmp_path):
    words = ("songeval", "augment", prepared, "--out", tmp_path, "--versions", "published")
    outcome = command(*words)
    assert outcome.code == 0
    assert "only the last is made" in outcome.notes[0]
    assert {row.version for row in read_augmented(tmp_path).values()} == {"published3"}


def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on(command, prepared, small_disk):
    disk = small_disk(300)
    words = ("songeval", "augment", prepared, "--out", disk / "files", "--augmentations", 1)
    outcome = command(*words)
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert "cannot take more (No space left on device)" in outcome.errors[0]
    assert not list(disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    assert command(*words).code == 0
    assert len(read_augmented(disk / "files")) == 8
