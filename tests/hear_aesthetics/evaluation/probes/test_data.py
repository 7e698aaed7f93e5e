"""Everything is standardised on the training part, and on nothing else."""

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import read_embeddings, read_rows, write_rows
from hear_aesthetics.evaluation.probes.data import Standardizer, prepare_run
from hear_aesthetics.evaluation.tasks.task import load_task

CPU = torch.device("cpu")


def test_the_measured_values_get_mean_0_and_deviation_1():
    values = np.random.default_rng(0).normal([3, -1e3], [5, 0.1], size=(400, 2)).astype(np.float32)
    standard = Standardizer.fit([values])
    standardised = standard(values)
    torch.testing.assert_close(standardised.mean(0), torch.zeros(2), rtol=0, atol=1e-3)
    torch.testing.assert_close(standardised.std(0), torch.ones(2), rtol=0, atol=1e-2)
    torch.testing.assert_close(standard.undo(standardised), torch.from_numpy(values))


def test_a_constant_dimension_is_centred_and_not_scaled():
    values = np.full((50, 1), 0.1, dtype=np.float32)  # its float32 mean is not exactly 0.1
    standard = Standardizer.fit([values])
    assert float(standard.std) == 1
    assert float(standard(values).abs().max()) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_is_standardised_on_its_training_part(make_embeddings, dtype):
    task = load_task(make_embeddings())
    data = prepare_run(task, task.runs[0], CPU, dtype)
    assert data.inputs.dtype == data.valid_inputs.dtype == dtype
    assert data.targets.dtype == data.valid_targets.dtype == torch.bool
    tolerance = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 1e-2}
    torch.testing.assert_close(
        data.inputs.float().mean(0), torch.zeros(data.inputs.shape[1]), **tolerance
    )
    torch.testing.assert_close(torch.cat([*data.standardized(task, "valid")]), data.valid_inputs)
    expected = data.standardizer(read_embeddings(task, ("valid",))).to(dtype)
    torch.testing.assert_close(data.valid_inputs, expected)
    logits = torch.randn(3, 2)
    assert torch.equal(data.predicted(logits), logits)


def test_a_dimension_that_jumps_after_training_is_limited(make_embeddings):
    folder = make_embeddings()
    task = load_task(folder)
    rows = read_rows(task, ("valid",))
    embeddings = read_embeddings(task, ("valid",))
    embeddings[0] = 1e6
    labels = [[task.labels[i]] for i in rows.targets.argmax(1)]
    write_rows(folder, "valid", [embeddings], labels)
    data = prepare_run(task, task.runs[0], CPU, torch.float32)
    assert float(data.valid_inputs.abs().max()) == 10


def test_regression_targets_are_learned_in_deviations_and_given_in_units(
    make_embeddings, song_scores
):
    task = load_task(make_embeddings(**song_scores))
    data = prepare_run(task, task.runs[0], CPU, torch.float32)
    torch.testing.assert_close(data.targets.mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    units = torch.from_numpy(read_rows(task, ("train",)).targets)
    torch.testing.assert_close(data.predicted(data.targets), units, rtol=1e-4, atol=1e-4)


def test_a_test_needs_no_rows_of_its_training(make_embeddings, song_scores):
    task = load_task(make_embeddings(**song_scores))
    data = prepare_run(task, task.runs[0], CPU, torch.bfloat16)
    rest = data.without_rows()
    assert not any(t.untyped_storage().nbytes() for t in (rest.inputs, rest.valid_inputs))
    assert torch.equal(torch.cat([*rest.standardized(task, "valid")]), data.valid_inputs)
    logits = torch.randn(3, 2)
    assert torch.equal(rest.predicted(logits), data.predicted(logits))


def test_one_row_is_too_few(make_embeddings):
    folder = make_embeddings()
    write_rows(folder, "train", [np.zeros((1, 6), dtype=np.float32)], [["high"]])
    task = load_task(folder)
    with pytest.raises(TaskError, match="one training row in train; two are needed"):
        prepare_run(task, task.runs[0], CPU, torch.float32)


def test_measuring_in_blocks_is_measuring_at_once():
    values = np.random.default_rng(0).normal([3, -1e3], [5, 0.1], size=(401, 2)).astype(np.float32)
    whole = Standardizer.fit([values])
    pieces = Standardizer.fit(np.array_split(values, [1, 90, 400]))
    expected = values.astype(np.float64)
    for found in (whole, pieces):
        np.testing.assert_allclose(found.mean, expected.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found.std, expected.std(axis=0), rtol=1e-6)
