"""The official protocol decides as a plain loop with data loaders does, to the same numbers."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import read_embeddings, read_rows, write_rows
from hear_aesthetics.evaluation.probes import official
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.official import evaluate_officially
from hear_aesthetics.evaluation.tasks.task import load_task

FOLDS = {"splits": ["f2", "f0", "f1", "f3"], "split_mode": "new_split_kfold"}
POINTS = [
    GridPoint(hidden_dim=8, lr=1e-3, max_epochs=12, patience=2, batch_size=20),
    GridPoint(hidden_dim=16, hidden_layers=2, lr=1e-2, max_epochs=30, patience=3, batch_size=20),
    GridPoint(hidden_layers=0, lr=1e-2, max_epochs=7, check_val_every_n_epoch=2, batch_size=20),
]


def ignore(done, total):
    """Nobody's progress."""


def tensors(task, splits):
    """Embeddings and targets."""
    rows = read_embeddings(task, splits), read_rows(task, splits).targets.astype(np.float32)
    return [torch.from_numpy(array) for array in rows]


def plain_fit(point, train, valid):
    """Best validation accuracy, its epoch, the point and the model, step by step."""
    width, layers = train[0].shape[1], []
    gain = "linear"
    for _ in range(point.hidden_layers):
        layers.append(nn.Linear(width, point.hidden_dim))
        nn.init.xavier_uniform_(layers[-1].weight, gain=nn.init.calculate_gain(gain))
        layers += [nn.BatchNorm1d(point.hidden_dim), nn.Dropout(point.dropout), nn.ReLU()]
        width, gain = point.hidden_dim, "relu"
    layers.append(nn.Linear(width, 2))
    nn.init.xavier_uniform_(layers[-1].weight, gain=nn.init.calculate_gain(gain))
    model = nn.Sequential(*layers)
    torch.rand(64, train[0].shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=point.lr)
    train_loader, valid_loader = (
        DataLoader(
            TensorDataset(*rows),
            batch_size=point.batch_size,
        )
        for rows in (train, valid)
    )
    best, waited = None, 0
    for epoch in range(point.max_epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y.argmax(1)).backward()
            optimizer.step()
        if (epoch + 1) % point.check_val_every_n_epoch:
            continue
        model.eval()
        with torch.no_grad():
            right = [model(x).argmax(1) == y.argmax(1) for x, y in valid_loader]
        score = float(torch.cat(right).double().mean().float())
        waited += 1
        if best is None or score > best[0]:
            state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            best, waited = (score, epoch, state), 0
        if waited >= point.patience:
            break
    model.load_state_dict(best[2])
    return best[0], best[1], point, model.eval()


def plain_evaluation(task):
    """Grid on the first run, its best point on the others; then all tests."""
    torch.manual_seed(42)
    fits = []
    for run in task.runs:
        train, valid = tensors(task, run.train), tensors(task, (run.valid,))
        points = [fits[0][2]] if fits else POINTS
        fits.append(max((plain_fit(p, train, valid) for p in points), key=lambda fit: fit[0]))
    results = []
    for run, (score, epoch, point, model) in zip(task.runs, fits, strict=True):
        with torch.no_grad():
            logits = model(tensors(task, (run.test,))[0])
        results.append((run.test, score, epoch, point, logits))
    return results


@pytest.mark.parametrize("mode", [{}, FOLDS], ids=["one split", "folds"])
def test_fits_equal_a_plain_loop_draw_for_draw(make_embeddings, mode):
    task = load_task(make_embeddings(noise=2.5, rows=27, **mode))
    before = torch.get_rng_state()
    outcomes = evaluate_officially(task, POINTS, ignore)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers are left alone"
    for outcome, expected in zip(outcomes, plain_evaluation(task), strict=True):
        chosen = outcome.selection
        found = (outcome.split, chosen.score, chosen.epoch, chosen.point)
        assert found == expected[:4]
        np.testing.assert_allclose(outcome.logits, expected[4].numpy(), rtol=0, atol=1e-5)


def test_progress_counts_the_grid_and_the_other_folds(make_embeddings):
    seen = []
    task = load_task(make_embeddings(**FOLDS))
    evaluate_officially(task, POINTS, lambda *numbers: seen.append(numbers))
    assert seen == [(i, 6) for i in range(1, 7)]


def scripted(monkeypatch, *scores):
    """Validations find these scores instead of their own; returns what was asked for."""
    remaining = list(scores)
    monkeypatch.setattr(official, "_validate", lambda *_: (remaining.pop(0), ()))
    return remaining


