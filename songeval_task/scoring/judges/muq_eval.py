"""MuQ-Eval as a scorer: musical impression and text alignment of windows of 10 s.

Reproduced from the authors' evaluation: channels are averaged, the whole is resampled to 24 kHz by
torchaudio's windowed sinc, 10 s from the centre are taken, and less than 10 s is followed by zeros,
which the head hears as silence. The window is a clip of its own: MuQ hears nothing else.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from heads import MuQEvalHead
from hear_aesthetics.backbones import MuQ
from hear_aesthetics.checkpoints import ModelFiles, weight_hash
from hear_aesthetics.compute.precision import PRECISIONS, auto_precision
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.features.fusion import Features, HiddenState
from hear_aesthetics.model import HearModel
from hear_aesthetics.scorers import BatchScorer, Windows
from hear_aesthetics.spec import FRAME_HOP, MIN_SAMPLES, SAMPLE_RATE
from songeval_task.scoring.judges.muq_copy import MuQCopy

__all__ = ["WINDOWS", "MuQEvalScorer", "WindowChoice", "windows_of"]

WindowChoice = Literal["centre", "first", "all"]
WINDOWS = get_args(WindowChoice)

HEARD = f"waveform_{SAMPLE_RATE}_sinc"
WINDOW = 10 * SAMPLE_RATE  # samples
WINDOWS_PER_PASS = 8


def windows_of(choice: WindowChoice, begin: int, end: int) -> list[int]:
    """Return where the windows of a stretch of samples begin.

    With ``all`` they lie side by side, and the last one ends with the stretch, so that it may
    overlap the one before. A stretch shorter than a window has one, which begins with it.

    >>> [start / SAMPLE_RATE for start in windows_of("all", 0, 25 * SAMPLE_RATE)]
    [0.0, 10.0, 15.0]
    """
    rest = max(0, end - begin - WINDOW)
    if choice == "all":
        return [*range(begin, begin + rest, WINDOW), begin + rest]
    return [begin + (rest // 2 if choice == "centre" else 0)]


class MuQEvalScorer(BatchScorer):
    """MuQ-Eval: a head, and the MuQ that it was trained on.

    That MuQ is a copy in the head's file. Where a model with an equal one is loaded anyway, the
    model's is used; otherwise the copy is loaded. A head that was saved without one reads the
    model's. Windows over time are means over windows of 10 s, whatever ``window`` is.

    Args:
        path: File of the head, as published or as saved by :class:`heads.MuQEvalHead`.

    Attributes:
        head: The head, in evaluation mode.
        window: Which windows of 10 s make the score; of several the mean.

    Raises:
        ValueError: If the file holds no such head.
    """

    reads = (HEARD,)
    gives = frozenset({"timeline"})
    min_samples = MIN_SAMPLES

    def __init__(self, path: Path) -> None:
        self.path = path
        self.window: WindowChoice = "centre"
        self.head = MuQEvalHead.from_pretrained(path).requires_grad_(False)
        self.columns: tuple[str, ...] = self.head.config.dimensions
        self.scale = self.head.config.low, self.head.config.high
        self._copy = MuQCopy.in_file(path, self.head.carries)
        self.encodes = () if self._copy else (self.head.reads,)
        self._provenance = {"file": path.name, "sha256": weight_hash(path)}
        self._precision = "auto"
        self._device = torch.device("cpu")
        self._difference: str | None = None  # from the model's MuQ; None: not compared
        self._model: HearModel | None = None  # whose MuQ is used
        self._own: MuQ | None = None  # loaded from the copy

    @property
    def notes(self) -> dict[str, str]:
        """The window, which every row states."""
        return {"window": self.window}

    def provenance(self) -> dict[str, Any]:
        """Return file, hash, window, and which MuQ computes the features."""
        encoder = "the model's"
        if self._copy and self._difference is None:
            encoder = "its own"
        elif self._difference:
            encoder = f"its own, which differs from the model's: {self._difference}"
        reads = {"reads": HEARD, "window": self.window, "muq": encoder}
        return {**self.head.provenance, **self._provenance, **reads}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides its scores."""
        made = {**self.head.fingerprint(), "reads": HEARD, "window": self.window}
        if self._copy:
            dtype = self._model.precision if self._model else self._dtype
            precision = str(dtype).removeprefix("torch.")
            made |= {"muq": self._provenance["sha256"], "precision": precision}
        return made

    def settle(self, files: ModelFiles | None, precision: str) -> tuple[str, ...]:
        """Compare the copy with the MuQ of a model; return the state that it will encode with it.

        Raises:
            CheckpointError: If a file cannot be read.
        """
        self._precision = precision
        if self._copy is None:
            return self.encodes
        if files is None or "muq" not in files.encoders:
            return ()
        self._difference = self._copy.difference(files.encoders["muq"])
        return () if self._difference else (f"muq_{self._copy.depth:02d}",)

    def attach(self, model: HearModel) -> None:
        """Use the model's MuQ if it is the one that the head was trained on, or none is known.

        Raises:
            InputError: If the head takes states of another width than the model makes.
        """
        if self._copy is None or self._difference == "":
            width = model.encoder_dim("muq")
            if width != self.head.feature_dim:
                raise InputError(
                    f"{self.path}: takes states of MuQ {self.head.feature_dim} wide, model "
                    f"{model.name} makes them {width} wide; choose the model it was trained on"
                )
            self._model = model
        super().attach(model)

    def to(self, device: torch.device) -> None:
        """Move the head to a device, and its own MuQ, which is loaded if the model's is another."""
        self._device = torch.device(device)
        self.head.to(self._device)
        if self._copy and self._difference != "":
            self._own_muq().to(self._device)

    @torch.no_grad()
    def compute(self, features: Features, windows: Windows) -> dict[str, Tensor]:
        """Score a batch; see :class:`BatchScorer`."""
        heard = features.read(HEARD)
        samples = heard.shape[1]
        if samples < WINDOW:
            heard = F.pad(heard, (0, WINDOW - samples))
        spans = [(a * FRAME_HOP, min(b * FRAME_HOP, samples)) for a, b in windows.timeline]
        if spans:
            spans[-1] = spans[-1][0], samples
        asked = [windows_of(self.window, 0, samples), *(windows_of("all", *s) for s in spans)]
        starts = sorted({start for group in asked for start in group})
        scores = dict(zip(starts, self._score(heard, starts).unbind(), strict=True))
        clip, *rest = (torch.stack([scores[start] for start in g]).mean(dim=0) for g in asked)
        return {"scores": clip, **({"timeline": torch.stack(rest, dim=1)} if rest else {})}

    def _score(self, heard: Tensor, starts: list[int]) -> Tensor:
        """Return the scores of windows of a batch, ``(windows, B, columns)``."""
        size = max(1, WINDOWS_PER_PASS // len(heard))
        parts = []
        for first in range(0, len(starts), size):
            chosen = starts[first : first + size]
            pieces = torch.stack([heard[:, start : start + WINDOW] for start in chosen])
            scores = self.head(self._states(pieces.flatten(0, 1)))
            parts.append(scores.unflatten(0, (len(chosen), -1)))
        return torch.cat(parts)

    def _states(self, pieces: Tensor) -> Tensor:
        """Return MuQ's last hidden state of pieces of audio, ``(pieces, frames, dim)``."""
        if self._model is not None:
            state = HiddenState("muq", self._model.depth("muq"))
            return self._model.hidden_states(pieces, [state])[state]
        encoder = self._own_muq()
        depth = encoder.config.depth
        return encoder.hidden_states(pieces, [depth])[depth]

    def _own_muq(self) -> MuQ:
        if self._own is None:
            if self._copy is None:
                raise InputError(f"{self.path}: saved without a MuQ; pass a model that has one")
            own = self._copy.load(self._dtype)
            if own.dim != self.head.feature_dim:
                raise CheckpointError(
                    f"{self._copy.path}: its MuQ is {own.dim} wide, its head takes "
                    f"{self.head.feature_dim}; get the file again"
                )
            self._own = own
        return self._own

    @property
    def _dtype(self) -> torch.dtype:
        return PRECISIONS[self._precision] or auto_precision(self._device)
