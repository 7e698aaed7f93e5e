"""Micro-batches: every row once, little padding, and padding that changes nothing."""

import pytest
import torch

from songeval_task.training.batches import epoch_batches, group_by_length, pad_rows, read_ahead
from songeval_task.training.config import SongEvalConfig, build_head
from songeval_task.training.step import pool_batches


def test_an_epoch_holds_every_row_once():
    updates = epoch_batches(30, 4, 3, torch.Generator().manual_seed(0))
    rows = torch.cat([batch for update in updates for batch in update])
    assert sorted(rows.tolist()) == list(range(30))
    assert [len(update) for update in updates] == [3, 3, 2]


def test_the_order_comes_from_the_generator():
    first, again, other = (
        torch.cat(epoch_batches(30, 30, 1, torch.Generator().manual_seed(seed))[0])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_single_last_row_is_left_out_because_it_cannot_be_ranked():
    updates = epoch_batches(9, 4, 1, torch.Generator())
    assert [len(batch) for update in updates for batch in update] == [4, 4]


@pytest.mark.parametrize(
    "lengths", [[5], [100, 100, 100], [10, 100, 95, 11, 50], list(range(1, 40))]
)
def test_groups_hold_every_place_once_and_little_padding(lengths):
    groups = group_by_length(lengths, max_padding=0.1)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        members = [lengths[place] for place in group]
        assert sum(members) >= 0.9 * max(members) * len(members)


def test_equal_lengths_need_no_mask(data):
    row = data.splits["test"][0]
    (stack,) = pad_rows(data, [row, row], torch.float32)
    assert stack.padding_mask is None
    assert stack.features.dtype == torch.float32


@torch.no_grad()
@pytest.mark.parametrize("features", ["fused", "muq_02"])
def test_songs_pool_in_stacks_as_if_alone_and_in_their_order(folders, config, features):
    from dataclasses import replace

    from songeval_task.training.data import load_data

    size = config.head_size if features == "fused" else "small"
    chosen = replace(config, features=features, head_size=size)
    data = load_data(*folders, chosen)
    head = build_head(chosen, data.width).eval()
    rows = data.splits["train"][:9]
    together = pool_batches(head, pad_rows(data, rows, torch.float32))
    alone = [head.pool(data.load(row).float()[None]) for row in rows]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)


def test_reading_ahead_keeps_the_order(data):
    rows = data.splits["train"]
    batches = [[row] for row in rows[:7]]
    with read_ahead(data, batches, torch.float32) as stacks:
        seen = [stack.features for (stack,) in stacks]
    expected = [data.load(row).float()[None] for row in rows[:7]]
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


def test_a_head_has_the_width_of_its_features():
    head = build_head(SongEvalConfig(head_size="small", features="muq_04"), 16)
    assert head.config.dim == 16
