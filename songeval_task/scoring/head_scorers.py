"""Heads by name or path, as scorers.

``NAMED_HEADS`` lists the named ones. A path is a head that this package trained, or a checkpoint
in one of the published layouts; its class is read off the file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor

from heads import SequenceHead
from heads.auto import HEADS, head_name
from heads.checkpoint import WEIGHTS_FILE
from hear_aesthetics.checkpoints import by_name, locate_checkpoint, weight_hash
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.features.fusion import Features, HiddenState
from hear_aesthetics.model import HearModel
from hear_aesthetics.scorers import (
    FUSED,
    BatchScorer,
    Scorer,
    Windows,
    load_saved,
    load_scorer,
    scorer_names,
)
from hear_aesthetics.spec import HOP_LENGTH, MEL_PER_FRAME, MIN_SAMPLES
from songeval_task.data.dataset import RATINGS_KEY, SIMULATED
from songeval_task.scoring.judges import JUDGES
from songeval_task.scoring.windows import attention_per_window, changes_without, window_scores
from songeval_task.training.config import TrainableHead
from songeval_task.training.saved_head import SavedHead
from songeval_task.uncertainty.calibration import (
    FILE_NAME,
    Calibration,
    fingerprint_of,
    read_calibration,
)

__all__ = [
    *("HEARD_ALONE", "NAMED_HEADS", "HeadScorer", "load_demo", "load_head_scorer"),
    "load_saved_head",
]

BUNDLED = Path(__file__).parents[1] / "weights"
UNFIT = frozenset({"demo", "untrained"})  # statuses whose scores say nothing about music

NAMED_HEADS = {  # name -> that of the published checkpoint; None: bundled
    "track1": "hear-track1",
    "track2": "hear-track2",
    "songeval": "songeval",
    "songbench": "songbench",
    "audiobox": "audiobox",
    "muq-eval": "muq-eval",
    "demo": None,
}
NAMED_CLASSES = {  # name -> class of the published weights
    "track1": "AestheticHead",
    "track2": "AestheticHead",
    "songeval": "SongEvalBaselineHead",
    "songbench": "SongEvalBaselineHead",
    "audiobox": "AudioboxHead",
    "muq-eval": "MuQEvalHead",
}
HEARD_ALONE = frozenset({"audiobox", "muq-eval"})  # those that read nothing but waveforms
TRAINING_FILES = {  # of Audiobox and MuQ-Eval, published beside what is needed
    "checkpoint.pt": WEIGHTS_FILE,
    "best_model.pt": "model_state_dict.pt",
}


class HeadScorer(BatchScorer):
    """A named head: one of the scorers that read features of a shared encoder pass.

    Attributes:
        name: Name in rows.
        head: The head, in evaluation mode.
        reads: Its features: one name, ``"fused"`` or a hidden state such as ``"muq_06"``.
        columns: Names of its dimensions.
        calibration: What is known of its errors; None: nothing.
        calibration_file: Where that comes from.
    """

    gives = frozenset({"timeline", "explain"})

    def __init__(self, name: str, head: SequenceHead, provenance: Mapping[str, Any]) -> None:
        self.name = name
        self.head = head.eval().requires_grad_(False)
        self.reads = (str(head.provenance.get("reads", head.reads)),)
        self.columns: tuple[str, ...] = head.config.dimensions
        self.scale = head.config.low, head.config.high
        self.demo = (
            head.provenance.get("status") in UNFIT or head.provenance.get(RATINGS_KEY) == SIMULATED
        )
        mel_frames = (head.min_frames - 1) * MEL_PER_FRAME + 1
        self.min_samples = max(MIN_SAMPLES, mel_frames * HOP_LENGTH)
        self.calibration: Calibration | None = None
        self.calibration_file: Path | None = None
        self._provenance = {**head.provenance, **provenance}

    def provenance(self) -> dict[str, Any]:
        """Return name, file, hash, and whatever the head itself recorded."""
        return {**self._provenance, "head": self.name, "reads": self.reads[0]}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides its scores."""
        return {**self.head.fingerprint(), "reads": self.reads[0]}

    def calibrated_for(self, model: HearModel | None = None) -> dict[str, Any]:
        """Return what a calibration has to be of: this head, and its model where it is known."""
        kind = "features" if self.reads[0] == FUSED else "states"
        made = model.fingerprint(kind) if model else None
        return fingerprint_of(self.head.fingerprint(), self.reads[0], made)

    def calibrate(self, path: Path, calibration: Calibration | None = None) -> None:
        """Take a calibration from a file, or one that was read from it.

        Raises:
            InputError: If the file holds none, or one of another head or other dimensions.
        """
        calibration = calibration or read_calibration(path)
        calibration.check(path, self.calibrated_for())
        if calibration.dimensions != self.columns:
            names = ", ".join(calibration.dimensions)
            raise InputError(
                f"{path}: calibrates {names}, the head scores {', '.join(self.columns)}; make it "
                "again with `hear-aesthetics calibrate`"
            )
        self.calibration, self.calibration_file = calibration, path

    def to(self, device: torch.device) -> None:
        """Move the head to a device."""
        self.head.to(device)

    def attach(self, model: HearModel) -> None:
        """Check that head and calibration fit a model, and move to its device.

        Raises:
            InputError: If the head takes features of another width, or the calibration is of
                another model.
        """
        (read,) = self.reads
        width = model.timestamp_embedding_size
        if read != FUSED:
            width = model.encoder_dim(HiddenState.parse(read).source)
        if width != self.head.feature_dim:
            raise InputError(
                f"head {self.name} takes {read} features {self.head.feature_dim} wide, model "
                f"{model.name} makes them {width} wide; choose the model it was trained on "
                "(the published heads: large; heads of mini before 0.2.0: mini-0.1)"
            )
        if self.calibration and self.calibration_file:
            self.calibration.check(self.calibration_file, self.calibrated_for(model))
        super().attach(model)

    def compute(self, features: Features, windows: Windows) -> dict[str, Tensor]:
        """Score a batch; see :class:`BatchScorer`."""
        sequence = self.input(features)
        pooled = self.head.pool(sequence)
        outputs = {"scores": self.head.score(pooled), "pooled": pooled.float()}
        if self.calibration:
            distance = self.calibration.reference.distance(pooled.float().cpu())
            outputs["distance"] = torch.from_numpy(distance)
        if windows.timeline:
            outputs["timeline"] = window_scores(self.head, sequence, windows.timeline)
        if windows.explain:
            shared = sequence[:, : windows.explain[-1][1]]  # of features of other lengths
            outputs["explain"] = changes_without(self.head, shared, windows.explain)
            shares = attention_per_window(self.head, shared, windows.explain)
            if shares is not None:
                outputs["attention"] = shares
        return outputs

    def input(self, features: Features) -> Tensor:
        """Return the part of ``features`` that it reads: ``(B, frames, feature_dim)``."""
        return features.read(self.reads[0])


