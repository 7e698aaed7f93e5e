"""One micro-batch of training: pool, mix, score, and the loss.

Both members of every pair go through the head in one pass over the songs, each once even if it is
drawn twice; then pooled vectors and labels are mixed with one factor (HEAR, Sec. 2.3 and 2.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heads import CMixupSampler, hybrid_loss, mix, mix_factor
from songeval_task.training.batches import Stack
from songeval_task.training.config import TrainableHead, TrainingConfig

__all__ = ["Draw", "MixingStep", "draw_pairs", "pool_stacks"]


@dataclass(frozen=True)
class Draw:
    """What a micro-batch consists of, and all of its randomness.

    Attributes:
        rows: Numbers of its rows, each once.
        first: Places in ``rows`` of the songs.
        second: Places of their partners; without mix-up, the same.
        factor: How much of the first there is in each mixture.
        seed: Of dropout and of the order of equal labels.

    Shape:
        - rows: ``(unique,)``
        - first, second, factor: ``(pairs,)``
    """

    rows: Tensor
    first: Tensor
    second: Tensor
    factor: Tensor
    seed: int


def draw_pairs(
    batch: Tensor,
    sampler: CMixupSampler | None,
    generator: torch.Generator,
    *,
    per_sample: bool = False,
) -> Draw:
    """Partners and factors of a micro-batch.

    Args:
        batch: Row numbers.
        sampler: Draws the partners; None: nothing is mixed.
        generator: Source of randomness (CPU).
        per_sample: One factor per pair instead of one for all.

    Shape:
        - batch: ``(pairs,)``
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    if sampler is None:
        places = torch.arange(len(batch))
        return Draw(batch, places, places, torch.ones(len(batch)), seed)
    partners = sampler.draw(batch, generator)
    factor = mix_factor(len(batch), generator, per_sample=per_sample)
    rows, places = torch.cat((batch, partners)).unique(return_inverse=True)
    return Draw(rows, places[: len(batch)], places[len(batch) :], factor, seed)


def pool_stacks(head: TrainableHead, stacks: Sequence[Stack]) -> Tensor:
    """Pooled vectors of all songs of some stacks, in the order of their places."""
    pooled = torch.cat([head.pool(stack.features, stack.padding_mask) for stack in stacks])
    places = torch.cat([stack.places for stack in stacks])
    return pooled[places.argsort()]


class MixingStep(nn.Module):
    """The head with its loss: what runs forward once per micro-batch, also under data parallelism.

    Args:
        head: To be trained; has ``pool`` and ``score``.
        config: Names the losses.
    """

    def __init__(self, head: TrainableHead, config: TrainingConfig) -> None:
        super().__init__()
        self.head = head
        self.regression, self.rank_weight = config.regression, config.ranking

    def forward(self, stacks: Sequence[Stack], labels: Tensor, draw: Draw) -> Tensor:
        """Return the loss of a micro-batch.

        Args:
            stacks: Features of ``draw.rows``.
            labels: Of ``draw.rows``.
            draw: The pairs.

        Shape:
            - labels: ``(unique, dimensions)``; output: scalar
        """
        pooled = pool_stacks(self.head, stacks)
        pooled = mix(pooled[draw.first], pooled[draw.second], draw.factor)
        labels = mix(labels[draw.first], labels[draw.second], draw.factor)
        preds = self.head.score(pooled)
        ties = torch.Generator().manual_seed(draw.seed)
        return hybrid_loss(preds, labels, self.rank_weight, ties, self.regression)
