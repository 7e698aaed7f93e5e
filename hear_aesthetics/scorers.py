"""Scorers of features, found by name in whatever package registers them.

The entry point group ``hear_aesthetics.scorers`` holds loaders without arguments, by the name of
``score --head NAME``; ``hear_aesthetics.saved_scorers`` holds loaders of saved weights by their
path, under the name of the head's class, which ``score --head FOLDER`` reads off the file.

A scorer may name its inputs in an attribute ``reads``: ``("fused",)``, the default, is the fused
feature, ``("muq_12",)`` hidden state 12 of MuQ's track view.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import FUSED, Features, HiddenState

__all__ = [
    "FUSED",
    "Scorer",
    "hidden_states",
    "load_saved",
    "load_scorer",
    "reads_of",
    "scorer_names",
]

GROUP = "hear_aesthetics.scorers"
SAVED_GROUP = "hear_aesthetics.saved_scorers"


class Scorer(Protocol):
    """Scorer of one clip."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the scores, in order."""

    def __call__(self, features: Features, row: Mapping[str, Any]) -> dict[str, float]:
        """Score a clip.

        Args:
            features: Of the clip alone, a batch of one: ``(1, frames, dim)`` each, float32.
            row: The clip: ``path``, ``start``, ``end`` and ``prompt``, None where not given.

        Returns:
            One number for each of ``columns``.
        """


def reads_of(scorer: Scorer) -> tuple[str, ...]:
    """Return the inputs of a scorer: ``"fused"``, or hidden states such as ``"muq_06"``."""
    return tuple(getattr(scorer, "reads", (FUSED,)))


def hidden_states(reads: Iterable[str]) -> tuple[HiddenState, ...]:
    """Return the hidden states among what scorers read, each once.

    Raises:
        ValueError: If a name is neither ``"fused"`` nor ``"<source>_<layer>"``.
    """
    return tuple(dict.fromkeys(HiddenState.parse(name) for name in reads if name != FUSED))


def scorer_names() -> list[str]:
    """Return the names of all installed scorers, sorted."""
    return sorted(entry_points(group=GROUP).names)


def load_scorer(name: str) -> Scorer:
    """Load an installed scorer.

    Raises:
        ValueError: If there is none; lists the names.
    """
    found = entry_points(group=GROUP)
    if name not in found.names:
        known = ", ".join(scorer_names()) or "none: no package that scores is installed"
        raise InputError(f"unknown scorer {name!r}; known: {known}")
    return found[name].load()()


def load_saved(kind: str, path: Path) -> Scorer | None:
    """Load the scorer of saved weights, from the package that knows heads of their class.

    Args:
        kind: Name of the head's class.
        path: File of the weights.

    Returns:
        None if no installed package knows the class.
    """
    found = entry_points(group=SAVED_GROUP)
    return found[kind].load()(path) if kind in found.names else None
