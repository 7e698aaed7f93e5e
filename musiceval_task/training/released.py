"""Training of one member as ASTAR-NTU released it, the recipe "published".

All of the train list trains. After each epoch the dev list, sorted by name and in batches of 16,
offers three checkpoints: the least loss; the highest SRCC of systems in music impression; and the
highest "combined" score, the mean of the SRCC of clips in music impression and the SRCC of systems
in text alignment. Training ends when none of the three was reached for ``patience`` epochs. Since
dev selects, its figures are optimistic.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from heads import DualBranchHead
from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.metrics.correlation import srcc, system_means
from musiceval_task.training.inference import RELEASED_BATCH, Example, chunks, run_head
from musiceval_task.training.loop import Fit, TrainingConfig, begin
from musiceval_task.training.members import EnsembleMember
from musiceval_task.training.objective import losses

__all__ = ["CHECKPOINTS", "REPORTED", "ReleasedEpoch", "fit_released"]

REPORTED = "combined"  # the checkpoint that most of the released ensemble takes
UNDEFINED_SRCC = -1.0  # of equal predictions, as released


@dataclass(frozen=True)
class ReleasedEpoch:
    """Number of an epoch, its mean training loss, and what selects on the dev list.

    ``dev_loss`` is the mean of both branches; ``dev_combined`` is NaN where the predicted text
    alignment of all systems is equal.
    """

    epoch: int
    loss: float
    dev_loss: float
    dev_system_srcc: float
    dev_combined: float

    @property
    def rank(self) -> float:
        """Key of the best epoch, of the checkpoint that is reported."""
        return CHECKPOINTS[REPORTED](self)

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}, combined SRCC {self.dev_combined:.3f} on dev, which selected it, "
            "as released: its dev figures are optimistic"
        )


CHECKPOINTS: dict[str, Callable[[ReleasedEpoch], float]] = {  # by name; the highest is kept
    "combined": lambda epoch: -math.inf if math.isnan(epoch.dev_combined) else epoch.dev_combined,
    "loss": lambda epoch: -epoch.dev_loss,
    "system-srcc": lambda epoch: epoch.dev_system_srcc,
}


def fit_released(
    member: EnsembleMember,
    config: TrainingConfig,
    train: Sequence[Example],
    dev: Sequence[Example],
    dev_systems: Sequence[str],
    *,
    device: str | None = None,
    on_epoch: Callable[[ReleasedEpoch], None] | None = None,
    processes: Processes | None = None,
) -> dict[str, Fit]:
    """Train a member on scored examples; return its fit for each of ``CHECKPOINTS``.

    ``dev``, of two systems or more, is in the order of names. The device is such as "cpu" or
    "cuda:0"; None is a GPU if there is one.

    Raises:
        InputError: If a loss is not finite, there is no such device, or there are several
            processes.
    """
    log: list[ReleasedEpoch] = []
    best: dict[str, ReleasedEpoch] = {}
    weights: dict[str, dict[str, torch.Tensor]] = {}
    with torch.random.fork_rng():
        processes = processes or Processes(device=usable_device(device))
        head, train_epoch = begin(member, config, train, processes)
        for number in range(1, config.epochs + 1):
            mean = train_epoch()
            epoch = ReleasedEpoch(number, mean, *_evaluate(head, member, dev, dev_systems))
            log.append(epoch)
            for name, key in CHECKPOINTS.items():
                if name not in best or key(epoch) > key(best[name]):
                    best[name] = epoch
                    weights[name] = deepcopy(head.state_dict())
            if on_epoch:
                on_epoch(epoch)
            if number - max(found.epoch for found in best.values()) >= config.patience:
                break
    return {name: _with_weights(head, weights[name], best[name], log) for name in CHECKPOINTS}


@torch.no_grad()
def _evaluate(
    head: DualBranchHead, member: EnsembleMember, dev: Sequence[Example], systems: Sequence[str]
) -> tuple[float, float, float]:
    """Return loss, SRCC of systems in music impression, and the combined score."""
    head.eval()
    total, parts = 0.0, []
    for examples in chunks(dev, RELEASED_BATCH):
        outputs = run_head(head, examples)
        batch_truth = torch.tensor([e.scores for e in examples], device=outputs[0].device)
        both = losses(outputs, batch_truth, member.target, "published")
        total += float(both.mean()) * len(examples)
        parts.append(torch.stack([head.scores(output) for output in outputs], dim=1).cpu())
    scores = torch.cat(parts).double().numpy()
    truth = np.array([example.scores for example in dev])
    of_systems = [system_means(values, systems)[0] for values in (scores, truth)]
    (overall, _), (system_overall, system_textual) = (
        _srcc_or_nan(*pair) for pair in ((scores, truth), of_systems)
    )
    overall, system_overall = (
        UNDEFINED_SRCC if math.isnan(value) else value for value in (overall, system_overall)
    )
    return total / len(dev), system_overall, (overall + system_textual) / 2


def _srcc_or_nan(scores: np.ndarray, truth: np.ndarray) -> list[float]:
    constant = (np.ptp(scores, axis=0) == 0) | (np.ptp(truth, axis=0) == 0)
    return np.where(constant, np.nan, srcc(scores, truth)).tolist()


def _with_weights(
    head: DualBranchHead,
    weights: dict[str, torch.Tensor],
    best: ReleasedEpoch,
    log: Sequence[ReleasedEpoch],
) -> Fit:
    kept = DualBranchHead(head.config)
    kept.load_state_dict(weights)
    return Fit(kept.eval(), best, tuple(log))
