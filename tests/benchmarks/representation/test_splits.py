"""Splits by groups, and what their differences are worth."""

import numpy as np
import pytest

from benchmarks.representation.splits import half_width, paired, paired_splits

LABELS = np.array(list("abcd") * 60)
GROUPS = np.repeat([f"g{i:02}" for i in range(24)], 10)


def _groups_of(split, groups):
    return [set(groups[part]) for part in (split.train, split.valid, split.test)]


def test_groups_are_halved_and_quartered_and_lie_in_one_part():
    splits = paired_splits(LABELS, GROUPS, 10, 1)
    for split in splits:
        train, valid, test = _groups_of(split, GROUPS)
        assert not train & valid | train & test | valid & test
        assert [len(train), len(valid), len(test)] == [12, 6, 6]
    assert len({tuple(split.test) for split in splits}) == 10


def test_every_class_is_in_every_part_when_groups_are_divided_within_classes():
    labels = np.repeat(["x", "y", "z"], 80)
    for split in paired_splits(labels, GROUPS, 10, 1, within=True):
        for part in (split.train, split.valid, split.test):
            assert set(labels[part]) == {"x", "y", "z"}
        assert not _groups_of(split, GROUPS)[0] & _groups_of(split, GROUPS)[2]


def test_shots_leave_clips_of_every_class_and_do_not_touch_the_other_parts():
    whole, few = (paired_splits(LABELS, GROUPS, 3, 1, shots=n) for n in (0, 4))
    for all_of_it, some in zip(whole, few, strict=True):
        assert np.unique(LABELS[some.train], return_counts=True)[1].tolist() == [4] * 4
        assert set(some.train) <= set(all_of_it.train)
        np.testing.assert_array_equal(some.test, all_of_it.test)


def test_the_error_of_a_difference_counts_what_splits_share():
    mean, error = paired([0.5, 0.6, 0.7, 0.8], [0.4, 0.6, 0.6, 0.6])
    assert mean == pytest.approx(0.1)
    variance = np.var([0.1, 0.0, 0.1, 0.2], ddof=1)
    assert error == pytest.approx(np.sqrt((1 / 4 + 1 / 2) * variance))
    assert half_width([0.1, 0.0, 0.1, 0.2]) == pytest.approx(3.1824463 * error)
