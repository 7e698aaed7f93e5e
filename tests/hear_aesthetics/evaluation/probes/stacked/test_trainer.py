"""Early stopping, seeds, shuffling and selection of stacked fits."""

import math

import numpy as np
import pytest
import torch

from hear_aesthetics.evaluation.probes.data import prepare_run
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.stacked.early_stopping import EarlyStopping
from hear_aesthetics.evaluation.probes.stacked.trainer import (
    FitSpec,
    _Shuffles,
    batched_logits,
    train_probes,
)
from hear_aesthetics.evaluation.tasks.task import load_task

CPU, NAN = torch.device("cpu"), math.nan
QUICK = GridPoint(hidden_dim=16, lr=1e-2, max_epochs=12, patience=9)
FOLDS = {"splits": ["f0", "f1", "f2"], "split_mode": "new_split_kfold"}


def followed(patience, validations):
    """A fit's progress after ``(score, loss)`` pairs; stops where it would."""
    progress = EarlyStopping(patience)
    for epoch, (score, loss) in enumerate(validations):
        progress.update(score, loss, epoch, ())
        if progress.finished:
            break
    return progress


def test_patience_counts_validations_without_a_better_score():
    assert followed(2, [(0.1, 1), (0.3, 1), (0.2, 1), (0.3, 1), (0.9, 1)]).epoch == 1
    assert followed(3, [(0.1, 1), (0.3, 1), (0.2, 1), (0.3, 1), (0.9, 1)]).epoch == 4


def test_equal_scores_go_to_the_lower_loss():
    assert followed(9, [(0.5, 0.8), (0.5, 0.6), (0.5, 0.7)]).epoch == 1


def test_undefined_scores_rank_last_and_cost_no_patience():
    progress = followed(1, [(NAN, 0.9), (NAN, 0.8), (NAN, 0.7), (0.0, 5.0)])
    assert progress.epoch == 3
    assert not progress.finished
    assert followed(1, [(NAN, 0.9), (NAN, NAN), (NAN, 0.7)]).epoch == 2


def test_even_a_fit_without_any_finite_value_has_a_best_epoch():
    assert followed(1, [(NAN, NAN), (NAN, math.inf)]).epoch == 0


def test_every_fit_has_a_seed_of_its_own():
    seeds = {FitSpec(r, s, i, QUICK).seed for r in range(3) for s in range(3) for i in range(3)}
    assert len(seeds) == 27
    assert FitSpec(1, 2, 0, QUICK).seed == FitSpec(1, 2, 0, GridPoint()).seed


@pytest.fixture
def folds(make_embeddings):
    """A task of three folds, and the rows of its runs."""
    task = load_task(make_embeddings(noise=1.0, **FOLDS))
    runs = enumerate(task.runs)
    return task, {i: prepare_run(task, run, CPU, torch.float32) for i, run in runs}


def order_of(batches, rows):
    """Which of ``rows`` each batch of the first member holds."""
    taken = [inputs[0] for inputs, _ in batches]
    return [[int((rows == row).all(1).nonzero()[0, 0]) for row in batch] for batch in taken]


@pytest.mark.parametrize(("batch_size", "sizes"), [(24, [24]), (10, [8, 8, 8]), (1, [2] * 12)])
def test_an_epoch_takes_every_row_once_in_a_new_order(folds, batch_size, sizes):
    point = GridPoint(batch_size=batch_size)
    jobs = [FitSpec(0, 0, i, point) for i in range(2)]
    _, data = folds
    shuffles, rows = _Shuffles(jobs, data), data[0].inputs
    first, second = (order_of(shuffles.batches(jobs), rows) for _ in range(2))
    assert [len(batch) for batch in first] == sizes
    assert sorted(np.concatenate(first)) == sorted(np.concatenate(second)) == list(range(24))
    assert first != second


