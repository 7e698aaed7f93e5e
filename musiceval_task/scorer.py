"""Scorer of music impression and text alignment for ``hear-aesthetics score``.

``score song.wav --prompt "a slow waltz" --head RUN`` loads the head of a run folder; ``--head
musiceval`` loads that of the folder which ``HEAR_AESTHETICS_MUSICEVAL`` names.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from heads import DualBranchHead
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.features.fusion import Features
from hear_aesthetics.spec import FRAME_RATE
from musiceval_task.data.dataset import CLIP_SECONDS
from musiceval_task.features.text import TextEncoder
from musiceval_task.scale import COLUMNS
from musiceval_task.training.inference import Example, apply_head, is_released
from musiceval_task.training.runs import load_run

__all__ = ["VARIABLE", "MusicEvalScorer", "load_default", "load_scorer"]

VARIABLE = "HEAR_AESTHETICS_MUSICEVAL"
FRAMES = round(CLIP_SECONDS * FRAME_RATE)  # of a clip, as in training


class MusicEvalScorer:
    """Trained dual-branch head with the text encoder that it was trained with.

    Attributes:
        columns: ``MusicImpression`` and ``TextAlignment``.
        reads: The hidden state that the head needs, such as ``"muq_12"``.
        reads_prompt: True: a clip needs a prompt.
        demo: True if the head was trained on states of an untrained encoder.

    Raises:
        CheckpointError: If the text encoder is another one, or the head is of the published recipe.
    """

    columns = tuple(COLUMNS.values())
    reads_prompt = True

    def __init__(self, head: DualBranchHead, text: TextEncoder) -> None:
        if is_released(head):
            raise CheckpointError(
                "a head of the published recipe scores whole lists, padded to 30 s and in batches "
                "as released: take `musiceval predict` for it"
            )
        known = head.provenance
        if text.sha256 != known["text_sha256"]:
            raise CheckpointError(
                f"{text.source}: not the text encoder that this head was trained with; "
                "put the original weights back"
            )
        self.head = head
        self.text = text
        self.reads = (str(known["reads"]),)
        self.demo = known.get("model_status") == "untrained"
        self._states: dict[str, torch.Tensor] = {}

    def provenance(self) -> dict[str, Any]:
        """Return what the head recorded of its training."""
        return {"reads": self.reads[0], **self.head.provenance}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the scores."""
        known = {"reads": self.reads[0], "text_encoder": self.text.sha256}
        return {**self.head.fingerprint(), **known}

    def __call__(self, features: Features, row: Mapping[str, Any]) -> dict[str, float]:
        """Score the first 30 s of a clip.

        Args:
            features: Features of the clip alone.
            row: Row of the clip, with its ``path`` and ``prompt``.

        Raises:
            InputError: If there is no prompt, or the features are of another model.
        """
        states = features.read(self.reads[0])[0, :FRAMES]
        if states.shape[1] != self.head.config.audio_dim:
            raise InputError(
                f"{row.get('path')}: states {states.shape[1]} wide, the MusicEval head takes "
                f"{self.head.config.audio_dim}; choose model {self.head.provenance['model']}"
            )
        prompt = row.get("prompt")
        if not prompt:
            raise InputError(
                f"{row.get('path')}: no prompt to align with; give --prompt or a prompt column"
            )
        if prompt not in self._states:
            (self._states[prompt],) = self.text.encode([prompt])
        scores, _ = apply_head(self.head, [Example(states, self._states[prompt])])
        return dict(zip(self.columns, scores[0].tolist(), strict=True))


def load_scorer(folder: str | Path) -> MusicEvalScorer:
    """Load the scorer of a run folder.

    Raises:
        CheckpointError: If the folder holds no run, or its text encoder is not as it was.
        InputError: If its text encoder is not where it was.
    """
    head = load_run(folder)
    return MusicEvalScorer(head, TextEncoder(head.provenance["text_encoder"]))


def load_default() -> MusicEvalScorer:
    """Load the scorer of the run folder that ``HEAR_AESTHETICS_MUSICEVAL`` names.

    Raises:
        InputError: If the variable is not set; the rest as :func:`load_scorer`.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise InputError(
            f"the scorer musiceval needs a trained run: set {VARIABLE} to its folder, "
            "or give the folder itself to --head"
        )
    return load_scorer(Path(folder).expanduser())
