"""Hidden states of clips and prompts from the frozen encoders, computed once and kept on disk.

Files are ``audio/<encoder>/<sha256 of the clip's file>`` and ``text/<encoder>/<sha256 of the
prompt>``; ``<encoder>`` is a digest of its fingerprint. A clip that changes is encoded again, a
clip that several sets share once, and states of two encoders never mix.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hear_aesthetics import load_model
from hear_aesthetics.audio.loading import LENGTH_RULE
from hear_aesthetics.engine.inference import run
from hear_aesthetics.errors import AudioError
from hear_aesthetics.features.fusion import HiddenState
from hear_aesthetics.files import atomic_file
from hear_aesthetics.fingerprint import digest, file_stamp
from hear_aesthetics.model import HearModel
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.features.text import TextEncoder

__all__ = ["AudioEncoder", "StateStore", "audio_hash", "clip_states", "prompt_states"]

PUBLISHED_STATE = HiddenState("muq", 12)  # MuQ's last one; a smaller model gives its own last one
KEY = "states"
DIGITS = 16  # of the digest that names an encoder's folder
AUDIO_DTYPE = torch.float16  # precise enough for layer-normalised states

Progress = Callable[[], None]


class AudioEncoder:
    """Frozen MuQ that returns its last hidden state; see :func:`hear_aesthetics.load_model`.

    Attributes:
        reads: Name of the hidden state, such as ``"muq_12"``.
        encoded: Number of clips encoded so far.
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
        self.reads = str(self.state)
        self.encoded = 0

    def provenance(self) -> dict[str, Any]:
        """Return where the states come from."""
        made = self.model.provenance()
        kept = {key: made[key] for key in ("model", "precision", "version", "weights_sha256")}
        return {**kept, "model_status": made["status"], "reads": self.reads}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the states: weights, layer, precision, length of the audio."""
        return {**LENGTH_RULE, **self.model.fingerprint("states"), "reads": self.reads}

    def states(self, waveform: Tensor) -> Tensor:
        """Return the states of waveforms, ``(B, samples)`` at 24 kHz -> ``(B, frames, dim)``."""
        return self.model.extract(waveform, (self.state,)).states[self.state]


class StateStore:
    """Store of states on disk, in the layout of this module; its folder is made when needed."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, *key: str) -> Tensor | None:
        """Return states ``(frames, dim)``, mapped into memory; None if missing or damaged."""
        try:
            with safe_open(self._path(*key), framework="pt") as file:
                return file.get_tensor(KEY)
        except (OSError, SafetensorError):
            return None

    def write(self, states: Tensor, *key: str) -> None:
        """Write states ``(frames, dim)``, whole or not at all."""
        path = self._path(*key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(save({KEY: states.contiguous()}))

    def _path(self, *key: str) -> Path:
        return self.root.joinpath(*key).with_suffix(".safetensors")


def clip_states(
    clips: Sequence[MusicEvalClip],
    encoder: AudioEncoder,
    store: StateStore,
    advance: Progress | None = None,
) -> list[Tensor]:
    """Return the states of clips, ``(frames, dim)`` each; encode those that the store lacks.

    The first 30 s of each clip are encoded; ``advance`` is called for each that was.

    Raises:
        AudioError: If a clip cannot be read, or its states are not finite.
    """
    folder = ("audio", digest(encoder.fingerprint())[:DIGITS])
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
    """Return the states of prompts, ``(tokens, dim)`` each; encode those that the store lacks."""
    folder = ("text", digest(encoder.fingerprint())[:DIGITS])
    keys = {prompt: hashlib.sha256(prompt.encode()).hexdigest() for prompt in prompts}
    todo = [prompt for prompt, key in keys.items() if store.read(*folder, key) is None]
    for prompt, states in zip(todo, encoder.encode(todo), strict=True):
        store.write(states, *folder, keys[prompt])
    return {prompt: _stored(store, *folder, key) for prompt, key in keys.items()}


def audio_hash(clips: Sequence[MusicEvalClip]) -> str:
    """Return a hash of the audio files of clips, in their order."""
    return digest({"audio": [_file_hash(clip.path) for clip in clips]})


def _stored(store: StateStore, *key: str) -> Tensor:
    states = store.read(*key)
    if states is None:
        raise OSError(f"{store.root}: states that were written cannot be read; check the disk")
    return states


def _file_hash(path: Path) -> str:
    return _content_hash(path, **file_stamp(path))


@cache
def _content_hash(path: Path, **_stamp: int) -> str:
    """Return the SHA-256 of a file, read again only if its stamp changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
