"""A head over frozen states: batches of unequal length in, scores and distributions out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from heads import DualBranchHead

__all__ = ["Batch", "Example", "apply_head", "collate"]

BATCH = 32


@dataclass(frozen=True)
class Example:
    """The frozen states of a clip and its prompt, and its scores where they are known.

    Shape:
        - audio: ``(frames, audio_dim)``; text: ``(tokens, text_dim)``
    """

    audio: Tensor
    text: Tensor
    scores: tuple[float, float] | None = None


@dataclass(frozen=True)
class Batch:
    """Examples padded to the longest, with True where they are padded.

    Shape:
        - audio: ``(batch, frames, audio_dim)``; text: ``(batch, tokens, text_dim)``
        - audio_padding_mask: ``(batch, frames)``; text_padding_mask: ``(batch, tokens)``
    """

    audio: Tensor
    text: Tensor
    audio_padding_mask: Tensor
    text_padding_mask: Tensor

    def outputs(self, head: torch.nn.Module) -> tuple[Tensor, Tensor]:
        """What both branches of a head predict, on its device."""
        device = next(head.parameters()).device
        music_impression, text_alignment = head(*(part.to(device) for part in vars(self).values()))
        return music_impression, text_alignment


def collate(examples: Sequence[Example]) -> Batch:
    """One batch of examples of any lengths."""
    audio, audio_mask = _pad([example.audio for example in examples])
    text, text_mask = _pad([example.text for example in examples])
    return Batch(audio, text, audio_mask, text_mask)


@torch.no_grad()
def apply_head(
    head: DualBranchHead, examples: Sequence[Example]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores ``(n, 2)`` and distributions ``(n, 2, bins)``; None where the head predicts none.

    The head is left in evaluation mode. Clips of similar length go together.
    """
    head.eval()
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].audio))
    scores = np.empty((len(examples), 2))
    distributions: np.ndarray | None = None
    if head.config.output == "distribution":
        distributions = np.empty((len(examples), 2, head.config.bins))
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        outputs = collate([examples[place] for place in places]).outputs(head)
        for column, output in enumerate(outputs):
            scores[places, column] = head.scores(output).double().cpu().numpy()
            if distributions is not None:
                distributions[places, column] = output.double().cpu().numpy()
    return scores, distributions


def _pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sequences side by side in float32, and True where they are padded."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    padded = pad_sequence(list(sequences), batch_first=True).float()
    return padded, torch.arange(padded.shape[1]) >= lengths[:, None]
