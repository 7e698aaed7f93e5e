"""Strict translation between the tensors of a published checkpoint and ours, both ways.

A head describes each published tensor by a ``Slot``: the tensor of ours that holds it and the place
in it. Renamed, reshaped and stacked tensors are all cases of that one rule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "Slot",
    "attention_slots",
    "check_shapes",
    "count_numbered",
    "from_published",
    "layer_slots",
    "to_published",
]

NAMES_SHOWN = 6  # per kind of mismatch; an error stays one readable line


@dataclass(frozen=True)
class Slot:
    """Location of a published tensor in ours.

    Attributes:
        name: Name of our tensor.
        index: Index into its leading axes, empty for all of it.
        shape: Published shape; None if equal to that of our part.
    """

    name: str
    index: tuple[int, ...] = ()
    shape: tuple[int, ...] | None = None


def from_published(
    published: Mapping[str, Tensor],
    slots: Mapping[str, Slot],
    ours: Mapping[str, Tensor],
    *,
    where: str,
) -> dict[str, Tensor]:
    """Return our state dict, of which ``ours`` has the shapes, with the values of a published one.

    Raises:
        ValueError: If names are missing or unexpected, or shapes differ; lists them after the file
            ``where``.
    """
    expected = {
        name: slot.shape or ours[slot.name][slot.index].shape for name, slot in slots.items()
    }
    check_shapes({name: t.shape for name, t in published.items()}, expected, where=where)
    state = {name: torch.empty(tensor.shape) for name, tensor in ours.items()}
    for name, slot in slots.items():
        part = state[slot.name][slot.index]
        part.copy_(published[name].reshape(part.shape))
    return state


def to_published(ours: Mapping[str, Tensor], slots: Mapping[str, Slot]) -> dict[str, Tensor]:
    """Return the published layout of our tensors (a state dict, or gradients by name)."""
    parts = {name: ours[slot.name][slot.index] for name, slot in slots.items()}
    return {name: p.reshape(slots[name].shape or p.shape).clone() for name, p in parts.items()}


def check_shapes(
    found: Mapping[str, Iterable[int]], expected: Mapping[str, Iterable[int]], *, where: str
) -> None:
    """Check that two sets of tensors have the same names and shapes.

    Raises:
        ValueError: If not; one line lists what is missing, unexpected and of another shape.
    """
    differences = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "wrong shape": [
            f"{name} {tuple(found[name])} instead of {tuple(expected[name])}"
            for name in expected
            if name in found and tuple(found[name]) != tuple(expected[name])
        ],
    }
    listed = "; ".join(f"{kind}: {_shorten(names)}" for kind, names in differences.items() if names)
    if listed:
        raise ValueError(f"{where}: the tensors do not fit this head ({listed})")


def layer_slots(published: str, ours: str) -> dict[str, Slot]:
    """Return the slots of a layer's weight and bias, given both name prefixes."""
    return {f"{published}{kind}": Slot(f"{ours}{kind}") for kind in ("weight", "bias")}


def attention_slots(published: str, ours: str, layers: int) -> dict[str, Slot]:
    """Return the slots of numbered ``nn.MultiheadAttention`` layers, given both name prefixes."""
    slots: dict[str, Slot] = {}
    for layer in range(layers):
        slots |= layer_slots(f"{published}{layer}.in_proj_", f"{ours}{layer}.qkv.")
        slots |= layer_slots(f"{published}{layer}.out_proj.", f"{ours}{layer}.out.")
    return slots


def count_numbered(names: Iterable[str], prefix: str) -> int:
    """Return how many different numbers follow a prefix.

    Raises:
        KeyError: If there is none.

    Example:
        >>> count_numbered(["a.0.weight", "a.0.bias", "a.1.weight"], "a.")
        2
    """
    numbers = {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}
    if not numbers:
        raise KeyError(f"{prefix}0")
    return len(numbers)


def _shorten(names: list[str]) -> str:
    rest = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
