"""Training of one member: frozen states in, a head out, chosen on an inner split of the train list.

The published recipe: AdamW at 5e-5, batches of 32, at most 100 epochs, patience 15. A head over
narrower states than the published ones takes larger steps.

The inner split (a share of every system's clips) is not trained on. It chooses the best epoch, by
the mean of the two system-level SRCCs, and an ensemble may be fitted on it; nothing is ever chosen
or fitted on the dev and test lists.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from heads import DualBranchHead
from hear_aesthetics.errors import InputError
from hear_aesthetics.metrics.correlation import mse, srcc, system_means
from musiceval_task.data.dataset import Clip
from musiceval_task.training.inference import Example, apply_head, collate
from musiceval_task.training.members import Member, Protocol, head_config
from musiceval_task.training.objective import loss

__all__ = ["INNER", "Epoch", "Fit", "TrainingConfig", "fit", "inner_split", "selection_score"]

PUBLISHED_RATE, PUBLISHED_AUDIO_DIM = 5e-5, 1024
NARROWER = 1.5  # power with which the rate grows as states get narrower, found on `mini`
INNER = "inner"
SPLIT_SEED = 0  # the same inner split for every member, whatever its seed


@dataclass(frozen=True)
class TrainingConfig:
    """How a member is trained; the defaults are the published recipe.

    Attributes:
        epochs: At most.
        patience: Epochs with neither a better order nor a lower error on the inner split, after
            which training ends: text and audio are compared late, when the order has long settled.
        batch_size: Clips.
        learning_rate: Of AdamW; None is 5e-5 at the published width, more below it.
        inner_share: Of each system's clips, held back from training.
        protocol: "corrected" or "published": :func:`musiceval_task.training.members.head_config`.

    Raises:
        InputError: If the protocol is neither, or epochs or learning rate are not above 0.
    """

    epochs: int = 100
    patience: int = 15
    batch_size: int = 32
    learning_rate: float | None = None
    inner_share: float = 0.15
    protocol: Protocol = "corrected"

    def __post_init__(self) -> None:
        if self.protocol not in get_args(Protocol):
            raise InputError(f"protocol {self.protocol!r}: choose corrected or published")
        if self.epochs < 1:
            raise InputError(f"{self.epochs} epochs: take at least one")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise InputError(f"learning rate {self.learning_rate}: take one above 0")

    def rate(self, audio_dim: int) -> float:
        """The learning rate for states of this width."""
        if self.learning_rate is not None:
            return self.learning_rate
        return PUBLISHED_RATE * (PUBLISHED_AUDIO_DIM / audio_dim) ** NARROWER


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: its number, mean training loss, and metrics on the inner split."""

    epoch: int
    loss: float
    inner_system_srcc: float
    inner_mse: float

    @property
    def rank(self) -> tuple[float, float]:
        """What the best epoch has most of: the order of systems, among equal ones accuracy."""
        return self.inner_system_srcc, -self.inner_mse


@dataclass(frozen=True)
class Fit:
    """A trained head with its best epoch's weights, and the log of all epochs."""

    head: DualBranchHead
    best: Epoch
    log: tuple[Epoch, ...]


def inner_split(clips: Sequence[Clip], share: float) -> list[Clip]:
    """The clips with some of ``"train"`` moved to ``"inner"``: a share of every system's.

    Raises:
        InputError: If either part would be empty, or hold fewer than two systems' clips.
    """
    systems: dict[str, list[int]] = {}
    for place, clip in enumerate(clips):
        if clip.split == "train":
            systems.setdefault(clip.system, []).append(place)
    rng = np.random.default_rng(SPLIT_SEED)
    inner: set[int] = set()
    for places in systems.values():
        count = max(1, round(share * len(places))) if len(places) > 1 else 0
        inner.update(rng.choice(places, count, replace=False).tolist())
    if len(inner) < 2:
        raise InputError("too few clips to train on: every system needs two scored ones or more")
    return [replace(c, split=INNER) if place in inner else c for place, c in enumerate(clips)]


def selection_score(scores: Any, truth: Any, systems: Sequence[str]) -> float:
    """Mean of the two system-level SRCCs; over clips where there are fewer than two systems."""
    if len(set(systems)) > 1:
        scores, truth = (system_means(values, systems)[0] for values in (scores, truth))
    return float(srcc(scores, truth).mean())


