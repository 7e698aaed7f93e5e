"""Inference of a head over frozen states of unequal lengths: scores and distributions.

What a head with the released text pooling says of a clip depends on the clips in its batch. Such a
head goes through each list as the released code does: sorted by name, in batches of 16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from heads import DualBranchHead
from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.predictions import ClipPredictions

__all__ = [
    "RELEASED_BATCH",
    "Example",
    "apply_head",
    "chunks",
    "is_released",
    "pad",
    "predict_clips",
    "run_head",
]

Item = TypeVar("Item")
BATCH = 32
RELEASED_BATCH = 16


@dataclass(frozen=True)
class Example:
    """Frozen states of a clip and its prompt, with its scores where they are known.

    Shape:
        - audio: ``(frames, audio_dim)``; text: ``(tokens, text_dim)``
        - text_padding: ``(text_dim,)``, the state at padding tokens, for the released text pooling
    """

    audio: Tensor
    text: Tensor
    scores: tuple[float, float] | None = None
    text_padding: Tensor | None = None


def is_released(head: DualBranchHead) -> bool:
    """Return True for a head that reads states prepared as the released code does."""
    return head.config.text_pooling == "released"


def run_head(head: DualBranchHead, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Return the outputs of both branches for examples of any lengths, on the head's device.

    Raises:
        InputError: If the head reads the state at padding tokens, and an example has none.
    """
    audio, audio_padding_mask = pad([example.audio for example in examples])
    text, text_padding_mask = pad([example.text for example in examples])
    if is_released(head):
        fill = [example.text_padding for example in examples if example.text_padding is not None]
        if len(fill) < len(examples):
            raise InputError(
                "a head of the published recipe reads the text encoder's state at padding tokens; "
                "encode the prompts with released=True"
            )
        text = torch.where(text_padding_mask[..., None], torch.stack(fill)[:, None].float(), text)
    device = next(head.parameters()).device
    parts = (audio, text, audio_padding_mask, text_padding_mask)
    music_impression, text_alignment = head(*(part.to(device) for part in parts))
    return music_impression, text_alignment


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return sequences as one float32 batch, padded to the longest, and its padding mask.

    Shape:
        - sequences: ``(length, dim)`` each; output: ``(batch, longest, dim)``, ``(batch, longest)``
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    padded = pad_sequence(list(sequences), batch_first=True).float()
    return padded, torch.arange(padded.shape[1]) >= lengths[:, None]


@torch.no_grad()
def apply_head(
    head: DualBranchHead,
    examples: Sequence[Example],
    batches: Sequence[Sequence[int]] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return scores ``(n, 2)`` and distributions ``(n, 2, bins)`` (None if the head has none).

    The head is left in evaluation mode. ``batches`` names the rows that share a batch; by default
    clips of similar length do, or as released 16 in the order given.
    """
    head.eval()
    if batches is None:
        order = list(range(len(examples)))
        if not is_released(head):
            order.sort(key=lambda row: len(examples[row].audio))
        batches = chunks(order, RELEASED_BATCH if is_released(head) else BATCH)
    scores = np.empty((len(examples), 2))
    distributions: np.ndarray | None = None
    if head.config.output == "distribution":
        distributions = np.empty((len(examples), 2, head.config.bins))
    for rows in batches:
        outputs = run_head(head, [examples[row] for row in rows])
        for column, output in enumerate(outputs):
            scores[rows, column] = head.scores(output).double().cpu().numpy()
            if distributions is not None:
                distributions[rows, column] = output.double().cpu().numpy()
    return scores, distributions


def predict_clips(
    head: DualBranchHead, clips: Sequence[MusicEvalClip], examples: Sequence[Example]
) -> ClipPredictions:
    """Return the predictions of a head for clips, in their order."""
    batches = released_batches(clips) if is_released(head) else None
    return ClipPredictions.of(clips, *apply_head(head, examples, batches))


def released_batches(clips: Sequence[MusicEvalClip]) -> list[list[int]]:
    """Return the rows of each batch of the released code: each list alone, sorted by name."""
    lists: dict[str, list[int]] = {}
    for row in sorted(range(len(clips)), key=lambda row: clips[row].name):
        lists.setdefault(clips[row].split, []).append(row)
    return [batch for rows in lists.values() for batch in chunks(rows, RELEASED_BATCH)]


def chunks(rows: Sequence[Item], size: int) -> list[list[Item]]:
    """Return rows in order, ``size`` at a time; the last ones may be fewer."""
    return [list(rows[first : first + size]) for first in range(0, len(rows), size)]
