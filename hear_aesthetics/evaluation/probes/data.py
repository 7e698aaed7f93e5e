"""One run's rows as tensors, standardised on its training part."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings.rows import SplitRows, read_rows
from hear_aesthetics.evaluation.tasks.task import Run, Task

__all__ = ["RunData", "Standard", "prepare_run"]

_LIMIT = 10.0  # standard deviations; a dimension that barely moves in training may jump in test
_NO_SPREAD = 1e-6  # relative to the mean: a constant dimension, up to rounding


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation per dimension, ``(dim,)``; a constant dimension is not scaled."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> "Standard":
        """Measured on ``(rows, dim)``, in float64."""
        mean = values.mean(axis=0, dtype=np.float64)
        std = values.std(axis=0, dtype=np.float64)
        std[std <= _NO_SPREAD * (np.abs(mean) + _NO_SPREAD)] = 1
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(std).float())

    def __call__(self, values: NDArray[np.float32]) -> Tensor:
        """Standardised values, float32."""
        return (torch.from_numpy(values) - self.mean).div_(self.std)

    def undo(self, values: Tensor) -> Tensor:
        """Back to the original units."""
        return values * self.std + self.mean


@dataclass(frozen=True)
class RunData:
    """What the fits of one run share.

    Shape:
        - inputs: ``(rows, dim)`` in the dtype of the matrix products; targets: ``(rows, labels)``
          float32, standardised for regression
        - valid_inputs, valid_targets: likewise, of the validation split
    """

    inputs: Tensor
    targets: Tensor
    valid_inputs: Tensor
    valid_targets: Tensor
    valid: SplitRows
    standard: Standard
    target_standard: Standard | None

    def standardised(self, rows: SplitRows) -> Tensor:
        """Another split's embeddings in the place and dtype of the training inputs."""
        values = self.standard(rows.embeddings).clamp_(-_LIMIT, _LIMIT)
        return values.to(self.inputs.device, self.inputs.dtype)

    def predicted(self, logits: Tensor) -> Tensor:
        """Logits on the processor, for regression in the units of the labels."""
        logits = logits.cpu()
        return logits if self.target_standard is None else self.target_standard.undo(logits)


def prepare_run(task: Task, run: Run, device: torch.device, dtype: torch.dtype) -> RunData:
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
    standard = Standard.of(train.embeddings)
    target_standard = Standard.of(train.targets) if task.prediction_type == "regression" else None

    def inputs(rows: SplitRows) -> Tensor:
        return standard(rows.embeddings).clamp_(-_LIMIT, _LIMIT).to(device, dtype)

    def targets(rows: SplitRows) -> Tensor:
        plain = torch.from_numpy(rows.targets)
        return (target_standard(rows.targets) if target_standard else plain).to(device)

    return RunData(
        inputs(train),
        targets(train),
        inputs(valid),
        targets(valid),
        valid,
        standard,
        target_standard,
    )
