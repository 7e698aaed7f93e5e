"""One micro-batch: what is drawn, mixed and lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from heads import AestheticHead, CMixupSampler, hybrid_loss
from songeval_task.training.batches import PaddedBatch, pad_rows
from songeval_task.training.step import Draw, MixingStep, draw_pairs


@pytest.fixture
def sampler(data):
    songs = [row.song for row in data.splits["train"]]
    return CMixupSampler(data.labels("train"), songs)


def test_partners_are_other_songs_and_every_row_is_pooled_once(data, sampler):
    rows = data.splits["train"]
    draw = draw_pairs(torch.arange(12), sampler, torch.Generator().manual_seed(0))
    assert torch.equal(draw.rows[draw.first], torch.arange(12))
    assert len(draw.rows.unique()) == len(draw.rows)
    pairs = zip(draw.rows[draw.first].tolist(), draw.rows[draw.second].tolist(), strict=True)
    assert all(rows[a].song != rows[b].song for a, b in pairs)


@pytest.mark.parametrize(("per_sample", "factors"), [(False, 1), (True, 12)])
def test_a_factor_per_micro_batch_or_per_pair(sampler, per_sample, factors):
    generator = torch.Generator().manual_seed(0)
    draw = draw_pairs(torch.arange(12), sampler, generator, per_sample=per_sample)
    assert len(draw.factor.unique()) == factors


def test_the_same_generator_draws_the_same(sampler):
    draws = [draw_pairs(torch.arange(6), sampler, torch.Generator().manual_seed(3)) for _ in "ab"]
    assert draws[0].seed == draws[1].seed
    assert all(
        torch.equal(getattr(draws[0], name), getattr(draws[1], name))
        for name in ("rows", "first", "second", "factor")
    )


def test_without_mixing_the_loss_is_that_of_the_songs_themselves(data, config, tiny_head):
    step = MixingStep(tiny_head.eval(), config)
    batch = torch.tensor([3, 0, 7, 10])  # four songs: no ties
    draw = draw_pairs(batch, None, torch.Generator())
    rows = [data.splits["train"][i] for i in batch]
    labels = data.labels("train")[batch]
    loss = step(pad_rows(data, rows, torch.float32), labels, draw)
    preds = torch.cat([tiny_head(data.load(row).float()[None]) for row in rows])
    assert loss.item() == pytest.approx(hybrid_loss(preds, labels, 0.05).item(), rel=1e-5)


@pytest.mark.parametrize("regression", ["l1", "mse"])
def test_other_regressions_can_be_chosen(data, config, tiny_head, regression):
    step = MixingStep(tiny_head.eval(), replace(config, regression=regression, rank_weight=0.0))
    rows, labels = data.splits["train"][:4], data.labels("train")[:4]
    draw = draw_pairs(torch.arange(4), None, torch.Generator())
    loss = step(pad_rows(data, rows, torch.float32), labels, draw)
    preds = torch.cat([tiny_head(data.load(row).float()[None]) for row in rows])
    gap = (preds - labels).abs() if regression == "l1" else (preds - labels).square()
    assert loss.item() == pytest.approx(gap.mean().item(), rel=1e-5)


@pytest.mark.parity
@pytest.mark.parametrize("track", [1, 2])
def test_the_step_matches_the_published_one(golden, config, track):
    prefix = str(golden / "hear_head" / f"track{track}")
    head = AestheticHead.from_pretrained(f"{prefix}.model.safetensors")
    expected = json.loads(Path(f"{prefix}.train.json").read_text())
    data = load_file(f"{prefix}.train.safetensors")
    pairs = len(data["labels_1"])
    both = torch.arange(2 * pairs)
    stacks = [PaddedBatch(torch.cat((data["features_1"], data["features_2"])), None, both)]
    factor = torch.full((pairs,), expected["mixup_lambda"])
    draw = Draw(both, both[:pairs], both[pairs:], factor, seed=0)
    labels = torch.cat((data["labels_1"], data["labels_2"]))
    for rank_weight, values in expected["by_rank_weight"].items():
        step = MixingStep(head, replace(config, rank_weight=float(rank_weight)))
        head.zero_grad()
        loss = step(stacks, labels, draw)
        loss.backward()
        assert loss.item() == pytest.approx(values["total_loss"], rel=1e-4, abs=1e-5)
        norm = torch.stack([p.grad.norm() for p in head.parameters()]).norm().item()
        assert norm == pytest.approx(values["grad_global_norm"], rel=1e-3)
