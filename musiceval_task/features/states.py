"""What the frozen encoders make of clips and prompts, computed once and kept on disk.

Files are named by what they were made from, ``audio/<encoder>/<sha256 of the clip's file>`` and
``text/<encoder>/<sha256 of the prompt>``; ``<encoder>`` is a digest of
its fingerprint: a clip that changes is encoded again, one that several
sets share is not, and features of two encoders never mix. Each is whole or absent.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hear_aesthetics import load_model
from hear_aesthetics.engine.inference import run
from hear_aesthetics.errors import AudioError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.files import atomic_file
from hear_aesthetics.fingerprint import digest, file_stamp
from hear_aesthetics.model import HearModel
from musiceval_task.data.dataset import Clip
from musiceval_task.features.text import TextEncoder

__all__ = ["AudioEncoder", "StateStore", "audio_hash", "clip_states", "prompt_states"]

PUBLISHED_STATE = HiddenState("muq", 12)  # MuQ's last one; a smaller model gives its own last one
KEY = "states"
AUDIO_DTYPE = torch.float16  # states are layer-normalised: three decimals are plenty

Progress = Callable[[], None]


class AudioEncoder:
    """Frozen MuQ, its last hidden state.

    Args:
        model: ``"large"``, ``"mini"`` or a model directory.
        precision: See :func:`hear_aesthetics.load_model`.
        device: Where to compute; a GPU if there is one when None.

    Attributes:
        model: The encoder, frozen.
        state: The hidden state.
        encoded: Clips encoded so far.
    """

    def __init__(
        self, model: str = "large", *, precision: str = "auto", device: str | None = None
    ) -> None:
        self.model: HearModel = load_model(
            model,
            sources=("muq",),
            views=("track",),
            states=(PUBLISHED_STATE,),
            precision=precision,
            device=device,
        )
        self.state = HiddenState("muq", self.model.depth("muq"))
        self.dim = self.model.encoder_dim("muq")
        self.encoded = 0

    @property
    def reads(self) -> str:
        """Name of the state, such as ``"muq_12"``."""
        return str(self.state)

    def provenance(self) -> dict[str, Any]:
        """What made the states."""
        made = self.model.provenance()
        kept = {key: made[key] for key in ("model", "precision", "version", "weights_sha256")}
        return {**kept, "model_status": made["status"], "reads": self.reads}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the states: weights, layer and precision."""
        return {**self.model.fingerprint("states"), "reads": self.reads}

    def states(self, waveform: Tensor) -> Tensor:
        """``(B, samples)`` at 24 kHz -> ``(B, frames, dim)``."""
        return self.model.extract(waveform, (self.state,)).states[self.state]


class StateStore:
    """States on disk; see the module for the layout.

    Args:
        root: The folder, made when something is added.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, *key: str) -> Tensor | None:
        """States ``(frames, dim)``, mapped into memory; None where they are not there or broken."""
        try:
            with safe_open(self._path(*key), framework="pt") as file:
                return file.get_tensor(KEY)
        except (OSError, SafetensorError):
            return None

    def write(self, states: Tensor, *key: str) -> None:
        """Add states, whole or not at all.

        Raises:
            OSError: If they cannot be written.
        """
        path = self._path(*key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(save({KEY: states.contiguous()}))

    def _path(self, *key: str) -> Path:
        return self.root.joinpath(*key).with_suffix(".safetensors")


def clip_states(
    clips: Sequence[Clip], encoder: AudioEncoder, store: StateStore, advance: Progress | None = None
) -> list[Tensor]:
    """The states of clips, ``(frames, dim)`` each; only what the store lacks is encoded.

    Args:
        clips: Of any length; the first 30 s of each are heard.
        encoder: Frozen.
        store: Keeps them.
        advance: Called for each clip that was encoded.

    Raises:
        AudioError: If a clip cannot be read, or its states are not finite; another never takes its
            place.
    """
    folder = ("audio", _folder(encoder.fingerprint()))
    hashes = {clip.path: _file_hash(clip.path) for clip in clips}
    todo = {
        hashes[clip.path]: clip for clip in clips if store.read(*folder, hashes[clip.path]) is None
    }
    results = run(todo.values(), encoder.model, lambda _, waveform: encoder.states(waveform))
    for result in results:
        if result.error is not None:
            raise result.error
        states = result.output.to(AUDIO_DTYPE)
        if not torch.isfinite(states).all():
            raise AudioError(
                f"{result.item.path}: its hidden states are not finite; check the audio's level"
            )
        store.write(states, *folder, hashes[result.item.path])
        encoder.encoded += 1
        if advance:
            advance()
    return [_stored(store, *folder, hashes[clip.path]) for clip in clips]


def prompt_states(
    prompts: Iterable[str], encoder: TextEncoder, store: StateStore
) -> dict[str, Tensor]:
    """The states of prompts, ``(tokens, dim)`` each; only what the store lacks is encoded."""
    folder = ("text", _folder(encoder.fingerprint()))
    keys = {prompt: hashlib.sha256(prompt.encode()).hexdigest() for prompt in prompts}
    todo = [prompt for prompt, key in keys.items() if store.read(*folder, key) is None]
    for prompt, states in zip(todo, encoder.encode(todo), strict=True):
        store.write(states, *folder, keys[prompt])
    return {prompt: _stored(store, *folder, key) for prompt, key in keys.items()}


def audio_hash(clips: Sequence[Clip]) -> str:
    """Return a hash of the audio of clips, in their order."""
    return digest({"audio": [_file_hash(clip.path) for clip in clips]})


def _stored(store: StateStore, *key: str) -> Tensor:
    states = store.read(*key)
    if states is None:
        raise OSError(f"{store.root}: states that were written cannot be read; check the disk")
    return states


def _folder(fingerprint: Mapping[str, Any]) -> str:
    return digest(fingerprint)[:16]


def _file_hash(path: Path) -> str:
    return _content_hash(path, **file_stamp(path))


@cache
def _content_hash(path: Path, **_stamp: int) -> str:
    """Read a file once, as long as it stays the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
