"""The recipe "published": three checkpoints that dev selects, and what ends training."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from musiceval_task.training.inference import Example, apply_head, run_head
from musiceval_task.training.loop import TrainingConfig
from musiceval_task.training.members import MEMBERS
from musiceval_task.training.objective import losses
from musiceval_task.training.released import CHECKPOINTS, ReleasedEpoch, fit_released

CONFIG = TrainingConfig(epochs=6, batch_size=8, learning_rate=3e-3, recipe="published")
SYSTEMS = [f"S{index % 4}" for index in range(20)]


def toy(count: int, seed: int) -> list[Example]:
    rng = torch.Generator().manual_seed(seed)
    scores = 1 + 4 * torch.rand(count, 2, generator=rng)
    audio = torch.randn(count, 8, 32, generator=rng) + scores[:, :1, None]
    text = torch.randn(count, 5, 12, generator=rng)
    return [
        Example(a, t[: 3 + index % 3], (s[0], s[1]), torch.ones(12))
        for index, (a, t, s) in enumerate(zip(audio, text, scores.tolist(), strict=True))
    ]


@pytest.mark.parametrize("name", ["gaussian-1984", "one-hot", "coral"])
def test_each_checkpoint_is_the_best_epoch_by_its_own_measure(name: str) -> None:
    """Recomputed from the heads that are returned."""
    dev, member = toy(20, 1), MEMBERS[name]
    fits = fit_released(member, CONFIG, toy(24, 0), dev, SYSTEMS, device="cpu")
    assert set(fits) == {"combined", "loss", "system-srcc"}
    truth = np.array([example.scores for example in dev])
    for checkpoint, fit in fits.items():
        key = CHECKPOINTS[checkpoint]
        best = [epoch for epoch in fit.log if key(epoch) == max(map(key, fit.log))]
        assert fit.best == best[0], "the first of equals"
        scores, _ = apply_head(fit.head, dev)
        means = [
            np.array([values[np.array(SYSTEMS) == s].mean(axis=0) for s in sorted(set(SYSTEMS))])
            for values in (scores, truth)
        ]
        system = [spearmanr(means[0][:, c], means[1][:, c]).statistic for c in (0, 1)]
        clips = spearmanr(scores[:, 0], truth[:, 0]).statistic
        assert fit.best.dev_system_srcc == pytest.approx(system[0])
        assert fit.best.dev_combined == pytest.approx((clips + system[1]) / 2)
        parts = []
        for batch in (dev[:16], dev[16:]):
            with torch.no_grad():
                outputs = run_head(fit.head, batch)
            scored = torch.tensor([example.scores for example in batch])
            parts.append(float(losses(outputs, scored, member.target, "published").mean()))
        assert fit.best.dev_loss == pytest.approx((16 * parts[0] + 4 * parts[1]) / 20, rel=1e-5)


def test_training_ends_when_none_of_the_three_is_reached() -> None:
    config = dataclasses.replace(CONFIG, epochs=30, patience=3, learning_rate=1e-30)
    seen: list[ReleasedEpoch] = []
    fit_released(
        MEMBERS["decoupled"],
        config,
        toy(16, 0),
        toy(20, 1),
        SYSTEMS,
        device="cpu",
        on_epoch=seen.append,
    )
    assert len(seen) == 4


def test_an_undefined_combined_score_is_never_the_best() -> None:
    odd = ReleasedEpoch(1, 0.0, 1.0, -1.0, math.nan)
    assert (
        CHECKPOINTS["combined"](odd)
        == -math.inf
        < CHECKPOINTS["combined"](dataclasses.replace(odd, dev_combined=-1.0))
    )
