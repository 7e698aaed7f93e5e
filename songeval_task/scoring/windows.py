"""Windows of a clip: scores over time, scores without a window, attention per window.

Windows are pairs of frame indices, ``(start, stop)``, 25 frames to the second. All functions work
on a batch of clips of one length, so that the windows of each are the same.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from heads import SequenceHead
from hear_aesthetics.spec import FRAME_RATE

__all__ = [
    *("EXPLAIN_SECONDS", "HOP_SECONDS", "WINDOW_SECONDS", "attention_per_window"),
    *("changes_without", "disjoint_windows", "sliding_windows", "window_scores"),
]

Window = tuple[int, int]

WINDOW_SECONDS = 30  # of a score over time: as long as the segments of the feature
HOP_SECONDS = 10
EXPLAIN_SECONDS = 10
FRAMES_PER_PASS = 8 * WINDOW_SECONDS * FRAME_RATE  # of windows scored together


def sliding_windows(frames: int) -> list[Window]:
    """Return windows of 30 s every 10 s; the last one ends with the clip and may be shorter.

    A window after the first is longer than 20 s. A clip no longer than one window is one window.

    >>> sliding_windows(45 * 25)
    [(0, 750), (250, 1000), (500, 1125)]
    """
    length, hop = WINDOW_SECONDS * FRAME_RATE, HOP_SECONDS * FRAME_RATE
    count = 1 + max(0, -(-(frames - length) // hop))
    return [(i * hop, min(i * hop + length, frames)) for i in range(count)]


def disjoint_windows(frames: int) -> list[Window]:
    """Return windows of 10 s side by side; a rest shorter than 5 s belongs to the last one.

    >>> disjoint_windows(24 * 25)
    [(0, 250), (250, 600)]
    """
    length = EXPLAIN_SECONDS * FRAME_RATE
    count = max(1, (frames + length // 2) // length)
    starts = [i * length for i in range(count)]
    return list(zip(starts, [*starts[1:], frames], strict=True))


def window_scores(head: SequenceHead, sequence: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return the scores of each window as if it were a clip.

    Shape:
        - sequence: ``(B, frames, dim)``
        - output: ``(B, windows, columns)``
    """
    parts = [
        head(torch.cat([sequence[:, start:stop] for start, stop in group]))
        for group in _passes(windows, len(sequence))
    ]
    return torch.cat([part.unflatten(0, (-1, len(sequence))) for part in parts]).transpose(0, 1)


def changes_without(head: SequenceHead, sequence: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return how the scores change when each window is left out: without it, minus with it.

    The window is masked as padding, so neither attention nor pooling sees it. Features keep what
    the encoders heard of the window. NaN where nothing would be left.

    Shape:
        - sequence: ``(B, frames, dim)``
        - output: ``(B, windows, columns)``
    """
    whole = head(sequence)
    if len(windows) == 1:
        return torch.full_like(whole, torch.nan)[:, None]
    changes = []
    for start, stop in windows:
        left_out = torch.zeros(sequence.shape[:2], dtype=torch.bool, device=sequence.device)
        left_out[:, start:stop] = True
        changes.append(head(sequence, left_out) - whole)
    return torch.stack(changes, dim=1)


def attention_per_window(
    head: SequenceHead, sequence: Tensor, windows: Sequence[Window]
) -> Tensor | None:
    """Return each window's share in the pooled vector; None if the head has no attention pooling.

    Shape:
        - sequence: ``(B, frames, dim)``
        - output: ``(B, windows)``; rows sum to 1
    """
    shares = head.frame_shares(sequence)
    if shares is None:
        return None
    return torch.stack([shares[:, start:stop].sum(dim=1) for start, stop in windows], dim=1)


def _passes(windows: Sequence[Window], batch: int) -> Iterator[list[Window]]:
    """Yield neighbours of equal length, as many as one pass takes."""
    for length, group in groupby(windows, key=lambda window: window[1] - window[0]):
        alike = list(group)
        size = max(1, FRAMES_PER_PASS // (length * batch))
        for first in range(0, len(alike), size):
            yield alike[first : first + size]
