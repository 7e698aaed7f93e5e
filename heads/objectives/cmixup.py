"""C-Mixup: mixtures of each training song with another of similar scores.

Partners of row i are drawn with probability proportional to ``exp(-d_ij^2 / (2 * bandwidth^2))``, d
the Euclidean distance of the labels, and never from the same song (Yao et al., 2022). The published
way builds the N x N matrix of these probabilities. Here partners come from exact rejection
sampling: propose any row, accept with probability ``exp(...)``. Only rows whose labels are so rare
that proposals keep failing get their row of the matrix computed, a few at a time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["CMixupSampler", "mix", "mix_factor"]

PROPOSAL_ROUNDS = 12
MIN_PROPOSALS = 1_024  # per round
ROWS_AT_ONCE = 8  # whole rows of probabilities held in memory


class CMixupSampler:
    """Sampler of partners for C-Mixup, without an N x N matrix.

    Where no row of another song has any probability left in float64, all rows of other songs are
    equally likely; where there is only one song, all rows are.

    Args:
        labels: Scores of each row.
        groups: Song of each row; augmented copies of a song share its id. Numbers or names.
        bandwidth: Standard deviation of the kernel, in score points.

    Shape:
        - labels: ``(rows, dimensions)``
        - groups: ``(rows,)``

    Raises:
        ValueError: If lengths differ, a label is not finite, or the bandwidth is not positive.
    """

    def __init__(
        self, labels: Tensor, groups: Tensor | Sequence[int | str], bandwidth: float = 1.0
    ) -> None:
        names = groups.tolist() if isinstance(groups, Tensor) else list(groups)
        if labels.ndim != 2 or len(labels) != len(names) or not names:
            raise ValueError(
                f"labels must be (rows, dimensions) with one group per row, "
                f"got shape {tuple(labels.shape)} and {len(names)} groups"
            )
        if not torch.isfinite(labels).all():
            raise ValueError("labels hold NaN or infinite scores; drop those rows")
        if not bandwidth > 0:
            raise ValueError(f"bandwidth must be positive, got {bandwidth}")
        codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
        self._groups = torch.tensor([codes[name] for name in names])
        self._points = labels.detach().cpu().double() / (bandwidth * 2**0.5)
        self._single_group = len(codes) == 1

    def __len__(self) -> int:
        return len(self._groups)

    def probabilities(self, index: int) -> Tensor:
        """Return row ``index`` of the partner distribution.

        Shape:
            - output: ``(rows,)``, float64, sums to 1; exactly 0 within the song of ``index``
        """
        weights = self._weights(torch.tensor([index]))[0]
        return weights / weights.sum()

    def draw(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw one partner for each index, independently.

        Args:
            indices: Rows to find partners for, of any shape; repeats are fine.
            generator: Source of randomness (CPU); default: PyTorch's own.

        Returns:
            Row numbers, in the shape of ``indices``.
        """
        rows = torch.as_tensor(indices).flatten().cpu()
        partners = torch.empty_like(rows)
        pending = torch.arange(len(rows))
        for _ in range(0 if self._single_group else PROPOSAL_ROUNDS):
            if not len(pending):
                break
            # as rows find partners, those left get more proposals each, at constant work
            each = max(len(rows), MIN_PROPOSALS) // len(pending)
            proposed = torch.randint(len(self), (len(pending), each), generator=generator)
            accepted = self._accept(rows[pending], proposed, generator)
            found, first = accepted.max(dim=1)  # of equals, the first
            partners[pending[found]] = proposed[found, first[found]]
            pending = pending[~found]
        for some in pending.split(ROWS_AT_ONCE):
            weights = self._weights(rows[some])
            partners[some] = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        return partners.reshape(torch.as_tensor(indices).shape)

    def _accept(self, rows: Tensor, proposed: Tensor, generator: torch.Generator | None) -> Tensor:
        """Decide on each of several proposals per row, ``(some, proposals)``."""
        distances = (self._points[rows][:, None] - self._points[proposed]).square_().sum(dim=-1)
        chances = torch.rand(proposed.shape, dtype=torch.float64, generator=generator)
        other_song = self._groups[rows][:, None] != self._groups[proposed]
        return (chances < torch.exp(-distances)) & other_song

    def _weights(self, rows: Tensor) -> Tensor:
        """Return the unnormalized probabilities of some rows, ``(some, rows)``."""
        weights = torch.cdist(
            self._points[rows], self._points, compute_mode="donot_use_mm_for_euclid_dist"
        )
        weights.square_().neg_().exp_()
        if self._single_group:
            return weights.fill_(1.0)
        same_song = self._groups[rows][:, None] == self._groups
        weights.masked_fill_(same_song, 0.0)
        lost = weights.sum(dim=1, keepdim=True) == 0  # underflow: all are far away
        return weights.masked_fill_(lost & ~same_song, 1.0)


def mix_factor(
    batch: int,
    generator: torch.Generator | None = None,
    *,
    alpha: int = 2,
    per_sample: bool = False,
) -> Tensor:
    """Draw mixing factors from Beta(alpha, alpha).

    The ``alpha``-th smallest of ``2 * alpha - 1`` uniform numbers has this distribution, and unlike
    ``torch.distributions`` takes an explicit generator.

    Args:
        batch: Number of pairs in the batch.
        generator: Source of randomness (CPU); default: PyTorch's own.
        alpha: Shape of the distribution, a positive integer; published: 2.
        per_sample: A factor for each pair, or (published) one for the whole batch.

    Shape:
        - output: ``(batch,)``, float32 in [0, 1]

    Raises:
        ValueError: If ``alpha`` is not a positive integer.
    """
    if alpha != int(alpha) or alpha < 1:
        raise ValueError(f"alpha must be a positive integer, got {alpha}")
    uniform = torch.rand(batch if per_sample else 1, 2 * alpha - 1, generator=generator)
    return uniform.median(dim=1).values.expand(batch)


def mix(first: Tensor, second: Tensor, factor: Tensor) -> Tensor:
    """Return ``factor * first + (1 - factor) * second`` for each pair of a batch.

    Args:
        first: Pooled vectors or labels of the songs.
        second: The same of their partners.
        factor: From ``mix_factor``.

    Shape:
        - first, second, output: ``(batch, ...)``
        - factor: ``(batch,)``

    Raises:
        ValueError: If the shapes do not fit.
    """
    if first.shape != second.shape or factor.shape != first.shape[:1]:
        raise ValueError(
            f"cannot mix {tuple(first.shape)} and {tuple(second.shape)} "
            f"with factors of shape {tuple(factor.shape)}: need one factor per pair"
        )
    factor = factor.to(first).reshape(-1, *[1] * (first.ndim - 1))
    return factor * first + (1 - factor) * second
