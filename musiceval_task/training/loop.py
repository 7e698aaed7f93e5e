"""Training of one member on frozen states, by the corrected recipe.

The published recipe: AdamW at 5e-5, batches of 32, at most 100 epochs, patience 15. Narrower states
than the published ones take a higher learning rate.

The inner split, a share of every system's clips of the train list, is held back from training. It
selects the best epoch, by the mean of the two system-level SRCCs, and an ensemble may be fitted on
it. The dev and test lists are only reported. The recipe of the released code is in
:mod:`musiceval_task.training.released`.

A batch may be computed in micro-batches, each with dropout of its own, which several processes
share: the gradient of a batch is the mean over its clips, whichever process computed them.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
from torch.utils.data import DataLoader

from heads import DualBranchHead
from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.errors import InputError
from hear_aesthetics.metrics.correlation import mse, srcc, system_means
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.training.inference import Example, apply_head, chunks, run_head
from musiceval_task.training.members import (
    PUBLISHED_AUDIO_DIM,
    EnsembleMember,
    TrainingRecipe,
    head_config,
)
from musiceval_task.training.objective import losses

__all__ = [
    "INNER",
    "Epoch",
    "Fit",
    "TrainingConfig",
    "begin",
    "fit",
    "inner_split",
    "selection_score",
]

PUBLISHED_RATE = 5e-5
NARROWER = 1.5  # power by which the rate grows as states get narrower, found on `mini`
INNER = "inner"
SPLIT_SEED = 0  # the same inner split for every member, whatever its seed


@dataclass(frozen=True)
class TrainingConfig:
    """Training configuration; the defaults are the published ones.

    Attributes:
        epochs: Maximum number of epochs.
        patience: Epochs with neither a higher SRCC nor a lower MSE on the inner split, after which
            training ends. (Heads learn to compare text and audio late, when the SRCC has settled.)
        batch_size: Clips per batch.
        micro_batch: Clips computed at once; None: all of a batch. The published recipe takes no
            other, for what a clip gets there depends on its batch.
        learning_rate: Learning rate of AdamW; None is 5e-5 at the published width, more below it.
        inner_share: Share of each system's clips held back from training; none by the published
            recipe.
        recipe: "corrected" or "published": :func:`musiceval_task.training.members.head_config`.

    Raises:
        InputError: If the recipe is neither, there are no epochs, or the micro-batches are not.
    """

    epochs: int = 100
    patience: int = 15
    batch_size: int = 32
    micro_batch: int | None = None
    learning_rate: float | None = None
    inner_share: float = 0.15
    recipe: TrainingRecipe = "corrected"

    def __post_init__(self) -> None:
        if self.recipe not in get_args(TrainingRecipe):
            raise InputError(f"recipe {self.recipe!r}: choose corrected or published")
        if self.epochs < 1:
            raise InputError(f"{self.epochs} epochs: take at least one")
        if self.micro_batch is not None:
            if self.micro_batch < 1:
                raise InputError(f"micro-batches of {self.micro_batch} clips: take at least one")
            if self.recipe == "published":
                raise InputError("the published recipe computes a batch at once: no micro-batches")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise InputError(f"learning rate {self.learning_rate}: take one above 0")

    def settings(self) -> dict[str, Any]:
        """Return what decides a run; what earlier versions did not have is left out if unset."""
        values = asdict(self)
        return {k: v for k, v in values.items() if k != "micro_batch" or v is not None}

    def check_share(self, processes: Processes) -> None:
        """Check that processes can share a batch.

        Raises:
            InputError: If they cannot.
        """
        if processes.count > 1 and self.recipe == "published":
            raise InputError("the published recipe computes a batch at once: train in one process")
        if processes.count > 1 and not self.micro_batch:
            raise InputError(
                f"{processes.count} processes cannot share a batch that is computed at once; take "
                f"--micro-batch {max(1, self.batch_size // processes.count)}"
            )

    def rate(self, audio_dim: int) -> float:
        """Return the learning rate for states of this width."""
        if self.learning_rate is not None:
            return self.learning_rate
        return PUBLISHED_RATE * (PUBLISHED_AUDIO_DIM / audio_dim) ** NARROWER


@dataclass(frozen=True)
class Epoch:
    """Number of an epoch, its mean training loss, and metrics on the inner split."""

    epoch: int
    loss: float
    inner_system_srcc: float
    inner_mse: float

    @property
    def rank(self) -> tuple[float, float]:
        """Key of the best epoch: the highest SRCC of systems, among equals the lowest MSE."""
        return self.inner_system_srcc, -self.inner_mse

    def __str__(self) -> str:
        return f"epoch {self.epoch}, inner system SRCC {self.inner_system_srcc:.3f}"


@dataclass(frozen=True)
class Fit:
    """Head with the weights of its best epoch, and the log of all epochs."""

    head: DualBranchHead
    best: Any
    log: tuple[Any, ...]


def inner_split(clips: Sequence[MusicEvalClip], share: float) -> list[MusicEvalClip]:
    """Return the clips with a share of every system's moved from ``"train"`` to ``"inner"``.

    Raises:
        InputError: If fewer than two clips would be moved.
    """
    systems: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        if clip.split == "train":
            systems.setdefault(clip.system, []).append(index)
    rng = np.random.default_rng(SPLIT_SEED)
    inner: set[int] = set()
    for indices in systems.values():
        count = max(1, round(share * len(indices))) if len(indices) > 1 else 0
        inner.update(rng.choice(indices, count, replace=False).tolist())
    if len(inner) < 2:
        raise InputError("too few clips to train on: every system needs two scored ones or more")
    return [replace(c, split=INNER) if index in inner else c for index, c in enumerate(clips)]


def selection_score(scores: Any, truth: Any, systems: Sequence[str]) -> float:
    """Return the mean of the two SRCCs over systems; over clips if there is only one system."""
    if len(set(systems)) > 1:
        scores, truth = (system_means(values, systems)[0] for values in (scores, truth))
    return float(srcc(scores, truth).mean())


def fit(
    member: EnsembleMember,
    config: TrainingConfig,
    train: Sequence[Example],
    inner: Sequence[Example],
    inner_systems: Sequence[str],
    *,
    device: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    processes: Processes | None = None,
) -> Fit:
    """Train a member on scored examples; ``inner``, of ``inner_systems``, selects the epoch.

    The device is such as "cpu" or "cuda:0"; None is a GPU if there is one. ``processes``, which
    have devices of their own, share every batch.

    Raises:
        InputError: If a loss is not finite, there is no such device, or the processes cannot share
            a batch.
    """
    processes = processes or Processes(device=usable_device(device))
    truth = np.array([example.scores for example in inner])
    log: list[Epoch] = []
    with torch.random.fork_rng():
        head, train_epoch = begin(member, config, train, processes)
        for number in range(1, config.epochs + 1):
            mean = train_epoch()
            scores, _ = apply_head(head, inner)
            order = selection_score(scores, truth, inner_systems)
            found = torch.tensor([order, float(mse(scores, truth).mean())], dtype=torch.float64)
            order, error = processes.of_main(found).tolist()  # all of them end at the same epoch
            epoch = Epoch(number, mean, order, error)
            log.append(epoch)
            best = max(log, key=lambda epoch: epoch.rank)
            if best is epoch:
                weights = deepcopy(head.state_dict())
            if on_epoch:
                on_epoch(epoch)
            progress = (
                max(log, key=lambda epoch: epoch.inner_system_srcc).epoch,
                min(log, key=lambda epoch: epoch.inner_mse).epoch,
            )
            if number - max(progress) >= config.patience:
                break
    head.load_state_dict(weights)
    return Fit(head.cpu().eval(), best, tuple(log))


def begin(
    member: EnsembleMember,
    config: TrainingConfig,
    train: Sequence[Example],
    processes: Processes,
) -> tuple[DualBranchHead, Callable[[], float]]:
    """Seed PyTorch, and return a new head and the training of one epoch, which returns its loss.

    Raises:
        InputError: If the processes cannot share a batch.
    """
    config.check_share(processes)
    torch.manual_seed(member.seed)
    audio_dim, text_dim = train[0].audio.shape[1], train[0].text.shape[1]
    head = DualBranchHead(head_config(member, audio_dim, text_dim, config.recipe))
    head.to(processes.device)
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.rate(audio_dim))
    loader: DataLoader[list[Example]] = DataLoader(
        train,  # type: ignore[arg-type]
        batch_size=config.batch_size,
        shuffle=True,
        collate_fn=list,
        generator=torch.Generator().manual_seed(member.seed),
    )
    dropout = torch.Generator().manual_seed(member.seed)
    return head, partial(_run_epoch, head, optimizer, loader, member, config, processes, dropout)


def _run_epoch(
    head: DualBranchHead,
    optimizer: torch.optim.Optimizer,
    loader: DataLoader[list[Example]],
    member: EnsembleMember,
    config: TrainingConfig,
    processes: Processes,
    dropout: torch.Generator,
) -> float:
    """Train on every clip once; return the mean loss, both branches added."""
    head.train()
    total, clips = torch.zeros(()), 0
    for examples in loader:
        parts = chunks(examples, config.micro_batch or len(examples))
        seeds = torch.randint(2**31, (len(parts),), generator=dropout).tolist()
        optimizer.zero_grad()
        for part, seed in processes.share(list(zip(parts, seeds, strict=True))):
            if config.micro_batch:
                torch.manual_seed(seed)
            outputs = run_head(head, part)
            truth = torch.tensor([example.scores for example in part], device=outputs[0].device)
            objective = losses(outputs, truth, member.target, config.recipe).sum()
            if not torch.isfinite(objective):
                raise InputError(
                    f"training {member.name}: the loss is not finite; check the scores, or take a "
                    "lower learning rate"
                )
            (objective * (len(part) / len(examples))).backward()
            total += objective.detach().cpu() * len(part)
        processes.sum_gradients(head.parameters())
        optimizer.step()
        clips += len(examples)
    return float(processes.sum(total)) / clips
