"""Features with mean 0 and deviation 1 per channel while a head trains; later it takes raw ones.

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

__all__ = ["Scale", "fold", "measure_scale"]

MIN_DEVIATION = 1e-4  # of a channel that hardly varies, relative to the mean deviation


@dataclass(frozen=True)
class Scale:
    """Mean and deviation per channel, each ``(width,)`` float32."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Standardised ``(frames, width)``, float32."""
        return (features.float() - self.mean) / self.deviation


def measure_scale(songs: Iterable[Tensor]) -> Scale:
    """Mean and deviation over all frames of some songs, each ``(frames, width)``."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for song in songs:
        frames = song.double()
        count += len(frames)
        total = total + frames.sum(dim=0)
        squares = squares + frames.square().sum(dim=0)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    floor = MIN_DEVIATION * float(deviation.mean()) or 1.0
    return Scale(mean.float(), deviation.clamp(min=floor).float())


@torch.no_grad()
def fold(head: TrainableHead, scale: Scale) -> None:
    """Make a head that was trained on standardised features take raw ones, with equal scores."""
    first = head.input_layer
    weight = first.weight.double() / scale.deviation.to(first.weight.device)
    first.bias.sub_((weight @ scale.mean.to(weight)).to(first.bias))
    first.weight.copy_(weight)
