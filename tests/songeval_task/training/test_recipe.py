"""The published recipe: what it sets, and that it is the released loop to the letter."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.training import PublishedStep
from heads import CMixupSampler, list_mle
from hear_aesthetics.errors import InputError
from songeval_task.data.prepared import PreparedSong, write_prepared
from songeval_task.dimensions import DIMENSIONS
from songeval_task.features.store import Entry, FeatureStore
from songeval_task.training.batches import epoch_batches, pad_rows
from songeval_task.training.config import RECIPES, SongEvalConfig, build_head, read_config
from songeval_task.training.data import load_data
from songeval_task.training.logs import Logs, ProgressLine
from songeval_task.training.loop import Trainer, make_accelerator
from songeval_task.training.resume import RunState
from songeval_task.training.run import train_run
from songeval_task.training.step import MixingStep, draw_pairs


def published(**options) -> SongEvalConfig:
    return read_config(None, (), options, "published")


def test_a_recipe_is_over_the_defaults_and_under_all_that_is_said(tmp_path):
    assert read_config(None, (), {}) == SongEvalConfig()
    file = tmp_path / "config.json"
    file.write_text('{"patience": 3, "epochs": 7}')
    found = read_config(file, ["epochs=8"], {"select_on": "test"}, "published")
    assert (found.patience, found.epochs, found.updates) == (3, 8, "released")
    with pytest.raises(InputError, match="choose default or published"):
        read_config(None, (), {}, "paper")


def test_songs_that_select_do_not_train():
    with pytest.raises(InputError, match="hold them out"):
        replace(SongEvalConfig(), hold_out_valid=False)


def test_all_songs_train_and_no_valid_figure_is_reported(folders, config, tmp_path):
    recipe = replace(config, **RECIPES["published"], augmented=False, epochs=1)
    data = load_data(*folders, recipe)
    assert (len(data.splits["train"]), data.splits["valid"]) == (28, ())
    metrics = train_run(recipe, *folders, tmp_path / "run")
    assert "valid" not in metrics
    assert metrics["selected_on"] == "test"


def test_songs_without_the_last_version_are_refused(folders, config):
    """The set's valid songs were never augmented: they cannot train beside augmented ones."""
    with pytest.raises(InputError, match="8 songs that train have no augmented version"):
        load_data(*folders, replace(config, **RECIPES["published"]))


def test_a_last_row_alone_is_kept():
    def sizes(**options):
        updates = epoch_batches(17, 4, 2, torch.Generator().manual_seed(0), **options)
        return [[len(batch) for batch in update] for update in updates]

    assert sizes() == [[4, 4], [4, 4]]
    assert sizes(keep_single=True) == [[4, 4], [4, 4], [1]]


@pytest.mark.parametrize(("updates", "divisor"), [("mean", 1), ("released", 4)])
def test_the_gradient_of_a_short_update_is_divided(folders, config, tmp_path, updates, divisor):
    """20 songs in one micro-batch make an update of 1 where 4 were wanted."""
    config = replace(
        config,
        **{"augmented": False, "mixup": False, "batch_size": 20, "accumulation": 4},
        head_size=config.head_size.replace("dropout=0.1", "dropout=0"),
        updates=updates,
    )
    data = load_data(*folders, config)
    head = build_head(config, data.width)
    state, logs = RunState(tmp_path / "state"), Logs(tmp_path, events=False)
    trainer = Trainer(config, data, head, state, logs, make_accelerator(config))
    ((draw,),) = trainer._plan(0)
    batches = pad_rows(data, [data.splits["train"][i] for i in draw.rows], torch.float32)
    MixingStep(head, config)(batches, data.labels("train")[draw.rows], draw).backward()
    expected = torch.cat([p.grad.flatten() for p in head.parameters()]) / divisor
    head.zero_grad()
    found = []
    trainer.accelerator.clip_grad_norm_ = lambda parameters, _: found.extend(
        p.grad.flatten().clone() for p in parameters
    )
    trainer._update([draw], iter([batches]))
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-5, atol=1e-8)


def test_a_song_drawn_twice_has_two_dropout_masks(data, config):
    songs = [row.song for row in data.splits["train"]]
    sampler = CMixupSampler(data.labels("train"), songs)
    batch = torch.arange(len(songs))  # every song, so that partners come twice
    draw = draw_pairs(batch, sampler, torch.Generator().manual_seed(0), apart=True)
    once = draw_pairs(batch, sampler, torch.Generator().manual_seed(0))
    assert len(draw.rows) == 2 * len(songs) > len(once.rows)
    for place in ("first", "second"):
        assert torch.equal(draw.rows[getattr(draw, place)], once.rows[getattr(once, place)])


