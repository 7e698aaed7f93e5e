"""Prediction of the songs of a split from stored features, in float32.

What selects a head and what is reported of it is what ``score`` computes of the same features: in
bfloat16 scores move by up to 0.02, and the top-tier accuracy of 200 songs by up to 0.009.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from songeval_task.protocol import SongPredictions
from songeval_task.training.batches import read_ahead
from songeval_task.training.config import TrainableHead
from songeval_task.training.data import FeatureRow, TrainingData
from songeval_task.training.step import pool_batches

__all__ = ["pool_songs", "predict"]

SONGS_AT_ONCE = 8


@torch.no_grad()
def predict(head: TrainableHead, data: TrainingData, split: str) -> SongPredictions:
    """Predict the songs of a split, in evaluation mode.

    Args:
        head: On its device; left in the mode it was in.
        data: Songs with their features.
        split: Name of the split.
    """
    rows = data.splits[split]
    return SongPredictions(
        tuple(row.song for row in rows),
        tuple(row.system for row in rows),
        head.score(pool_songs(head, data, rows)).double().cpu().numpy(),
        data.labels(split).double().numpy(),
        data.track,
    )


@torch.no_grad()
def pool_songs(head: TrainableHead, data: TrainingData, rows: Sequence[FeatureRow]) -> Tensor:
    """Return the pooled vectors of songs, ``(rows, pooled)`` float32, in evaluation mode.

    Args:
        head: On its device; left in the mode it was in.
        data: Songs with their features.
        rows: The songs.
    """
    training = head.training
    head.eval()
    device = next(head.parameters()).device
    order = sorted(range(len(rows)), key=lambda place: rows[place].frames)
    batches = [order[i : i + SONGS_AT_ONCE] for i in range(0, len(order), SONGS_AT_ONCE)]
    found: list[Tensor] = []
    wanted = [[rows[place] for place in batch] for batch in batches]
    with read_ahead(data, wanted, torch.float32) as padded:
        found += [pool_batches(head, [part.to(device) for part in parts]) for parts in padded]
    head.train(training)
    return torch.cat(found)[torch.tensor(order, device=device).argsort()]
