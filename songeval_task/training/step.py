"""One micro-batch of training: pool, mix, score, and the loss.

Both members of every pair go through the head in one pass over the songs; then pooled vectors and
labels are mixed with one factor (HEAR, Sec. 2.3 and 2.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heads import CMixupSampler, hybrid_loss, mix, mix_factor
from songeval_task.training.batches import PaddedBatch
from songeval_task.training.config import SongEvalConfig, TrainableHead

__all__ = ["Draw", "MixingStep", "draw_pairs", "pool_batches"]


@dataclass(frozen=True)
class Draw:
    """Contents of a micro-batch, and all of its randomness.

    Attributes:
        rows: Numbers of its rows.
        first: Places in ``rows`` of the songs.
        second: Places of their partners; without mix-up, the same.
        factor: Share of the first in each mixture.
        seed: Random seed of dropout and of the order of equal labels.

    Shape:
        - rows: ``(rows,)``
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
    apart: bool = False,
) -> Draw:
    """Draw partners and factors of a micro-batch.

    Args:
        batch: Row numbers.
        sampler: Draws the partners; None: nothing is mixed.
        generator: Source of randomness (CPU).
        per_sample: One factor per pair instead of one for all.
        apart: Pool a row that is drawn twice twice, with a dropout mask each, instead of once.

    Shape:
        - batch: ``(pairs,)``
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    if sampler is None:
        places = torch.arange(len(batch))
        return Draw(batch, places, places, torch.ones(len(batch)), seed)
    partners = sampler.draw(batch, generator)
    factor = mix_factor(len(batch), generator, per_sample=per_sample)
    rows = torch.cat((batch, partners))
    places = torch.arange(len(rows))
    if not apart:
        rows, places = rows.unique(return_inverse=True)
    return Draw(rows, places[: len(batch)], places[len(batch) :], factor, seed)


def pool_batches(head: TrainableHead, batches: Sequence[PaddedBatch]) -> Tensor:
    """Return pooled vectors of the songs of a micro-batch, in the order of their places."""
    pooled = torch.cat([head.pool(batch.features, batch.padding_mask) for batch in batches])
    places = torch.cat([batch.places for batch in batches])
    return pooled[places.argsort()]


class MixingStep(nn.Module):
    """The head with its loss: one forward pass per micro-batch, also under data parallelism.

    Args:
        head: To be trained; has ``pool`` and ``score``.
        config: Names the losses.
    """

    def __init__(self, head: TrainableHead, config: SongEvalConfig) -> None:
        super().__init__()
        self.head = head
        self.regression, self.rank_weight = config.regression, config.ranking
        self.round_scores = config.updates == "released"

    def forward(self, batches: Sequence[PaddedBatch], labels: Tensor, draw: Draw) -> Tensor:
        """Return the loss of a micro-batch.

        Args:
            batches: Features of ``draw.rows``.
            labels: Labels of ``draw.rows``.
            draw: The pairs.

        Shape:
            - labels: ``(rows, dimensions)``; output: scalar
        """
        pooled = pool_batches(self.head, batches)
        pooled = mix(pooled[draw.first], pooled[draw.second], draw.factor)
        labels = mix(labels[draw.first], labels[draw.second], draw.factor)
        preds = self.head.score(pooled)
        if self.round_scores and torch.is_autocast_enabled(preds.device.type):
            preds = preds.to(torch.get_autocast_dtype(preds.device.type))
        ties = torch.Generator().manual_seed(draw.seed)
        return hybrid_loss(preds, labels, self.rank_weight, ties, self.regression)
