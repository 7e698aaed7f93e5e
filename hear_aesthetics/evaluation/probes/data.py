"""Rows of one run as tensors, standardized on its training split."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import SplitRows, read_rows
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
    def fit(cls, values: NDArray[np.float32]) -> "Standardizer":
        """Measure ``(rows, dim)``, in float64."""
        mean = values.mean(axis=0, dtype=np.float64)
        std = values.std(axis=0, dtype=np.float64)
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
        - inputs: ``(rows, dim)`` in the dtype of the matrix products; targets: ``(rows, labels)``
          float32, standardized for regression
        - valid_inputs, valid_targets: likewise, of the validation split
    """

    inputs: Tensor
    targets: Tensor
    valid_inputs: Tensor
    valid_targets: Tensor
    valid: SplitRows
    standardizer: Standardizer
    target_standardizer: Standardizer | None

    def standardized(self, rows: SplitRows) -> Tensor:
        """Return another split's embeddings on the device and in the dtype of the inputs."""
        return _inputs(self.standardizer, rows).to(self.inputs.device, self.inputs.dtype)

    def predicted(self, logits: Tensor) -> Tensor:
        """Return logits on the processor, for regression in the units of the labels."""
        logits = logits.cpu()
        return logits if self.target_standardizer is None else self.target_standardizer.undo(logits)


def prepare_run(task: EmbeddedTask, run: Run, device: torch.device, dtype: torch.dtype) -> RunData:
    """Read the training and validation rows of a run.

    Raises:
        TaskError: If the stored rows are faulty, or there are fewer than two to train on.
    """
    train = read_rows(task, run.train)
    if len(train.embeddings) < 2:
        raise TaskError(
            f"{task.folder}: one training row in {', '.join(run.train)}; two are needed"
        )
    valid = read_rows(task, (run.valid,), with_times=True)
    standardizer = Standardizer.fit(train.embeddings)
    regression = task.prediction_type == "regression"
    target_standardizer = Standardizer.fit(train.targets) if regression else None
    of_targets = target_standardizer or torch.from_numpy
    inputs, valid_inputs = (
        _inputs(standardizer, rows).to(device, dtype) for rows in (train, valid)
    )
    targets, valid_targets = (of_targets(rows.targets).to(device) for rows in (train, valid))
    standardizers = standardizer, target_standardizer
    return RunData(inputs, targets, valid_inputs, valid_targets, valid, *standardizers)


def _inputs(standardizer: Standardizer, rows: SplitRows) -> Tensor:
    return standardizer(rows.embeddings).clamp_(-_LIMIT, _LIMIT)
