"""Linear heads on hidden states, and their losses.

Every loss is divided by that of the best constant guess, which the start measures on the pool: each
begins at 1, whatever its kind and number of classes, and weights say how much each counts.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.pretraining.rendered.labels import NONE
from hear_aesthetics.pretraining.supervised.batches import LabelledBatch
from hear_aesthetics.pretraining.supervised.kinds import BINARY
from hear_aesthetics.pretraining.teachers.cache import TeacherEmbeddings

__all__ = ["LabelHead", "TeacherHead", "weighted_mean"]

HEAD_STD = 0.02
MAX_POSITIVE_WEIGHT = 20.0
SMALLEST_LOSS = 1e-3  # of a constant guess: a label that never changes is no task


class LabelHead(nn.Module):
    """Head of one kind of label.

    Cross entropy of the frames that have a class; or, where a frame may hold several, binary cross
    entropies, in which a class that is there weighs ``sqrt(absent / present)``, at most 20: what is
    there is rare.

    Args:
        name: Label.
        dim: Width of the states.
        classes: Number of classes.
    """

    constant: Tensor
    positive_weight: Tensor

    def __init__(self, name: str, dim: int, classes: int) -> None:
        super().__init__()
        self.name, self.binary = name, name in BINARY
        self.linear = nn.Linear(dim, classes)
        nn.init.normal_(self.linear.weight, std=HEAD_STD)
        self.register_buffer("constant", torch.ones(()))
        self.register_buffer("positive_weight", torch.ones(()))

    @torch.no_grad()
    def fit(self, batches: Sequence[LabelledBatch]) -> None:
        """Set the bias to the best constant guess, and keep its loss."""
        every = torch.cat([self._applying(batch) for batch in batches])
        if self.binary:
            shares = (every.sum(0) + 0.5) / (len(every) + 1)
            mean = shares.mean()
            weight = ((1 - mean) / mean).sqrt().clamp(1.0, MAX_POSITIVE_WEIGHT)
            self.positive_weight.copy_(weight)
            self.linear.bias.copy_((weight * shares / (1 - shares)).log())
        else:
            counts = torch.bincount(every, minlength=self.linear.out_features) + 0.5
            self.linear.bias.copy_((counts / counts.sum()).log())
        guesses = self.linear.bias.expand(len(every), -1)
        loss = self._sum(guesses, every) / max(1, len(every))
        self.constant.copy_(loss.clamp(min=SMALLEST_LOSS))

    def forward(self, states: Tensor, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
        """Return the loss, 0 without a frame that has the label, and the number of such frames.

        Shape:
            - states: ``(B, T, dim)``; outputs: scalars
        """
        labels = self._applying(batch)
        logits = self.linear(self._applying_rows(states, batch)).float()
        frames = torch.tensor(len(labels), device=logits.device)
        return self._sum(logits, labels) / frames.clamp(min=1) / self.constant, frames

    def _applying_rows(self, rows: Tensor, batch: LabelledBatch) -> Tensor:
        """Return the rows ``(frames, ...)`` of frames whose label is known."""
        rows = rows[batch.applies[self.name]].flatten(0, 1)
        if self.binary:
            return rows
        labels = batch.labels[self.name][batch.applies[self.name]].flatten()
        return rows[labels != NONE]

    def _applying(self, batch: LabelledBatch) -> Tensor:
        return self._applying_rows(batch.labels[self.name], batch)

    def _sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the sum over frames of the mean over classes, or of the cross entropy."""
        if not self.binary:
            return F.cross_entropy(logits, labels, reduction="sum")
        weight = self.positive_weight
        loss = F.binary_cross_entropy_with_logits(
            logits, labels.float(), pos_weight=weight, reduction="sum"
        )
        return loss / logits.shape[-1]


class TeacherHead(nn.Module):
    """Head of one teacher: cosine distance and mean absolute error of its standardized embedding.

    S-SONDO (arXiv 2604.24933) found the cosine best of the losses on embeddings; the absolute error
    keeps their length.

    Args:
        name: Teacher.
        dim: Width of the states.
        width: Width of an embedding.
    """

    constant: Tensor

    def __init__(self, name: str, dim: int, width: int) -> None:
        super().__init__()
        self.name = name
        self.linear = nn.Linear(dim, width)
        nn.init.normal_(self.linear.weight, std=HEAD_STD)
        nn.init.zeros_(self.linear.bias)  # the mean of standardized embeddings
        self.register_buffer("constant", torch.ones(()))

    @torch.no_grad()
    def fit(self, teacher: TeacherEmbeddings) -> None:
        """Keep the loss of the best constant guess, which has no direction."""
        self.constant.fill_(1.0 + teacher.about["mean_absolute"])

    def forward(self, states: Tensor, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
        """Return the loss, 0 without a frame that has an embedding, and the number of such frames.

        Shape:
            - states: ``(B, T, dim)``; outputs: scalars
        """
        wanted = batch.embeddings[self.name].flatten(0, 1)
        known = wanted[:, 0].isfinite()
        guess, wanted = self.linear(states.flatten(0, 1)[known]).float(), wanted[known]
        distance = 1 - F.cosine_similarity(guess, wanted, dim=-1)
        loss = distance + (guess - wanted).abs().mean(dim=-1)
        frames = known.sum()
        return loss.sum() / frames.clamp(min=1) / self.constant, frames


def weighted_mean(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the mean of losses by their weights."""
    total = sum(weights[name] for name in losses)
    return torch.stack([weights[name] / total * loss for name, loss in losses.items()]).sum()
