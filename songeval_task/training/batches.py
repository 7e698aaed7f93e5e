"""Batches of features: random micro-batches, padded together by length, read from mapped files.

A micro-batch is drawn at random, because its rows are the list that the ranking loss sorts and
because length must not decide who meets whom. Inside it, songs of similar length are padded
together, so that little is padded whatever the micro-batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hear_aesthetics.engine.prefetch import Prefetcher
from songeval_task.training.data import FeatureRow, TrainingData

__all__ = ["PaddedBatch", "epoch_batches", "group_by_length", "pad_rows", "read_ahead"]

MAX_PADDING = 0.1  # of a padded batch
AHEAD = 2  # padded batches read while one micro-batch is computed


@dataclass(frozen=True)
class PaddedBatch:
    """Some songs of a micro-batch, padded to the longest of them.

    Shape:
        - features: ``(songs, frames, width)``
        - padding_mask: bool ``(songs, frames)``, True = padded; None where nothing is padded
        - places: ``(songs,)``, of these songs in the micro-batch
    """

    features: Tensor
    padding_mask: Tensor | None
    places: Tensor

    def to(self, device: torch.device) -> "PaddedBatch":
        """Return the same on another device."""
        mask = None if self.padding_mask is None else self.padding_mask.to(device)
        features = self.features.to(device, non_blocking=True)
        return PaddedBatch(features, mask, self.places.to(device))


def epoch_batches(
    rows: int,
    batch_size: int,
    accumulation: int,
    generator: torch.Generator,
    *,
    keep_single: bool = False,
) -> list[list[Tensor]]:
    """Return the updates of an epoch: a few micro-batches of row numbers each, in random order.

    Every row comes once. A last row alone is left out unless ``keep_single``, since one song cannot
    be ranked.

    Shape:
        - output: updates x up to ``accumulation`` micro-batches of ``(<= batch_size,)``
    """
    order = torch.randperm(rows, generator=generator)
    batches = [batch for batch in order.split(batch_size) if len(batch) > 1 or keep_single]
    return [batches[i : i + accumulation] for i in range(0, len(batches), accumulation)]


def group_by_length(lengths: Sequence[int], max_padding: float = MAX_PADDING) -> list[list[int]]:
    """Return places in groups, in none of which more than a share of the frames is padding.

    >>> group_by_length([10, 100, 99, 10])
    [[0, 3], [2, 1]]
    """
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    groups: list[list[int]] = []
    valid = 0
    for place in order:
        valid += lengths[place]
        if groups and valid >= (1 - max_padding) * lengths[place] * (len(groups[-1]) + 1):
            groups[-1].append(place)
        else:
            groups.append([place])
            valid = lengths[place]
    return groups


def pad_rows(
    data: TrainingData, rows: Sequence[FeatureRow], dtype: torch.dtype
) -> list[PaddedBatch]:
    """Return the features of rows in padded batches of similar length."""
    batches = []
    for group in group_by_length([row.frames for row in rows]):
        songs = [data.load(rows[place]) for place in group]
        lengths = torch.tensor([len(song) for song in songs])
        features = pad_sequence([song.to(dtype) for song in songs], batch_first=True)
        mask = torch.arange(features.shape[1]) >= lengths[:, None]
        batches.append(PaddedBatch(features, mask if mask.any() else None, torch.tensor(group)))
    return batches


@contextmanager
def read_ahead(
    data: TrainingData, batches: Sequence[Sequence[FeatureRow]], dtype: torch.dtype
) -> Iterator[Iterator[list[PaddedBatch]]]:
    """Yield the padded batches of each micro-batch; the next are read while one is computed."""
    load = partial(pad_rows, data, dtype=dtype)
    with Prefetcher(batches, load, ahead_samples=AHEAD) as ahead:
        yield ahead.values()
