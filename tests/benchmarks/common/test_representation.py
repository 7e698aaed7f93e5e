"""The fixed evaluation of pretrained encoders: parts do not overlap, groups are kept together."""

import numpy as np
import pytest

from benchmarks.common import representation as representation
from benchmarks.common.representation import Split, TaskData, accuracy, difference


def test_parts_are_disjoint_and_groups_lie_in_one_part():
    groups = np.repeat([f"speaker {i}" for i in range(12)], 5)
    for split in representation._grouped(list(groups), 10):
        parts = [set(groups[part]) for part in (split.train, split.valid, split.test)]
        assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
        assert [len(part) for part in parts] == [6, 3, 3]


def test_a_hundred_training_clips_are_ten_of_each_digit():
    labels = np.arange(3000) % 10
    for split in representation._few(labels, 10):
        assert np.bincount(labels[split.train]).tolist() == [10] * 10
        assert len(set(split.train) | set(split.valid) | set(split.test)) == 100 + 500 + 1000


def test_speakers_are_held_out_in_pairs_that_differ_by_split():
    speakers = np.repeat([f"s{i}" for i in range(6)], 500)
    splits = list(representation._held_out(speakers, 20))
    held = [(*np.unique(speakers[s.valid]), *np.unique(speakers[s.test])) for s in splits]
    assert len(set(held)) == 20
    for split, pair in zip(splits, held, strict=True):
        assert len(split.train) == 1000
        assert not set(pair) & set(speakers[split.train])


def test_the_probe_finds_classes_that_are_there_and_none_that_are_not():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    split = Split(*np.split(rng.permutation(300), [150, 225]))
    noise = rng.normal(size=(300, 8))
    clear = noise + 6.0 * np.eye(3, 8)[labels]
    assert min(accuracy(clear, labels, split)) > 0.95
    assert max(accuracy(noise, labels, split)) < 0.5


def test_a_paired_difference_has_the_corrected_error():
    split = Split(np.arange(20), np.arange(20, 25), np.arange(25, 35))
    task = TaskData("x", np.zeros((35, 1)), np.zeros(35), (split,) * 4)
    mean, error = difference([0.5, 0.6, 0.7, 0.8], [0.4, 0.6, 0.6, 0.6], task)
    assert mean == pytest.approx(0.1)
    variance = np.var([0.1, 0.0, 0.1, 0.2], ddof=1)
    assert error == pytest.approx(np.sqrt((1 / 4 + 10 / 20) * variance))
