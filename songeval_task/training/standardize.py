"""Standardization of features while a head trains, folded into the head afterwards.

Encoders have channels whose constant part is larger than all that varies in them, and the head
would spend its training on unlearning it. So the head can train on ``(x - mean) / std`` of the
training songs, and its first linear map takes both in afterwards, exactly:
``W (x - mean) / std + b = (W / std) x + (b - (W / std) mean)``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from songeval_task.training.config import TrainableHead

__all__ = ["Standardizer", "fold", "unfold"]

MIN_STD = 1e-4  # of a channel that hardly varies, relative to the mean over channels


@dataclass(frozen=True)
class Standardizer:
    """Mean and standard deviation per channel, each ``(width,)`` float32."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, songs: Iterable[Tensor]) -> "Standardizer":
        """Measure both over all frames of some songs, each ``(frames, width)``."""
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for song in songs:
            frames = song.double()
            count += len(frames)
            total = total + frames.sum(dim=0)
            squares = squares + frames.square().sum(dim=0)
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        return cls(mean.float(), std.clamp(min=MIN_STD * float(std.mean()) or 1.0).float())

    def __call__(self, features: Tensor) -> Tensor:
        """Return standardized features, float32."""
        return (features.float() - self.mean) / self.std


@torch.no_grad()
def fold(head: TrainableHead, standardizer: Standardizer) -> None:
    """Make a head that was trained on standardized features take raw ones, with equal scores."""
    first = head.input_layer
    weight = first.weight.double() / standardizer.std.to(first.weight.device)
    first.bias.sub_((weight @ standardizer.mean.to(weight)).to(first.bias))
    first.weight.copy_(weight)


@torch.no_grad()
def unfold(head: TrainableHead, standardizer: Standardizer) -> None:
    """Make a head of raw features take standardized ones, with equal scores: :func:`fold` back."""
    first = head.input_layer
    weight = first.weight.double()
    first.bias.add_((weight @ standardizer.mean.to(weight)).to(first.bias))
    first.weight.copy_(weight * standardizer.std.to(first.weight.device))
