"""Task folders that are built: HEAR's format, groups in one part, nothing built twice."""

import json

import numpy as np
import pytest

from benchmarks.representation.builders import RATE, Row
from benchmarks.representation.folders import GROUPS_FILE, load_clips, write_folder
from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.tasks.task import load_task

SETTINGS = {"source": "hear", "folder": "toy-1.0.0-full", "groups": "kit", "seconds": 0.01}


def _rows():
    for group in range(8):
        for index, label in enumerate(("kick", "snare")):
            wave = np.full(RATE // 100, (2 * group + index) / 32, np.float32)
            yield Row(f"{group} {label}", label, f"kit {group}", wave)


def test_a_folder_is_a_hear_task_whose_groups_lie_in_one_part(tmp_path):
    folder = tmp_path / "toy-1.0.0-full"
    write_folder(folder, SETTINGS, _rows(), 0)
    task = load_task(folder)
    groups = json.loads((folder / GROUPS_FILE).read_text())["groups"]
    parts = [{groups[name] for name in task.split_labels(split)} for split in task.splits]
    assert [len(part) for part in parts] == [4, 2, 2]
    assert len(set.union(*parts)) == 8
    assert all((folder / str(RATE) / name).is_file() for name in task.audio_files)


def test_clips_come_back_with_their_labels_and_groups(tmp_path):
    write_folder(tmp_path / SETTINGS["folder"], SETTINGS, _rows(), 0)
    clips = load_clips("toy", SETTINGS, tmp_path, tmp_path)
    rows = sorted(_rows())
    assert clips.labels.tolist() == [row.label for row in rows]
    assert clips.groups.tolist() == [row.group for row in rows]
    np.testing.assert_allclose(clips.waves, [row.wave for row in rows], atol=1e-4)
    some = load_clips("toy", SETTINGS | {"clips": 5}, tmp_path, tmp_path)
    assert len(some.labels) == len(some.groups) == len(some.waves) == 5


def test_two_clips_of_one_name_are_refused(tmp_path):
    with pytest.raises(TaskError, match=r"0_kick\.wav; names must be unique"):
        write_folder(tmp_path / "toy", SETTINGS, [*_rows(), *_rows()], 0)


def test_a_task_of_hear_without_its_folder_says_which_option_is_missing(tmp_path):
    with pytest.raises(TaskError, match="give the folder that holds it with --tasks"):
        load_clips("toy", SETTINGS, None, tmp_path)