def test_fits_of_one_run_share_the_order_and_runs_have_their_own_rows(folds):
    _, data = folds
    jobs = [
        FitSpec(run, repetition, i, QUICK)
        for run in (0, 1)
        for repetition in (0, 1)
        for i in (0, 1)
    ]
    ((inputs, targets),) = _Shuffles(jobs, data).batches(jobs)
    assert inputs.shape == (8, 24, 6)
    assert targets.shape == (8, 24, 2)
    assert torch.equal(inputs[0], inputs[1])
    assert not torch.equal(inputs[0], inputs[2])
    assert (inputs[4][:, None] == data[1].inputs).all(-1).any(-1).all()


def test_fits_do_not_depend_on_which_others_are_run(folds):
    task, data = folds
    jobs = [
        FitSpec(run, 0, i, GridPoint(hidden_dim=16, lr=lr, max_epochs=12, patience=p))
        for run in (0, 1)
        for i, (lr, p) in enumerate([(1e-1, 1), (1e-3, 9)])
    ]
    together = train_probes(task, jobs, data, torch.float32)
    for job, candidate in zip(jobs, together, strict=True):
        (alone,) = train_probes(task, [job], data, torch.float32)
        assert alone.selection.epoch == candidate.selection.epoch
        assert alone.selection.score == candidate.selection.score
        assert alone.loss == pytest.approx(candidate.loss, abs=1e-5)
    assert len({candidate.selection.epoch for candidate in together}) > 1


def test_fits_validated_one_by_one_are_validated_the_same(folds, monkeypatch):
    task, data = folds
    jobs = [FitSpec(run, 0, i, QUICK) for run in (0, 1) for i in range(3)]
    together = train_probes(task, jobs, data, torch.float32)
    monkeypatch.setattr("hear_aesthetics.evaluation.probes.stacked.trainer._LOGITS", 1)
    for one, other in zip(together, train_probes(task, jobs, data, torch.float32), strict=True):
        assert one.selection.epoch == other.selection.epoch
        assert one.selection.score == other.selection.score
        assert one.loss == pytest.approx(other.loss, abs=1e-6)


def test_the_weights_are_those_of_the_best_validation(folds):
    task, data = folds
    for candidate in train_probes(task, [FitSpec(0, 0, 0, QUICK)], data, torch.float32):
        logits = batched_logits(candidate.weights, [data[0].valid_inputs])[0]
        true = data[0].valid_targets.int().argmax(1)
        right = logits.argmax(1) == true
        assert float(right.float().mean()) == pytest.approx(candidate.selection.score)
        loss = torch.nn.functional.cross_entropy(logits, true)
        assert float(loss) == pytest.approx(candidate.loss, abs=1e-5)


def test_the_better_candidate_has_the_score_then_the_loss_then_the_earlier_point(folds):
    task, data = folds
    points = [QUICK, GridPoint(hidden_dim=16, lr=1e-5, max_epochs=3)]
    jobs = [FitSpec(0, 0, i, point) for i, point in enumerate(points)]
    ranks = [train_probes(task, [job], data, torch.float32)[0].rank for job in jobs]
    assert ranks[0] > ranks[1]
    assert (0.5, -0.2, 0) > (0.5, -0.3, 0)
    assert [rank[2] for rank in ranks] == [0, -1]


@pytest.mark.parametrize("by_score", [True, False])
def test_a_task_may_select_by_loss(make_embeddings, by_score):
    task = load_task(make_embeddings(noise=2.0, use_scoring_for_early_stopping=by_score))
    data = {0: prepare_run(task, task.runs[0], CPU, torch.float32)}
    (candidate,) = train_probes(task, [FitSpec(0, 0, 0, QUICK)], data, torch.float32)
    assert (candidate.selection.score == -candidate.loss) == (not by_score)


def test_predicting_in_pieces_changes_nothing(folds, monkeypatch):
    task, data = folds
    (candidate,) = train_probes(task, [FitSpec(0, 0, 0, QUICK)], data, torch.float32)
    whole = batched_logits(candidate.weights, [data[0].valid_inputs])
    monkeypatch.setattr("hear_aesthetics.evaluation.probes.stacked.trainer._ACTIVATIONS", 100)
    pieces = batched_logits(candidate.weights, [data[0].valid_inputs])
    torch.testing.assert_close(pieces, whole)
