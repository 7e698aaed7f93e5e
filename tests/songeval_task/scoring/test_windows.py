"""Windows: where they lie, and that a window scores like the clip that it is."""

from itertools import pairwise

import pytest
import torch

from songeval_task.scoring.head_scorers import load_demo
from songeval_task.scoring.windows import (
    attention_per_window,
    changes_without,
    disjoint_windows,
    sliding_windows,
    window_scores,
)


@pytest.fixture(scope="module")
def head():
    return load_demo().head


@pytest.fixture
def sequence(head):
    return torch.randn(2, 1300, head.feature_dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (3, [(0, 3)]),
        (30, [(0, 30)]),
        (31, [(0, 30), (10, 31)]),
        (40, [(0, 30), (10, 40)]),
        (52, [(0, 30), (10, 40), (20, 50), (30, 52)]),
    ],
)
def test_sliding_windows_reach_the_end(seconds, expected) -> None:
    windows = sliding_windows(seconds * 25)
    assert [(start / 25, stop / 25) for start, stop in windows] == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(3, [3]), (10, [10]), (14, [14]), (15, [10, 5]), (24, [10, 14]), (25, [10, 10, 5])],
)
def test_disjoint_windows_cover_all_and_leave_no_short_rest(seconds, expected) -> None:
    windows = disjoint_windows(seconds * 25)
    assert [(stop - start) / 25 for start, stop in windows] == expected
    assert windows[0][0] == 0
    assert all(stop == start for (_, stop), (start, _) in pairwise(windows))


@torch.no_grad()
def test_a_window_scores_as_a_clip_of_its_own(head, sequence, monkeypatch) -> None:
    windows = sliding_windows(sequence.shape[1])
    together = window_scores(head, sequence, windows)
    monkeypatch.setattr("songeval_task.scoring.windows.FRAMES_PER_PASS", 1)  # one by one
    one_by_one = window_scores(head, sequence, windows)
    assert together.shape == (2, len(windows), 5)
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-5)
    for index, (start, stop) in enumerate(windows):
        alone = head(sequence[:, start:stop])
        torch.testing.assert_close(together[:, index], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_leaving_a_window_out_is_scoring_without_it(head, sequence) -> None:
    sequence = sequence[:, :1260]
    windows = [(0, 300), (300, 1260)]  # multiples of three: cutting and masking agree
    changes = changes_without(head, sequence, windows)
    whole = head(sequence)
    for index, kept in enumerate((sequence[:, 300:], sequence[:, :300])):
        expected = head(kept) - whole
        torch.testing.assert_close(changes[:, index], expected, rtol=0, atol=1e-5)
    assert changes.abs().max() > 1e-4


@torch.no_grad()
def test_what_is_left_out_has_no_say(head, sequence) -> None:
    windows = disjoint_windows(sequence.shape[1])
    changed = sequence.clone()
    start, stop = windows[2]
    changed[:, start:stop] = 100.0
    without = [head(s) + changes_without(head, s, windows)[:, 2] for s in (sequence, changed)]
    torch.testing.assert_close(*without, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_clip_of_one_window_has_nothing_to_leave_out(head, sequence) -> None:
    changes = changes_without(head, sequence[:, :100], [(0, 100)])
    assert changes.shape == (2, 1, 5)
    assert changes.isnan().all()


@torch.no_grad()
def test_attention_of_windows_sums_to_one(head, sequence) -> None:
    shares = attention_per_window(head, sequence, disjoint_windows(sequence.shape[1]))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
