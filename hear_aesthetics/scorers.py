"""Scorers by name: what turns features into named scores, whichever package brings it.

A package registers a loader, which takes no arguments, in the entry point group
``hear_aesthetics.scorers``; ``score --head NAME`` and the demo find it there. So this package
reaches the scorers of packages that it may not import.

A package whose heads are trained by the user registers, in ``hear_aesthetics.saved_scorers`` and
under the name of the head's class, a loader that takes the path of the weights: ``score --head
FOLDER`` finds it by what the file says it holds.

A scorer may also say what it reads in an attribute ``reads``: ``("fused",)``, the default, is the
fused feature, ``("muq_12",)`` hidden state 12 of MuQ's track view.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

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
    """Named scores of one clip."""

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
    """What a scorer reads: ``"fused"``, or hidden states as ``"<source>_<layer>"``."""
    return tuple(getattr(scorer, "reads", (FUSED,)))


def hidden_states(reads: Iterable[str]) -> tuple[HiddenState, ...]:
    """Return the hidden states among what scorers read, each once.

    Raises:
        ValueError: If a name is neither ``"fused"`` nor ``"<source>_<layer>"``.
    """
    return tuple(dict.fromkeys(HiddenState.parse(name) for name in reads if name != FUSED))


def scorer_names() -> list[str]:
    """Names of all installed scorers, sorted."""
    return sorted(entry_points(group=GROUP).names)


def load_scorer(name: str) -> Scorer:
    """The installed scorer of that name.

    Raises:
        ValueError: If there is none; lists the names.
    """
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        known = ", ".join(scorer_names()) or "none: no package that scores is installed"
        raise ValueError(f"unknown scorer {name!r}; known: {known}")
    return found[0].load()()


def load_saved(kind: str, path: Path) -> Scorer | None:
    """The scorer of saved weights, from the package that knows heads of that kind.

    Args:
        kind: Name of the head's class, as its file says.
        path: The weights.

    Returns:
        None if no installed package knows the kind.
    """
    found = list(entry_points(group=SAVED_GROUP, name=kind))
    return found[0].load()(path) if found else None
