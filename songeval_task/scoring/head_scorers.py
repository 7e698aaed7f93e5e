"""Heads by name or path, as scorers: which weights, which features, which columns.

``HEADS`` lists the named ones. A path is a head that this package trained, or a checkpoint in one
of the two published layouts; its class is read off the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from heads import SequenceHead
from heads.auto import HEADS as CLASSES
from heads.auto import head_name
from heads.checkpoint import WEIGHTS_FILE
from hear_aesthetics.checkpoints import by_name, locate_checkpoint, weight_hash
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.features.fusion import Features
from hear_aesthetics.scorers import Scorer, load_saved, load_scorer, scorer_names

__all__ = ["HEADS", "HeadScorer", "load_demo", "load_head"]

BUNDLED = Path(__file__).parents[1] / "weights"
UNFIT = frozenset({"demo", "untrained"})  # statuses whose scores say nothing about music

HEADS = {  # name -> that of the published checkpoint; None: bundled
    "track1": "hear-track1",
    "track2": "hear-track2",
    "songeval": "songeval",
    "songbench": "songbench",
    "demo": None,
}


class HeadScorer:
    """A head with a name, as one of the scorers that read features of a shared encoder pass.

    Attributes:
        name: What rows call it.
        head: In evaluation mode.
        reads: What it reads: one name, ``"fused"`` or a hidden state such as ``"muq_06"``.
        columns: Names of its dimensions.
        demo: Whether its scores say nothing about music.
    """

    def __init__(self, name: str, head: SequenceHead, provenance: Mapping[str, Any]) -> None:
        self.name = name
        self.head = head.eval().requires_grad_(False)
        self.reads = (str(head.provenance.get("reads", head.reads)),)
        self.columns: tuple[str, ...] = head.config.dimensions
        self.demo = head.provenance.get("status") in UNFIT
        self._provenance = {**head.provenance, **provenance}

    def provenance(self) -> dict[str, Any]:
        """Name, file, hash, and whatever the head itself recorded."""
        return {**self._provenance, "head": self.name, "reads": self.reads[0]}

    def fingerprint(self) -> dict[str, Any]:
        """What decides its scores."""
        return {**self.head.fingerprint(), "reads": self.reads[0]}

    def __call__(self, features: Features, row: Mapping[str, Any]) -> dict[str, float]:
        """Score one clip; ``row`` is not looked at."""
        with torch.no_grad():
            (scores,) = self.scores(self.input(features)).tolist()
        return dict(zip(self.columns, scores, strict=True))

    def input(self, features: Features) -> Tensor:
        """What it reads of ``features``: ``(B, frames, feature_dim)``."""
        return features.read(self.reads[0])

    def scores(self, sequence: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Scores ``(B, columns)`` of what :meth:`input` returned, or of parts of it."""
        return self.head(sequence, padding_mask)


def load_head(source: str | Path) -> tuple[str, Scorer]:
    """The scorer of a name or a path, and the name that rows give it.

    Args:
        source: One of ``HEADS``, an installed scorer, or the path of a checkpoint or its folder.

    Raises:
        InputError: If it is none of these; lists the names.
        WeightsUnavailableError: If a named head is neither on this machine nor reachable.
        CheckpointError: If a file does not hold a head.
    """
    name = str(source)
    if name in HEADS:
        return name, _load_named(name)
    if name in scorer_names():
        return name, load_scorer(name)
    path = Path(source).expanduser()
    if path.exists():
        return _load_path(path)
    known = ", ".join(dict.fromkeys([*HEADS, *scorer_names()]))
    raise InputError(f"{name!r} is neither a head ({known}) nor a file or folder")


def load_demo() -> Scorer:
    """The bundled head for the features of ``mini``: it shows the whole path offline."""
    return _load_named("demo")


def _load_named(name: str) -> Scorer:
    checkpoint = HEADS[name]
    if checkpoint is None:
        return _load_file(name, BUNDLED / name / WEIGHTS_FILE)
    file = by_name(checkpoint).files[0].name
    return _load_file(name, locate_checkpoint(checkpoint).folder / file)


def _load_path(path: Path) -> tuple[str, Scorer]:
    file = path / WEIGHTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{path}: no {WEIGHTS_FILE} in this folder; name the file itself")
    name = file.resolve().parent.name if file.name == WEIGHTS_FILE else file.stem
    return name, _load_file(name, file)


def _load_file(name: str, file: Path) -> Scorer:
    try:
        kind = head_name(file)
        cls = CLASSES.get(kind)
        if cls is not None and issubclass(cls, SequenceHead):
            head = cls.from_pretrained(file)
            return HeadScorer(name, head, {"file": file.name, "sha256": weight_hash(file)})
    except (ValueError, OSError) as error:
        raise CheckpointError(str(error)) from error
    scorer = load_saved(kind, file)  # of another package
    if scorer is None:
        known = " or ".join(n for n, cls in CLASSES.items() if issubclass(cls, SequenceHead))
        raise CheckpointError(f"{file}: holds {kind}; this takes {known}")
    return scorer
