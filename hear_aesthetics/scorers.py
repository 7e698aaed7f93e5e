"""Scorers of features and waveforms, found by name in whatever package registers them.

The entry point group ``hear_aesthetics.scorers`` holds loaders without arguments, by the name of
``score --head NAME``; ``hear_aesthetics.saved_scorers`` holds loaders of saved weights by their
path, under the name of the head's class, which ``score --head FOLDER`` reads off the file.

A scorer may name its inputs in an attribute ``reads``:

- ``"fused"``, the default, is the fused feature of both encoders;
- ``"muq_12"`` is hidden state 12 of MuQ's track view;
- ``"waveform_24000"`` is the audio itself, mono, at any rate through soxr, and
  ``"waveform_16000_sinc"`` through torchaudio's resampler (:mod:`hear_aesthetics.audio.waveforms`).

With an attribute ``reads_prompt``, true, it says that every clip needs a prompt.

Files are decoded once, whatever scorers read, and encoders that nobody reads are not loaded.

A :class:`Scorer` is asked about one clip at a time. A :class:`BatchScorer` computes whole batches
where the model is, and may have windows and states that it encodes itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from hear_aesthetics.audio.waveforms import ENCODER_FORMAT, WaveformFormat
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import FUSED, Features, HiddenState
from hear_aesthetics.spec import FRAME_RATE, MIN_SAMPLES

if TYPE_CHECKING:
    from hear_aesthetics.checkpoints import ModelFiles
    from hear_aesthetics.model import HearModel

__all__ = [
    *("FUSED", "BatchScorer", "Scorer", "Windows", "hidden_states", "load_saved", "load_scorer"),
    *("least_samples", "reads_of", "scorer_names", "waveform_formats"),
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
            features: Of the clip alone, a batch of one: ``(1, frames, dim)`` each, waveforms
                ``(1, samples)``, float32.
            row: The clip: ``path``, ``start``, ``end`` and ``prompt``, None where not given.

        Returns:
            One number for each of ``columns``.
        """


@dataclass(frozen=True)
class Windows:
    """Windows whose scores are asked for besides that of the clip.

    A window is a pair of frames, ``(start, stop)``, 25 to the second; a ``stop`` at or past the
    last frame means the end of the clip.

    Attributes:
        timeline: Windows of 30 s, one every 10 s, which are scored like clips of their own.
        explain: Windows of 10 s side by side, without each of which the clip is scored.
    """

    timeline: Sequence[tuple[int, int]] = ()
    explain: Sequence[tuple[int, int]] = ()


