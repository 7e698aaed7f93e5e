"""Padding masks: bool ``(batch, frames)``, True = padded, the same meaning in every head.

A missing mask means that every frame is valid. Heads check their input here, once; inside, ``None``
stands for "nothing is padded", so that attention over whole songs never builds a mask.
"""

import torch
from torch import Tensor

__all__ = ["active_padding", "check_sequence", "zero_padding"]


def check_sequence(
    sequence: Tensor, dim: int, padding_mask: Tensor | None = None, *, name: str = "features"
) -> None:
    """Check that a sequence is float ``(batch, frames, dim)`` and its mask bool, of its frames.

    Raises:
        ValueError: If a shape or type is wrong; ``name`` is that of the sequence in the message.
    """
    if sequence.ndim != 3 or sequence.shape[-1] != dim or not sequence.is_floating_point():
        raise ValueError(
            f"{name}: expected floats of shape (batch, frames, {dim}), "
            f"got {sequence.dtype} of shape {tuple(sequence.shape)}"
        )
    if padding_mask is not None and (
        padding_mask.dtype != torch.bool or padding_mask.shape != sequence.shape[:2]
    ):
        raise ValueError(
            f"{name}: padding_mask must be bool (True = padded) of shape "
            f"{tuple(sequence.shape[:2])}, got {padding_mask.dtype} of shape "
            f"{tuple(padding_mask.shape)}"
        )


def active_padding(padding_mask: Tensor | None, *, need: str) -> Tensor | None:
    """Return the mask, or None where nothing is padded.

    Args:
        padding_mask: bool ``(batch, frames)``, True = padded, or None.
        need: Requirement of every item, for the error ("at least 3 frames of audio").

    Raises:
        ValueError: If every frame of an item is padded; names the items.
    """
    if padding_mask is None or not bool(padding_mask.any()):
        return None
    empty = padding_mask.all(dim=1).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"padding_mask leaves nothing of item(s) {empty}: each needs {need}")
    return padding_mask


def zero_padding(sequence: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Return the sequence with 0 at padded frames: no weight or gradient of 0 silences a NaN."""
    return sequence if padding_mask is None else sequence.masked_fill(padding_mask[..., None], 0.0)