def test_scores_of_a_micro_batch_are_rounded_by_autocast_alone(data, config, tiny_head):
    rows, labels = data.splits["train"][:4], data.labels("train")[:4]
    draw = draw_pairs(torch.arange(4), None, torch.Generator())

    def loss(updates, half):
        step = MixingStep(tiny_head.eval(), replace(config, updates=updates, rank_weight=0.0))
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return step(pad_rows(data, rows, torch.float32), labels, draw)

    with torch.autocast("cpu", torch.bfloat16):
        preds = tiny_head.score(tiny_head.pool(*_one_batch(data, rows))).bfloat16().float()
    expected = F.smooth_l1_loss(preds, labels, beta=0.5)
    assert loss("released", half=True).item() == pytest.approx(expected.item(), abs=1e-2)
    assert loss("released", half=True) != loss("mean", half=True)
    assert torch.equal(loss("released", half=False), loss("mean", half=False))


def _one_batch(data, rows):
    songs = [data.load(row).float() for row in rows]
    lengths = torch.tensor([len(song) for song in songs])
    padded = torch.nn.utils.rnn.pad_sequence(songs, batch_first=True)
    return padded, torch.arange(padded.shape[1]) >= lengths[:, None]


def write_full_size(root, songs=80, width=4096):
    """Write a set whose songs end with a whole window of the downsampling."""
    rng = np.random.default_rng(1)
    prepared, features = root / "prepared", root / "features"
    prepared.mkdir()
    store = FeatureStore.create(features, {"model": "random"})
    rows, entries = [], []
    for number in range(songs + 2):
        split = "test" if number >= songs else "train"
        rated = tuple(rng.uniform(1.2, 4.8, len(DIMENSIONS)).tolist())
        rows.append(PreparedSong(f"mp3/{number}.mp3", rated, 4, "", split, "0" * 64, 1.0))
        entries.append(Entry(f"mp3/{number}.mp3", "original", "0" * 64, 3 * (5 + number % 4), ""))
        fused = rng.standard_normal((entries[-1].frames, width), dtype=np.float32)
        store.write(entries[-1], {"fused": torch.from_numpy(fused)})
    store.write_index(entries)
    write_prepared(prepared, root, rows, [], {})
    return prepared, features


def released_epoch(head, plan, load, labels, config):
    """The released loop, restated: padded songs, padded partners, one update per 4 losses."""
    optimizer = torch.optim.Adam(
        head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="min", factor=0.5, patience=config.plateau_patience
    )
    micro_batches = [draw for draws in plan for draw in draws]
    for number, draw in enumerate(micro_batches, start=1):
        pooled, targets = [], []
        for places in (draw.first, draw.second):
            chosen = draw.rows[places]
            songs = [load(row) for row in chosen]
            padded = torch.nn.utils.rnn.pad_sequence(songs, batch_first=True)
            lengths = torch.tensor([len(song) for song in songs])
            pooled.append(head.pool(padded, torch.arange(padded.shape[1]) >= lengths[:, None]))
            targets.append(labels[chosen])
        factor = float(draw.factor[0])
        mixed, target = (factor * a + (1 - factor) * b for a, b in (pooled, targets))
        preds = 2 * torch.tanh(head.model["fc"](mixed)) + 3
        loss = F.smooth_l1_loss(preds, target, beta=0.5) + config.ranking * list_mle(
            preds.T, target.T
        )
        loss = loss / config.accumulation
        loss.backward()
        if number % config.accumulation == 0 or number == len(micro_batches):
            torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step(loss.item())
    return optimizer.param_groups[0]["lr"]


@pytest.mark.slow
@pytest.mark.parity
def test_three_updates_of_the_published_size_are_the_released_ones(tmp_path):
    """Ten micro-batches make updates of 4, 4 and 2; the rate halves after any worse loss."""
    folders = write_full_size(tmp_path)
    config = published(
        head_size="dropout=0", epochs=1, precision="float32", plateau_patience=0, rank_weight=0.15
    )
    data = load_data(*folders, config)
    head = build_head(config, data.width)
    restated = PublishedStep(head.config)
    restated.load_state_dict(head.published_state_dict())
    state, logs = RunState(tmp_path / "state"), Logs(tmp_path, events=False)
    trainer = Trainer(config, data, head, state, logs, make_accelerator(config))
    plan = trainer._plan(0)
    assert [len(draws) for draws in plan] == [4, 4, 2]
    rows = data.splits["train"]
    rate = released_epoch(
        restated, plan, lambda row: data.load(rows[row]), data.labels("train"), config
    )
    trainer._epoch(ProgressLine(0, shown=False))
    assert trainer.schedule.optimizer.param_groups[0]["lr"] == rate < config.learning_rate
    found, expected = head.published_state_dict(), restated.state_dict()
    gap = torch.cat([(found[name] - expected[name]).abs().flatten() for name in found])
    # Adam turns a gradient of nothing but rounding into a step of any size, so a few weights part.
    assert (gap > 1e-7).float().mean() < 1e-3
    assert gap.max() < config.learning_rate
    assert gap.mean() < 1e-9
