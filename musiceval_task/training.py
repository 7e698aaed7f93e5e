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
from hear_aesthetics.metrics import mse, srcc, system_means
from musiceval_task.dataset import Clip
from musiceval_task.inference import Example, apply_head, collate
from musiceval_task.members import Member, Protocol, head_config
from musiceval_task.objective import loss

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
        protocol: "corrected" or "published": :func:`musiceval_task.members.head_config`.

    Raises:
        InputError: If the protocol is neither.
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
    """
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=device == "cpu")
    with torch.random.fork_rng():
        torch.manual_seed(member.seed)
        width, text_width = train[0].audio.shape[1], train[0].text.shape[1]
        head = DualBranchHead(head_config(member, width, text_width, config.protocol))
        optimizer = torch.optim.AdamW(head.parameters(), lr=config.rate(width))
        order = torch.Generator().manual_seed(member.seed)
        loader: Any = torch.utils.data.DataLoader(
            range(len(train)),  # type: ignore[arg-type]
            batch_size=config.batch_size,
            shuffle=True,
            generator=order,
        )
        model, optimizer, loader = accelerator.prepare(head, optimizer, loader)
        truth = np.array([example.scores for example in inner])
        log: list[Epoch] = []
        best, weights, progress = None, deepcopy(head.state_dict()), _Progress()
        for number in range(1, config.epochs + 1):
            mean = _train_epoch(accelerator, model, optimizer, loader, train, member, config)
            scores, _ = apply_head(head, inner)
            chosen = selection_score(scores, truth, inner_systems)
            log.append(Epoch(number, mean, chosen, float(mse(scores, truth).mean())))
            if on_epoch:
                on_epoch(log[-1])
            if best is None or _better(log[-1], best):
                best, weights = log[-1], deepcopy(head.state_dict())
            if progress.epochs_since(log[-1]) >= config.patience:
                break
    if best is None:
        raise InputError(f"{config.epochs} epochs: take at least one")
    head.load_state_dict(weights)
    return Fit(head.cpu().eval(), best, tuple(log))


class _Progress:
    """How long neither the order nor the error on the inner split got better."""

    def __init__(self) -> None:
        self._last = 0
        self._srcc, self._error = float("-inf"), float("inf")

    def epochs_since(self, epoch: Epoch) -> int:
        if epoch.inner_system_srcc > self._srcc or epoch.inner_mse < self._error:
            self._last = epoch.epoch
        self._srcc = max(self._srcc, epoch.inner_system_srcc)
        self._error = min(self._error, epoch.inner_mse)
        return epoch.epoch - self._last


def _better(new: Epoch, old: Epoch) -> bool:
    """By the SRCC of the systems; equal orders, of few systems, are told apart by the error."""
    return (new.inner_system_srcc, -new.inner_mse) > (old.inner_system_srcc, -old.inner_mse)


def _train_epoch(
    accelerator: Any,
    model: Any,
    optimizer: Any,
    loader: Any,
    train: Sequence[Example],
    member: Member,
    config: TrainingConfig,
) -> float:
    """One pass over the clips; the mean loss."""
    model.train()
    total = torch.zeros(())
    for rows in loader:
        examples = [train[row] for row in rows.tolist()]
        truth = torch.tensor([example.scores for example in examples], device=accelerator.device)
        outputs = collate(examples).outputs(model)
        losses = [
            loss(output, column, member.target, config.protocol)
            for output, column in zip(outputs, truth.T, strict=True)
        ]
        objective: Tensor = torch.stack(losses).sum()
        optimizer.zero_grad()
        accelerator.backward(objective)
        optimizer.step()
        total += objective.detach().cpu() * len(examples)
    return float(total) / len(train)