def load_head_scorer(source: str | Path) -> tuple[str, Scorer]:
    """Return the scorer of a name or a path, after its name in rows.

    Args:
        source: One of ``NAMED_HEADS``, an installed scorer, or a checkpoint or its folder.

    Raises:
        InputError: If it is none of these; lists the names.
        WeightsUnavailableError: If a named head is neither on this machine nor reachable.
        CheckpointError: If a file does not hold a head.
    """
    name = str(source)
    if name in NAMED_HEADS:
        checkpoint = NAMED_HEADS[name]
        if checkpoint is None:
            return name, load_demo()
        file = locate_checkpoint(checkpoint).folder / by_name(checkpoint).files[0].name
        return name, _load(name, file, NAMED_CLASSES[name])
    if name in scorer_names():
        return name, load_scorer(name)
    path = Path(source).expanduser()
    if not path.exists():
        known = ", ".join(dict.fromkeys([*NAMED_HEADS, *scorer_names()]))
        raise InputError(f"{name!r} is neither a head ({known}) nor a file or folder")
    file = _file_in(path) if path.is_dir() else path
    of_folder = path.is_dir() or file.name == WEIGHTS_FILE
    name = file.resolve().parent.name if of_folder else file.stem
    return name, _load(name, file)


def _file_in(folder: Path) -> Path:
    """Return the weights in a folder, which bear the name of saved or of published ones."""
    published = [by_name(name).files[0].name for name in NAMED_HEADS.values() if name]
    names = dict.fromkeys([WEIGHTS_FILE, *published])
    found = [folder / name for name in names if (folder / name).is_file()]
    if found and (len(found) == 1 or found[0].name == WEIGHTS_FILE):
        return found[0]
    if found:
        several = " and ".join(file.name for file in found)
        raise CheckpointError(f"{folder}: holds {several}; name the file itself")
    for training, needed in TRAINING_FILES.items():
        if (folder / training).is_file():
            raise CheckpointError(
                f"{folder}: no {needed} in this folder; if its {training} is the published one, "
                f"take the {needed} beside it, otherwise name the file itself"
            )
    raise CheckpointError(f"{folder}: no {WEIGHTS_FILE} in this folder; name the file itself")


def load_saved_head(source: str | Path) -> SavedHead:
    """Return a head of features, by name or path as :func:`load_head_scorer` takes it.

    Raises:
        InputError: Also if it is a scorer of another package, which reads more than features.
    """
    _, scorer = load_head_scorer(source)
    if not (isinstance(scorer, HeadScorer) and isinstance(scorer.head, TrainableHead)):
        raise InputError(f"{source}: scores more than features alone; name a SongEval head")
    made = scorer.provenance()
    return SavedHead(scorer.head, scorer.reads[0], made["file"], made["sha256"])


def load_demo() -> Scorer:
    """Return the bundled head for the features of ``mini``: it shows the whole path offline."""
    return _load("demo", BUNDLED / "demo" / WEIGHTS_FILE)


def _load(name: str, file: Path, wanted: str | None = None) -> Scorer:
    """Return the scorer of a file, which holds weights of the class ``wanted`` if one is given."""
    try:
        kind = head_name(file)
        if wanted not in (None, kind):
            raise CheckpointError(f"{file}: holds {kind}, not {wanted}, which {name} is")
        if kind in JUDGES:
            load_judge: Callable[[Path], Scorer] = resolve_name(JUDGES[kind])
            return load_judge(file)
        cls = HEADS.get(kind)
        if cls is not None and issubclass(cls, SequenceHead):
            head = cls.from_pretrained(file)
            scorer = HeadScorer(name, head, {"file": file.name, "sha256": weight_hash(file)})
            own = file.with_name(FILE_NAME)
            if file.name == WEIGHTS_FILE and own.is_file():
                scorer.calibrate(own)
            return scorer
    except InputError:
        raise
    except (ValueError, OSError) as error:
        hint = ""
        if needed := TRAINING_FILES.get(file.name):
            with_config = " with its config.json" if needed == WEIGHTS_FILE else ""
            hint = f"; if it is a published training checkpoint, take the {needed} beside it"
            hint += with_config
        raise CheckpointError(f"{error}{hint}") from error
    other = load_saved(kind, file)  # of another package
    if other is None:
        heads = [n for n, cls in HEADS.items() if issubclass(cls, SequenceHead)]
        known = " or ".join(dict.fromkeys([*heads, *JUDGES]))
        raise CheckpointError(f"{file}: holds {kind}; this takes {known}")
    return other
