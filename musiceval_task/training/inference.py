"""Inference of a head over frozen states of unequal lengths: scores and distributions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from heads import DualBranchHead

__all__ = ["Example", "apply_head", "pad", "run_head"]

BATCH = 32


@dataclass(frozen=True)
class Example:
    """Frozen states of a clip and its prompt, with its scores where they are known.

    Shape:
        - audio: ``(frames, audio_dim)``; text: ``(tokens, text_dim)``
    """

    audio: Tensor
    text: Tensor
    scores: tuple[float, float] | None = None


def run_head(head: torch.nn.Module, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """Return the outputs of both branches for examples of any lengths, on the head's device."""
    audio, audio_padding_mask = pad([example.audio for example in examples])
    text, text_padding_mask = pad([example.text for example in examples])
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
    head: DualBranchHead, examples: Sequence[Example]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return scores ``(n, 2)`` and distributions ``(n, 2, bins)`` (None if the head has none).

    The head is left in evaluation mode. Clips of similar length share a batch.
    """
    head.eval()
    order = sorted(range(len(examples)), key=lambda row: len(examples[row].audio))
    scores = np.empty((len(examples), 2))
    distributions: np.ndarray | None = None
    if head.config.output == "distribution":
        distributions = np.empty((len(examples), 2, head.config.bins))
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        outputs = run_head(head, [examples[row] for row in rows])
        for column, output in enumerate(outputs):
            scores[rows, column] = head.scores(output).double().cpu().numpy()
            if distributions is not None:
                distributions[rows, column] = output.double().cpu().numpy()
    return scores, distributions
