"""Hyper-parameter grids of heareval, in the order in which it tries their points."""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.tasks.task import Task

__all__ = ["GRIDS", "SEED", "GridPoint", "grid_points"]

SEED = 42


@dataclass(frozen=True)
class GridPoint:
    """Hyper-parameters of one probe: its architecture and its training.

    ``embedding_norm``, ``hidden_norm`` and ``optim`` have one choice each; they are named because
    they take part in the order of the grid.
    """

    batch_size: int = 1024
    check_val_every_n_epoch: int = 3
    dropout: float = 0.1
    embedding_norm: str = "Identity"
    hidden_dim: int = 1024
    hidden_layers: int = 1
    hidden_norm: str = "BatchNorm1d"
    initialization: str = "xavier_uniform_"
    lr: float = 1e-3
    max_epochs: int = 500
    norm_after_activation: bool = False
    optim: str = "Adam"
    patience: int = 20

    def describe(self) -> str:
        """Return the choices that the default grids vary, in a few words.

        >>> GridPoint(lr=1e-4).describe()
        '1 x 1024, uniform, lr 0.0001'
        """
        initial = self.initialization.removeprefix("xavier_").rstrip("_")
        return f"{self.hidden_layers} x {self.hidden_dim}, {initial}, lr {self.lr:g}"


_DEFAULT: dict[str, Sequence[Any]] = {
    "hidden_layers": (1, 2),
    "lr": (3.2e-3, 1e-3, 3.2e-4, 1e-4),
    "initialization": ("xavier_uniform_", "xavier_normal_"),
}
GRIDS: Mapping[str, dict[str, Sequence[Any]]] = {
    "default": _DEFAULT,
    "fast": _DEFAULT | {"max_epochs": (10, 50), "check_val_every_n_epoch": (3, 10)},
    "faster": _DEFAULT
    | {
        "hidden_layers": (0, 1),
        "hidden_dim": (64, 128),
        "patience": (1, 3),
        "max_epochs": (10,),
        "check_val_every_n_epoch": (1,),
    },
}
_TASK_GRIDS: Mapping[str, dict[str, Sequence[Any]]] = {
    "dcase2016_task2": {"check_val_every_n_epoch": (10,)},
}
_FIXED = ("embedding_norm", "hidden_norm", "optim")


def grid_points(task: Task, grid: str, count: int) -> list[GridPoint]:
    """Return the points that heareval would try on a task, in its order.

    The whole product, keys sorted and the last one fastest, is shuffled with seed 42; the first
    ``count`` are used.

    Raises:
        InputError: If the grid is unknown or ``count`` is below one.
        TaskError: If the task's own grid names an option that there is not.
    """
    if grid not in GRIDS:
        raise InputError(f"unknown grid {grid!r}; choose one of {', '.join(GRIDS)}")
    if count < 1:
        raise InputError(f"{count} grid points; ask for at least 1, the default is 8")
    defaults: dict[str, Sequence[Any]] = {f.name: (f.default,) for f in fields(GridPoint)}
    options = [name for name in defaults if name not in _FIXED]
    for name in task.param_grid:
        if name not in options:
            raise TaskError(
                f"{task.folder}: key 'evaluation_params.task_specific_param_grid' has the unknown "
                f"option {name!r}; known: {', '.join(options)}"
            )
    choices = defaults | GRIDS[grid] | _TASK_GRIDS.get(task.task_name, {}) | task.param_grid
    names = sorted(choices)
    product = itertools.product(*(choices[name] for name in names))
    points = [GridPoint(**dict(zip(names, values, strict=True))) for values in product]
    for point in points:
        if point.check_val_every_n_epoch > point.max_epochs:
            raise TaskError(
                f"{task.folder}: {point.max_epochs} epochs end before the first validation, after "
                f"{point.check_val_every_n_epoch}; change the task's param grid"
            )
    random.Random(SEED).shuffle(points)
    return points[:count]