class BatchScorer(ABC):
    """Scorer of whole batches of clips of one length, where the model is.

    Attributes:
        columns: Names of the scores, in order.
        reads: Its inputs; see the module.
        encodes: Hidden states that it computes itself, with
            :meth:`hear_aesthetics.model.HearModel.hidden_states` of the model that it is attached
            to, such as those of a part of the clip.
        min_samples: Fewest samples at 24 kHz that it can score.
        gives: Outputs besides scores: ``"timeline"``, ``"explain"``, both or none.
        scale: Ends of the scale of its scores, which they need not reach; None: not known.
        demo: Whether its scores say nothing about music.
    """

    columns: Sequence[str]
    reads: tuple[str, ...] = (FUSED,)
    encodes: tuple[str, ...] = ()
    min_samples: int = 1
    gives: frozenset[str] = frozenset()
    scale: tuple[float, float] | None = None
    demo: bool = False

    @abstractmethod
    def compute(self, features: Features, windows: Windows) -> dict[str, Tensor]:
        """Score a batch.

        Args:
            features: What it reads of the clips, on the device of the model.
            windows: Windows that are asked for, none of a kind that it does not give.

        Returns:
            ``scores``, ``(B, columns)`` float32. For windows that are asked for, ``timeline``, the
            scores of each, and ``explain``, the scores without each minus those with it, ``(B,
            windows, columns)``; perhaps ``attention``, the share of each window of ``explain``,
            ``(B, windows)``. Of a head that may be calibrated, ``pooled``, ``(B, width)``, and
            ``distance``, ``(B,)``.
        """

    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """Return the origin of the weights, as JSON values."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the scores, as JSON values."""

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move the weights to a device."""

    @property
    def notes(self) -> Mapping[str, str]:
        """What every row says of how it was scored, by the name of the column."""
        return {}

    def settle(self, files: "ModelFiles | None", precision: str) -> tuple[str, ...]:
        """Decide, before a model is loaded, on what encodes the states that it needs itself.

        Args:
            files: Of the model that is about to be loaded; None: there will be none.
            precision: Number format of an encoder of its own, as ``load_model`` takes it.

        Returns:
            The hidden states that it will encode with the model: ``encodes``, or also those for
            which it does not need an encoder of its own beside this model.
        """
        return self.encodes

    def attach(self, model: "HearModel") -> None:
        """Take the model whose states it reads or encodes; move to its device.

        Raises:
            InputError: If the scorer does not fit the model.
        """
        self.to(model.device)

    def frames(self, features: Features) -> int:
        """Return the frames of the clips, 25 to the second, over which it can have windows."""
        lengths = []
        for name in self.reads:
            length = features.read(name).shape[1]
            if _is_waveform(name):
                length = -(-length * FRAME_RATE // WaveformFormat.parse(name).rate)
            lengths.append(length)
        return min(lengths)

    @torch.no_grad()
    def __call__(self, features: Features, row: Mapping[str, Any]) -> dict[str, float]:
        """Score one clip; ``row`` is not used."""
        (scores,) = self.compute(features, Windows())["scores"].tolist()
        return dict(zip(self.columns, scores, strict=True))


def reads_of(scorer: Scorer) -> tuple[str, ...]:
    """Return the inputs of a scorer: features, hidden states and waveforms by name."""
    return tuple(getattr(scorer, "reads", (FUSED,)))


def hidden_states(reads: Iterable[str]) -> tuple[HiddenState, ...]:
    """Return the hidden states among what scorers read, each once.

    Raises:
        ValueError: If a name is neither ``"fused"`` nor a waveform nor ``"<source>_<layer>"``.
    """
    names = (name for name in reads if name != FUSED and not _is_waveform(name))
    return tuple(dict.fromkeys(map(HiddenState.parse, names)))


def waveform_formats(reads: Iterable[str]) -> tuple[WaveformFormat, ...]:
    """Return the formats of all audio that is needed for what scorers read, each once.

    What the encoders hear is the first, and there if any feature is read.

    Raises:
        ValueError: If the name of a waveform is wrong, or of a rate that no audio has.
    """
    reads = tuple(reads)
    formats = [WaveformFormat.parse(name) for name in reads if _is_waveform(name)]
    if ENCODER_FORMAT in formats or len(formats) < len(reads):
        formats.insert(0, ENCODER_FORMAT)
    return tuple(dict.fromkeys(formats))


def least_samples(scorer: Scorer) -> int:
    """Return the fewest samples at 24 kHz of a clip that a scorer can be asked about."""
    if isinstance(scorer, BatchScorer):
        return scorer.min_samples
    return 1 if all(map(_is_waveform, reads_of(scorer))) else MIN_SAMPLES


def _is_waveform(name: str) -> bool:
    return WaveformFormat.names(name)


def scorer_names() -> list[str]:
    """Return the names of all installed scorers, sorted."""
    return sorted(entry_points(group=GROUP).names)


def load_scorer(name: str) -> Scorer:
    """Load an installed scorer.

    Raises:
        InputError: If there is none, with the names, or its package cannot be imported.
    """
    found = entry_points(group=GROUP)
    if name not in found.names:
        known = ", ".join(scorer_names()) or "none: no package that scores is installed"
        raise InputError(f"unknown scorer {name!r}; known: {known}")
    return _loader(found[name])()


def load_saved(kind: str, path: Path) -> Scorer | None:
    """Load the scorer of saved weights, from the package that knows heads of their class.

    Args:
        kind: Name of the head's class.
        path: File of the weights.

    Returns:
        None if no installed package knows the class.
    """
    found = entry_points(group=SAVED_GROUP)
    return _loader(found[kind])(path) if kind in found.names else None


def _loader(entry: EntryPoint) -> Any:
    """Return the loader that a package registered."""
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        package = entry.dist.name if entry.dist else "its package"
        raise InputError(
            f"scorer {entry.name}: {entry.value} of {package} cannot be imported ({error}); "
            "install that package again"
        ) from error
