"""Training: the inner split, what is chosen on it, and that every member learns what is there."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import InputError
from hear_aesthetics.metrics.correlation import lcc
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.training.inference import Example, apply_head
from musiceval_task.training.loop import (
    INNER,
    Epoch,
    TrainingConfig,
    fit,
    inner_split,
    selection_score,
)
from musiceval_task.training.members import MEMBERS, EnsembleMember

QUICK = TrainingConfig(epochs=6, batch_size=16, learning_rate=3e-3)
SYSTEMS = ("A", "B", "C", "D")


def toy(count: int = 64, seed: int = 0) -> list[Example]:
    """Clips whose loudness is their impression; prompts whose first value is the alignment."""
    rng = torch.Generator().manual_seed(seed)
    scores = 1 + 4 * torch.rand(count, 2, generator=rng)
    noise = torch.randn(count, 14, 32, generator=rng)
    text = 0.1 * torch.randn(count, 5, 12, generator=rng)
    sign = torch.where(torch.arange(32) % 2 == 0, 1.0, -1.0)
    audio = 0.3 * noise + (scores[:, :1, None] - 3) * sign
    text[:, :, 0] += scores[:, 1:] - 3
    pairs = zip(audio, text, scores.tolist(), strict=True)
    return [Example(a, t, (s[0], s[1])) for a, t, s in pairs]


def clips(per_system: int = 10) -> list[MusicEvalClip]:
    return [
        MusicEvalClip(
            f"{system}_{index}", Path("x"), "p", system, "train" if index < 8 else "test", 3, 3
        )
        for system in SYSTEMS
        for index in range(per_system)
    ]


def test_the_inner_split_is_a_share_of_every_system_and_of_train_alone() -> None:
    divided = inner_split(clips(), 0.25)
    for system in SYSTEMS:
        splits = [clip.split for clip in divided if clip.system == system]
        assert (splits.count(INNER), splits.count("train"), splits.count("test")) == (2, 6, 2)
    moved = [dataclasses.replace(clip, split="train") for clip in divided if clip.split == INNER]
    assert set(moved) <= set(clips())
    assert divided == inner_split(clips(), 0.25)


def test_too_few_clips_to_split_is_an_error() -> None:
    with pytest.raises(InputError, match="too few clips to train on"):
        inner_split(clips(1), 0.25)


def test_selection_is_by_systems_and_by_clips_where_there_is_one_system() -> None:
    truth = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]])
    scores = truth[[1, 0, 3, 2]]  # wrong within each system, right between them
    assert selection_score(scores, truth, ["A", "A", "B", "B"]) == pytest.approx(1)
    assert selection_score(scores, truth, ["A"] * 4) == pytest.approx(0.6)


@pytest.mark.slow
@pytest.mark.parametrize("member", MEMBERS.values(), ids=lambda member: member.name)
def test_every_member_learns_both_scores(member: EnsembleMember) -> None:
    config = dataclasses.replace(QUICK, epochs=25)
    inner = toy(32, seed=1)
    result = fit(member, config, toy(128), inner, [SYSTEMS[i % 4] for i in range(32)], device="cpu")
    held_out = toy(48, seed=2)
    scores, _ = apply_head(result.head, held_out)
    agreement = lcc(scores, np.array([example.scores for example in held_out]))
    assert (agreement > 0.6).all(), agreement


def test_the_same_seed_gives_the_same_head_and_leaves_the_random_state() -> None:
    before = torch.random.get_rng_state()
    config = dataclasses.replace(QUICK, epochs=2)
    member, systems = MEMBERS["gaussian-1990"], [SYSTEMS[i % 4] for i in range(16)]
    runs = [fit(member, config, toy(32), toy(16, 1), systems, device="cpu") for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    first, second = (run.head.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = fit(MEMBERS["gaussian-1910"], config, toy(32), toy(16, 1), systems, device="cpu")
    assert not torch.equal(other.head.state_dict()["cross_norm.weight"], first["cross_norm.weight"])


def test_the_weights_returned_are_those_of_the_best_epoch() -> None:
    inner, systems = toy(16, 1), [SYSTEMS[i % 4] for i in range(16)]
    result = fit(MEMBERS["gaussian-1984"], QUICK, toy(32), inner, systems, device="cpu")
    scores, _ = apply_head(result.head, inner)
    truth = np.array([example.scores for example in inner])
    assert selection_score(scores, truth, systems) == result.best.inner_system_srcc
    assert result.best.inner_system_srcc == max(epoch.inner_system_srcc for epoch in result.log)
    assert [epoch.epoch for epoch in result.log] == list(range(1, QUICK.epochs + 1))


def test_among_equal_orders_of_systems_the_smaller_error_is_best() -> None:
    epochs = [Epoch(1, 0.0, 0.9, 0.5), Epoch(2, 0.0, 0.9, 0.3), Epoch(3, 0.0, 0.8, 0.1)]
    assert max(epochs, key=lambda epoch: epoch.rank).epoch == 2


def test_training_ends_when_nothing_gets_better() -> None:
    config = dataclasses.replace(QUICK, epochs=50, patience=3, learning_rate=1e-30)
    seen: list[Epoch] = []
    inner, systems = toy(16, 1), [SYSTEMS[i % 4] for i in range(16)]
    fit(
        MEMBERS["gaussian-1984"],
        config,
        toy(32),
        inner,
        systems,
        device="cpu",
        on_epoch=seen.append,
    )
    assert len(seen) == 4


def test_narrow_states_take_larger_steps() -> None:
    assert TrainingConfig().rate(1024) == 5e-5
    assert TrainingConfig().rate(128) > 5e-5
    assert TrainingConfig(learning_rate=1e-3).rate(1024) == 1e-3


def test_training_stops_at_the_first_loss_that_is_not_finite() -> None:
    clips = toy(16)
    clips[3] = dataclasses.replace(clips[3], audio=torch.full_like(clips[3].audio, torch.nan))
    with pytest.raises(InputError, match="the loss is not finite"):
        fit(MEMBERS["gaussian-1984"], QUICK, clips, toy(8), ["A", "B"] * 4, device="cpu")
