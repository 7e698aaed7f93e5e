"""Rows of one run as tensors, standardized on its training split."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import (
    SplitRows,
    embedding_blocks,
    embedding_size,
    fill_rows,
    read_rows,
    row_count,
)
from hear_aesthetics.evaluation.tasks.task import EmbeddedTask, Run

__all__ = ["RunData", "Standardizer", "prepare_run"]

_LIMIT = 10.0  # standard deviations; a dimension that barely moves in training may jump in test
_NO_SPREAD = 1e-6  # relative to the mean: a constant dimension, up to rounding


@dataclass(frozen=True)
class Standardizer:
    """Mean and standard deviation per dimension, ``(dim,)``; a constant dimension is not scaled."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, blocks: Iterable[NDArray[np.float32]]) -> "Standardizer":
        """Measure blocks ``(rows, dim)``, at least one, in float64.

        Source: Chan, Golub & LeVeque, "Algorithms for Computing the Sample Variance" (1983).
        """
        rows, mean, squares = 0, np.float64(0), np.float64(0)  # squares: of what differs from mean
        for block in blocks:
            block_mean = block.mean(axis=0, dtype=np.float64)
            gap, total = block_mean - mean, rows + len(block)
            squares = squares + np.square(block - block_mean).sum(axis=0)
            squares += np.square(gap) * (rows * len(block) / total)
            mean = mean + gap * (len(block) / total)
            rows = total
        std = np.sqrt(squares / rows)
        std[std <= _NO_SPREAD * (np.abs(mean) + _NO_SPREAD)] = 1
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(std).float())

    def __call__(self, values: NDArray[np.float32]) -> Tensor:
        """Return standardized values, float32."""
        return (torch.from_numpy(values) - self.mean).div_(self.std)

    def undo(self, values: Tensor) -> Tensor:
        """Return values in the original units."""
        return values * self.std + self.mean


@dataclass(frozen=True)
class RunData:
    """Training and validation rows that the fits of one run share.

    Shape:
        - inputs, valid_inputs: ``(rows, dim)`` in the dtype of the matrix products
        - targets, valid_targets: ``(rows, labels)`` bool, or standardized float32 for regression
    """

    inputs: Tensor
    targets: Tensor
    valid_inputs: Tensor
    valid_targets: Tensor
    valid: SplitRows
    standardizer: Standardizer
    target_standardizer: Standardizer | None

    def standardized(self, task: EmbeddedTask, split: str) -> Iterator[Tensor]:
        """Yield another split's embeddings, on the device and in the dtype of the inputs."""
        for block in embedding_blocks(task, (split,)):
            yield _inputs(self.standardizer, block).to(self.inputs.device, self.inputs.dtype)

    def without_rows(self) -> "RunData":
        """Return what a test needs, without the embeddings to train and validate on."""
        none = self.inputs.new_empty(0)
        return replace(self, inputs=none, valid_inputs=none)

    def predicted(self, logits: Tensor) -> Tensor:
        """Return logits on the processor, for regression in the units of the labels."""
        logits = logits.cpu()
        return logits if self.target_standardizer is None else self.target_standardizer.undo(logits)


def prepare_run(task: EmbeddedTask, run: Run, device: torch.device, dtype: torch.dtype) -> RunData:
    """Read the training and validation rows of a run.

    Raises:
        TaskError: If the stored rows are faulty, or there are fewer than two to train on.
    """
    if row_count(task, run.train) < 2:
        raise TaskError(
            f"{task.folder}: one training row in {', '.join(run.train)}; two are needed"
        )
    train = read_rows(task, run.train)
    valid = read_rows(task, (run.valid,), with_times=True)
    standardizer = Standardizer.fit(embedding_blocks(task, run.train))
    regression = task.prediction_type == "regression"
    target_standardizer = Standardizer.fit([train.targets]) if regression else None
    of_targets = target_standardizer or torch.from_numpy
    targets, valid_targets = (of_targets(rows.targets) for rows in (train, valid))
    del train
    inputs, valid_inputs = (
        _standardized(task, splits, standardizer, device, dtype)
        for splits in (run.train, (run.valid,))
    )
    tensors = inputs, targets.to(device), valid_inputs, valid_targets.to(device)
    return RunData(*tensors, valid, standardizer, target_standardizer)


def _standardized(
    task: EmbeddedTask,
    splits: Sequence[str],
    standardizer: Standardizer,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return the splits' embeddings in one tensor, filled block by block."""
    size = row_count(task, splits), embedding_size(task)
    inputs = torch.empty(size, device=device, dtype=dtype)
    fill_rows(inputs, (_inputs(standardizer, block) for block in embedding_blocks(task, splits)))
    return inputs


def _inputs(standardizer: Standardizer, block: NDArray[np.float32]) -> Tensor:
    return standardizer(block).clamp_(-_LIMIT, _LIMIT)
