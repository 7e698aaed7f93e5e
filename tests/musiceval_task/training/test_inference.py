"""Batches: padding changes nothing, every prediction keeps its place."""

import dataclasses

import numpy as np
import pytest
import torch

from heads import DualBranchHead
from musiceval_task.training.inference import BATCH, Example, apply_head, pad
from musiceval_task.training.members import MEMBERS, EnsembleMember, head_config

AUDIO_DIM, TEXT_DIM = 32, 12


def examples(count: int, seed: int = 0) -> list[Example]:
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 30, (count, 2), generator=rng).tolist()
    return [
        Example(
            torch.randn(frames, AUDIO_DIM, generator=rng),
            torch.randn(tokens, TEXT_DIM, generator=rng),
            (1 + 4 * i / count, 5 - 4 * i / count),
        )
        for i, (frames, tokens) in enumerate(lengths)
    ]


def head_of(member: EnsembleMember) -> DualBranchHead:
    torch.manual_seed(0)
    config = dataclasses.replace(head_config(member, AUDIO_DIM, TEXT_DIM), ordinal_hidden=(8,))
    return DualBranchHead(config).eval()


def test_masks_are_true_where_nothing_is() -> None:
    sequences = [example.audio for example in examples(3)]
    padded, mask = pad(sequences)
    assert mask.shape == padded.shape[:2]
    for row, sequence in enumerate(sequences):
        assert (~mask[row]).sum() == len(sequence)
        assert torch.equal(padded[row, ~mask[row]], sequence)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=lambda member: member.name)
def test_a_clip_in_a_batch_is_the_clip_alone_for_every_member(member: EnsembleMember) -> None:
    some, head = examples(BATCH + 3), head_of(member)
    scores, distributions = apply_head(head, some)
    assert scores.shape == (BATCH + 3, 2)
    assert (scores >= 1).all()
    assert (scores <= 5).all()
    assert (distributions is None) == (member.target == "coral")
    for place in (0, 7, BATCH + 2):
        alone, alone_dist = apply_head(head, [some[place]])
        np.testing.assert_allclose(scores[place], alone[0], atol=1e-5)
        if distributions is not None and alone_dist is not None:
            np.testing.assert_allclose(distributions[place], alone_dist[0], atol=1e-6)
            np.testing.assert_allclose(distributions[place].sum(axis=-1), 1, atol=1e-5)


def test_half_precision_states_are_computed_in_full_precision() -> None:
    padded, _ = pad([torch.ones(3, 4).half()])
    assert padded.dtype == torch.float32