LONG = GridPoint(hidden_layers=0, max_epochs=9, check_val_every_n_epoch=1, patience=2)


@pytest.mark.parametrize(
    ("scores", "epoch", "score", "left"),
    [
        ([0.1, 0.5, math.nan, 0.9], 1, 0.5, 1),  # NaN ends a fit at once
        ([math.nan, 0.9], 0, -math.inf, 1),  # and at the first validation leaves the worst score
        ([0.1, 0.3, 0.3, 0.2, 0.9], 1, 0.3, 1),  # ties keep the earlier epoch, patience is 2
        ([0.1, 0.1, 0.2, 0.1, 0.3, 0.3, 0.3, 0.9], 4, 0.3, 1),
        ([0.1, math.inf, 0.2], 1, math.inf, 1),
    ],
)
def test_early_stopping_is_lightnings(monkeypatch, make_embeddings, scores, epoch, score, left):
    remaining = scripted(monkeypatch, *scores)
    (outcome,) = evaluate_officially(load_task(make_embeddings()), [LONG], ignore)
    assert (outcome.selection.epoch, outcome.selection.score) == (epoch, score)
    assert len(remaining) == left


def test_a_loss_is_minimised_and_nan_is_the_worst(monkeypatch, make_embeddings):
    scripted(monkeypatch, 0.5, 0.4, 0.6, 0.7)
    task = load_task(make_embeddings(use_scoring_for_early_stopping=False))
    (outcome,) = evaluate_officially(task, [LONG], ignore)
    assert (outcome.selection.epoch, outcome.selection.score) == (1, 0.4)
    scripted(monkeypatch, math.nan)
    (outcome,) = evaluate_officially(task, [LONG], ignore)
    assert outcome.selection.score == math.inf


@pytest.mark.parametrize("score", ["d_prime", "aucroc"])
def test_selection_compares_d_prime_in_float64(make_embeddings, score):
    """In float32, fits that heareval tells apart could tie."""
    task = load_task(make_embeddings(evaluation=[score], rows=40, noise=3.0))
    (outcome,) = evaluate_officially(task, POINTS[:1], ignore)
    selected = outcome.selection.score
    assert (selected == float(np.float32(selected))) is (score == "aucroc")


def test_the_first_of_equal_grid_points_wins(monkeypatch, make_embeddings):
    scripted(monkeypatch, *[0.5] * 3, *[0.5] * 3)
    points = [LONG, GridPoint(hidden_layers=0, lr=0.1, check_val_every_n_epoch=1, patience=2)]
    (outcome,) = evaluate_officially(load_task(make_embeddings()), points, ignore)
    assert outcome.selection.point == LONG


def test_post_processing_takes_the_largest_value_even_of_an_error_rate(make_task, event_labels):
    kind = {"embedding_type": "event", "prediction_type": "multilabel"}
    params = {"event_postprocessing_grid": {"median_filter_ms": [0], "min_duration": [0, 9000]}}
    folder = make_task(
        split_labels=event_labels, evaluation=["segment_1s_er"], evaluation_params=params, **kind
    )
    for split, files in event_labels.items():
        times = [(name, 20.0 * t) for name in files for t in range(10)]
        active = [[["high"], 40, 80], [["low"], 60, 160]]
        labels = [[x[0][0] for x in active if x[1] <= time <= x[2]] for _, time in times]
        codes = np.array([["high" in row, "low" in row] for row in labels], dtype=np.float32)
        write_rows(folder, split, [5 * codes], labels, times)
    point = GridPoint(hidden_layers=0, lr=0.1, max_epochs=60, patience=60)
    (outcome,) = evaluate_officially(load_task(folder), [point], ignore)
    # no event lasts nine seconds: every event is a deletion, the largest error rate there is
    assert dict(outcome.selection.postprocessing)["min_duration"] == 9000
    assert outcome.values["test_score"] == 1


def test_one_row_in_the_last_batch_is_refused_as_heareval_fails_on_it(make_embeddings):
    task = load_task(make_embeddings(rows=25))
    with pytest.raises(TaskError, match="25 training rows leave one in the last batch of 24"):
        evaluate_officially(task, [GridPoint(batch_size=24)], ignore)
    evaluate_officially(task, [GridPoint(batch_size=24, hidden_layers=0, max_epochs=3)], ignore)
