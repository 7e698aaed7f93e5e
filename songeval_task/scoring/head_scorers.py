"""Heads by name or path, as scorers: which weights, which features, which columns.

``HEADS`` lists the named ones. A path is a head that this package trained, or a checkpoint in one
of the two published layouts; its class is read off the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from heads import AestheticHead, SongEvalBaselineHead
from heads.checkpoint import WEIGHTS_FILE, PretrainedHead, read_tensors
from hear_aesthetics.checkpoints import by_name, locate, weight_hash
from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.fusion import Features
from hear_aesthetics.scorers import FUSED, Scorer, load_saved, load_scorer, scorer_names

__all__ = [
    "HEADS",
    "HeadScorer",
    "NamedHead",
    "load_demo",
    "load_head",
]

BUNDLED = Path(__file__).parents[1] / "weights"
MUQ_STATE = "muq_06"  # hidden state that the SongEval and SongBench heads were trained on
UNFIT = frozenset({"demo", "untrained"})  # statuses whose scores say nothing about music
READS: dict[type[PretrainedHead], str] = {AestheticHead: FUSED, SongEvalBaselineHead: MUQ_STATE}
PUBLISHED = {"mixed_win_downsample.weight": AestheticHead, "ffd.0.weight": SongEvalBaselineHead}


@dataclass(frozen=True)
class NamedHead:
    """A head that has a name.

    Attributes:
        cls: Its class, which says what it reads.
        checkpoint: Its name among the published checkpoints; None for the bundled head.
    """

    cls: type[PretrainedHead]
    checkpoint: str | None


HEADS = {
    "track1": NamedHead(AestheticHead, "hear-track1"),
    "track2": NamedHead(AestheticHead, "hear-track2"),
    "songeval": NamedHead(SongEvalBaselineHead, "songeval"),
    "songbench": NamedHead(SongEvalBaselineHead, "songbench"),
    "demo": NamedHead(AestheticHead, None),
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

    def __init__(self, name: str, head: PretrainedHead, provenance: Mapping[str, Any]) -> None:
        self.name = name
        self.head = head.eval().requires_grad_(False)
        self.reads = (str(head.provenance.get("reads", READS[type(head)])),)
        self.columns: tuple[str, ...] = head.config.dimensions
        self.demo = head.provenance.get("status") in UNFIT
        self._provenance = {**provenance, **head.provenance}

    @property
    def feature_dim(self) -> int:
        """Width of the features it reads."""
        config = self.head.config
        return int(config.feature_dim if isinstance(self.head, AestheticHead) else config.dim)

    @property
    def min_frames(self) -> int:
        """Fewest frames that it can score."""
        return self.head.min_frames if isinstance(self.head, AestheticHead) else 1

    def provenance(self) -> dict[str, Any]:
        """Name, file, hash, and whatever the head itself recorded."""
        return {"head": self.name, "reads": self.reads[0], **self._provenance}

    def __call__(self, features: Features, row: Mapping[str, Any]) -> dict[str, float]:
        """Score one clip; ``row`` is not looked at."""
        with torch.no_grad():
            (scores,) = self.scores(self.input(features)).tolist()
        return dict(zip(self.columns, scores, strict=True))

    def input(self, features: Features) -> Tensor:
        """What it reads of ``features``: ``(B, frames, feature_dim)``."""
        (name,) = self.reads
        return features.fused if name == FUSED else features.states[name]

    def scores(self, sequence: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Scores ``(B, columns)`` of what :meth:`input` returned, or of parts of it."""
        return self.head(sequence, padding_mask)

    @property
    def attends(self) -> bool:
        """Whether its pooling attends, so that frames have a share in the pooled vector."""
        return isinstance(self.head, AestheticHead)

    def attention(self, sequence: Tensor) -> Tensor:
        """Share of each frame in the pooled vector, ``(B, frames)``; rows sum to 1.

        Last frames that do not fill a window of the downsampling have no share.
        """
        head = cast(AestheticHead, self.head)
        factor = head.min_frames
        mass = head.attention_mass(sequence).repeat_interleave(factor, dim=1) / factor
        return F.pad(mass, (0, sequence.shape[1] - mass.shape[1]))


def load_head(source: str | Path) -> tuple[str, Scorer]:
    """The scorer of a name or a path, and the name that rows give it.

    Args:
        source: One of ``HEADS``, an installed scorer, or the path of a checkpoint or its folder.

    Raises:
        ValueError: If it is none of these; lists the names.
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
    raise ValueError(f"{name!r} is neither a head ({known}) nor a file or folder")


def load_demo() -> HeadScorer:
    """The bundled head for the features of ``mini``: it shows the whole path offline."""
    return _load_named("demo")


def _load_named(name: str) -> HeadScorer:
    known = HEADS[name]
    if known.checkpoint is None:
        return _load_file(name, known.cls, BUNDLED / name / WEIGHTS_FILE)
    file = by_name(known.checkpoint).files[0].name
    return _load_file(name, known.cls, locate(known.checkpoint).folder / file)


def _load_path(path: Path) -> tuple[str, Scorer]:
    file = path / WEIGHTS_FILE if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{path}: no {WEIGHTS_FILE} in this folder; name the file itself")
    name = file.resolve().parent.name if file.name == WEIGHTS_FILE else file.stem
    kind = _kind_of(file)
    own = [cls for cls in READS if cls.__name__ == kind]
    if own:
        return name, _load_file(name, own[0], file)
    scorer = load_saved(kind, file)  # of another package
    if scorer is None:
        known = " or ".join(cls.__name__ for cls in READS)
        raise CheckpointError(f"{file}: holds {kind}; this takes {known}")
    return name, scorer


def _kind_of(file: Path) -> str:
    """The class whose weights a file holds, by what it says or by the names of its tensors."""
    try:
        tensors, saved = read_tensors(file)
    except (ValueError, OSError) as error:
        raise CheckpointError(str(error)) from error
    if saved is not None:
        return str(saved.get("head"))
    found = [cls.__name__ for tensor, cls in PUBLISHED.items() if tensor in tensors]
    return found[0] if found else "tensors of no published layout"


def _load_file(name: str, cls: type[PretrainedHead], file: Path) -> HeadScorer:
    try:
        head = cls.from_pretrained(file)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    return HeadScorer(name, head, {"file": file.name, "sha256": weight_hash(file)})