def fit(
    member: Member,
    config: TrainingConfig,
    train: Sequence[Example],
    inner: Sequence[Example],
    inner_systems: Sequence[str],
    *,
    device: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Train a member.

    Args:
        member: What to train.
        config: How.
        train: States and scores to train on.
        inner: States and scores that choose the epoch.
        inner_systems: System of each of ``inner``.
        device: ``"cpu"`` keeps it off a GPU; None takes what ``accelerate`` finds.
        on_epoch: Called after each epoch.

    Raises:
        InputError: If a loss is not finite.
    """
    truth = np.array([example.scores for example in inner])
    with torch.random.fork_rng():
        torch.manual_seed(member.seed)
        trainer = _Trainer(member, config, train, device)
        head, choice = trainer.head, _Choice()
        for number in range(1, config.epochs + 1):
            mean = trainer.run_epoch()
            scores, _ = apply_head(head, inner)
            chosen = selection_score(scores, truth, inner_systems)
            epoch = Epoch(number, mean, chosen, float(mse(scores, truth).mean()))
            choice.add(epoch, head)
            if on_epoch:
                on_epoch(epoch)
            if choice.stale >= config.patience:
                break
    head.load_state_dict(choice.weights)
    return Fit(head.cpu().eval(), choice.best, tuple(choice.log))


class _Trainer:
    """A head, its optimizer and the clips in random order, one epoch at a time."""

    def __init__(
        self, member: Member, config: TrainingConfig, train: Sequence[Example], device: str | None
    ) -> None:
        self.member, self.config, self.train = member, config, train
        self.accelerator = _accelerator(device)
        width, text_width = train[0].audio.shape[1], train[0].text.shape[1]
        self.head = DualBranchHead(head_config(member, width, text_width, config.protocol))
        loader: Any = torch.utils.data.DataLoader(
            range(len(train)),  # type: ignore[arg-type]
            batch_size=config.batch_size,
            shuffle=True,
            generator=torch.Generator().manual_seed(member.seed),
        )
        optimizer = torch.optim.AdamW(self.head.parameters(), lr=config.rate(width))
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            self.head, optimizer, loader
        )

    def run_epoch(self) -> float:
        """One pass over the clips; the mean loss."""
        self.model.train()
        total = torch.zeros(())
        for rows in self.loader:
            examples = [self.train[row] for row in rows.tolist()]
            objective = self._loss(examples)
            if not torch.isfinite(objective):
                raise InputError(
                    f"training {self.member.name}: the loss is not finite; check the scores, or "
                    "take a lower learning rate"
                )
            self.optimizer.zero_grad()
            self.accelerator.backward(objective)
            self.optimizer.step()
            total += objective.detach().cpu() * len(examples)
        return float(total) / len(self.train)

    def _loss(self, examples: Sequence[Example]) -> Tensor:
        """The losses of both branches, added."""
        outputs = collate(examples).outputs(self.model)
        truth = torch.tensor([example.scores for example in examples], device=outputs[0].device)
        losses = [
            loss(output, column, self.member.target, self.config.protocol)
            for output, column in zip(outputs, truth.T, strict=True)
        ]
        return torch.stack(losses).sum()


class _Choice:
    """The best epoch so far with its weights, and for how long nothing got better.

    Attributes:
        log: All epochs.
        best: The one with the best order of systems; equal orders, which few systems often have,
            are told apart by the error.
        weights: Of the best epoch.
        stale: Epochs since the order or the error was better than ever.
    """

    best: Epoch

    def __init__(self) -> None:
        self.log: list[Epoch] = []
        self.weights: dict[str, Tensor] = {}
        self.stale = 0

    def add(self, epoch: Epoch, head: DualBranchHead) -> None:
        """Take notice of an epoch."""
        before = self.log
        self.log = [*before, epoch]
        if not before or epoch.rank > self.best.rank:
            self.best, self.weights = epoch, deepcopy(head.state_dict())
        better = (
            not before
            or epoch.inner_system_srcc > max(e.inner_system_srcc for e in before)
            or epoch.inner_mse < min(e.inner_mse for e in before)
        )
        self.stale = 0 if better else self.stale + 1


def _accelerator(device: str | None) -> Any:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise InputError(
            "training needs accelerate; run `pip install 'hear-aesthetics[train]'`"
        ) from error
    return Accelerator(cpu=device == "cpu")
