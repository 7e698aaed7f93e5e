"""Audiobox-Aesthetics: enjoyment, usefulness, complexity and production quality of any audio.

The scores are those of the released program: mono audio through torchaudio's resampler to 16 kHz,
windows of 10 s side by side, the last one padded with zeros, and the mean of the windows' scores
weighted by the audio in them. It hears neither stereo nor anything above 8 kHz.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from heads.audiobox import PARTS, AudioboxConfig, AudioboxHead
from heads.checkpoint import read_tensors
from hear_aesthetics.checkpoints import weight_hash
from hear_aesthetics.features.fusion import Features
from hear_aesthetics.scorers import BatchScorer, Windows
from hear_aesthetics.spec import FRAME_RATE
from songeval_task.scoring.judges.wavlm import PREFIX, WavLM

__all__ = ["AudioboxScorer", "load_audiobox"]

RATE = 16_000  # Hz
READS = f"waveform_{RATE}_sinc"
WINDOW_SECONDS = 10
WINDOW_SAMPLES = WINDOW_SECONDS * RATE
CPU_WINDOWS, GPU_WINDOWS = 1, 32  # encoded together; more cost a processor time
CONFIG_FILE = "config.json"


class AudioboxScorer(BatchScorer):
    """Four scores of each clip, about 1 to 10, and those of its windows.

    Args:
        encoder: The WavLM that was trained with the head.
        head: The head.
        provenance: Origin of the weights.
        sha256: Hash of the file of the weights.
    """

    columns = AudioboxHead.dimensions
    reads = (READS,)
    gives = frozenset({"timeline", "explain"})
    scale = 1.0, 10.0

    def __init__(
        self, encoder: WavLM, head: AudioboxHead, provenance: dict[str, Any], sha256: str
    ) -> None:
        self.encoder, self.head = encoder, head
        self._provenance = {**provenance, "sha256": sha256}
        self._sha256 = sha256

    def provenance(self) -> dict[str, Any]:
        """Return file, hash and what it reads."""
        return {**self._provenance, "reads": READS}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides its scores."""
        decides = {"sha256": self._sha256, "config": self.head.describe(), "reads": READS}
        return {"class": type(self.head).__name__, **decides, "window_seconds": WINDOW_SECONDS}

    def to(self, device: torch.device) -> None:
        """Move the weights to a device."""
        self.encoder.to(device)
        self.head.to(device)

    def compute(self, features: Features, windows: Windows) -> dict[str, Tensor]:
        """Score a batch; see :class:`BatchScorer`.

        Longer windows begin and end where windows of 10 s do, so that their scores are means of
        those, and a clip of 30 s scores the same alone and as a window.
        """
        scores, samples = self.window_scores(features.read(READS))
        outputs = {"scores": _mean(scores, samples)}
        if windows.timeline:
            spans = _own_windows(windows.timeline, len(samples))
            parts = [_mean(scores[:, own], samples[own]) for own in spans]
            outputs["timeline"] = torch.stack(parts, dim=1)
        if windows.explain:
            changes = []
            for own in _own_windows(windows.explain, len(samples)):
                left = samples.clone()
                left[own] = 0  # NaN where nothing is left
                changes.append(_mean(scores, left) - outputs["scores"])
            outputs["explain"] = torch.stack(changes, dim=1)
        return outputs

    @torch.no_grad()
    def window_scores(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores of each window of 10 s, and the samples of audio in it.

        Shape:
            - waveform: ``(B, samples)`` at 16 kHz
            - scores: ``(B, windows, 4)``
            - samples: ``(windows,)``
        """
        clips, total = waveform.shape
        whole, rest = divmod(total, WINDOW_SAMPLES)
        size = GPU_WINDOWS if waveform.is_cuda else CPU_WINDOWS
        parts = []
        if whole:
            windows = waveform[:, : whole * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
            scores = [self.head(self.encoder(w, WINDOW_SAMPLES)) for w in windows.split(size)]
            parts.append(torch.cat(scores).unflatten(0, (clips, whole)))
        if rest:
            last = F.pad(waveform[:, -rest:], (0, WINDOW_SAMPLES - rest))
            scores = [self.head(self.encoder(window, rest)) for window in last.split(size)]
            parts.append(torch.cat(scores)[:, None])
        lengths = [WINDOW_SAMPLES] * whole + [rest] * bool(rest)
        return torch.cat(parts, dim=1), torch.tensor(lengths, device=waveform.device)


def load_audiobox(file: Path) -> AudioboxScorer:
    """Load the scorer of the published ``model.safetensors``; ``config.json`` lies beside it.

    Raises:
        ValueError: If a file is missing, or holds something else.
        InputError: If ``transformers`` is not installed.
    """
    tensors, _ = read_tensors(file)
    broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"{file}: {broken[0]} holds numbers that are not finite")
    if foreign := [key for key in tensors if not key.startswith((PREFIX, *PARTS))]:
        raise ValueError(f"{file}: the tensors do not fit this head (unexpected: {foreign[0]})")
    encoder = WavLM(tensors, where=str(file))
    config = AudioboxConfig.read(file.with_name(CONFIG_FILE), encoder.dim)
    if config.states != encoder.states:
        raise ValueError(
            f"{file}: WavLM has {encoder.states} hidden states, {CONFIG_FILE} beside it says "
            f"{config.states}; take both from one place"
        )
    head = AudioboxHead.from_published(tensors, config, where=str(file))
    return AudioboxScorer(encoder, head, {"file": file.name}, weight_hash(file))


def _mean(scores: Tensor, samples: Tensor) -> Tensor:
    """Return the mean over windows, ``(B, windows, 4)`` to ``(B, 4)``, weighted by their audio."""
    weights = samples / WINDOW_SAMPLES
    return (scores * weights[:, None]).sum(dim=1) / weights.sum()


def _own_windows(windows: Sequence[tuple[int, int]], count: int) -> list[slice]:
    """Return the windows of 10 s in each longer window, the last of which ends with the clip."""
    frames = WINDOW_SECONDS * FRAME_RATE
    spans = [slice(start // frames, stop // frames) for start, stop in windows]
    return [*spans[:-1], slice(spans[-1].start, count)]
