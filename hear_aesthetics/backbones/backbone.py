"""Encoder that MuQ and MusicFM share: log-mel, normalization, conformer; their files differ."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from hear_aesthetics.backbones.conformer import ConformerConfig, ConformerEncoder
from hear_aesthetics.backbones.files import published_tensors
from hear_aesthetics.backbones.log_mel import LogMel, mel_filterbank
from hear_aesthetics.backbones.published import config_from_tensors, encoder_state, published_state
from hear_aesthetics.checkpoints import Files, locate_checkpoint, weight_hash
from hear_aesthetics.compute.precision import exactly
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.text_files import read_json

__all__ = ["Backbone", "MelStatistics"]


@dataclass(frozen=True)
class MelStatistics:
    """Mean and standard deviation of the log-mel in dB over an encoder's training set."""

    mean: float = 6.768444971712967
    std: float = 18.417922652295623

    @classmethod
    def read(cls, path: Path, section: str = "") -> Self:
        """Read the statistics of a JSON file, or of a section of it.

        Raises:
            CheckpointError: If it does not hold a finite mean and a positive deviation.
        """
        values = read_json(path, error=CheckpointError)
        try:
            stat = values[section] if section else values
            found = cls(float(stat["melspec_2048_mean"]), float(stat["melspec_2048_std"]))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise CheckpointError(f"{path}: no melspec_2048_mean and _std ({reason})") from error
        if not (math.isfinite(found.mean) and 0 < found.std < math.inf):
            raise CheckpointError(f"{path}: {found}; a finite mean and std > 0 are expected")
        return found


class Backbone(nn.Module):
    """Log-mel front end, normalization and conformer encoder.

    Args:
        config: Sizes of the encoder.
        statistics: Normalisation of the log-mel.
        encoder: Taken as it is; by default a new one of these sizes.
    """

    def __init__(
        self,
        config: ConformerConfig,
        statistics: MelStatistics | None = None,
        encoder: ConformerEncoder | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.statistics = statistics or MelStatistics()
        self.weights_sha256: str | None = None  # of the file that was read
        self.log_mel = LogMel()
        self.encoder = encoder or ConformerEncoder(config)

    @property
    def dim(self) -> int:
        """Width of a hidden state."""
        return self.config.dim

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | Files,
        *,
        layers: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Read a published encoder, ready for inference.

        Args:
            source: Name of a checkpoint (``"muq"``, ``"musicfm-fma"``), its hub repository
                (``"OpenMuQ/MuQ-large-msd-iter"``, ``"minzwon/MusicFM"``), a directory in the
                published layout, or the files themselves.
            layers: Conformer layers to keep, all when ``None``; states above are not available.
            dtype: ``torch.float32`` or ``torch.bfloat16``, for matrix products and convolutions.

        Raises:
            CheckpointError: If the files do not hold exactly the expected tensors.
            WeightsUnavailableError: If the weights are neither on disk nor reachable.
        """
        files = source if isinstance(source, Files) else locate_checkpoint(source)
        path, statistics = cls.read_layout(files)
        state = published_tensors(path)
        try:
            backbone = cls.from_published(state, statistics, layers=layers, dtype=dtype)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        backbone.weights_sha256 = weight_hash(path)  # now: the file may change later
        return backbone

    @staticmethod
    def read_layout(files: Files) -> tuple[Path, MelStatistics]:
        """Return the weight file and the statistics among the published files of an encoder."""
        raise NotImplementedError

    @classmethod
    def from_published(
        cls,
        state: dict[str, Tensor],
        statistics: MelStatistics,
        *,
        layers: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Return an encoder of published tensors, named without ``model.``, ready for inference.

        Args:
            state: Published name -> tensor; of the training-only tensors any may be there.
            statistics: Normalization of the log-mel.
            layers: See :meth:`from_pretrained`.
            dtype: See :meth:`from_pretrained`.

        Raises:
            CheckpointError: If the tensors are not exactly those of one encoder.
        """
        backbone = cls.trainable(state, statistics)
        if layers is not None:
            backbone.encoder.truncate(layers)
        backbone.encoder.prepare(dtype)
        return backbone

    @classmethod
    def trainable(cls, state: dict[str, Tensor], statistics: MelStatistics) -> Self:
        """Return an encoder of published tensors with its batch norms, as training needs it.

        The tensors are shared with ``state`` where their layout is the same. Arguments and errors
        are those of :meth:`from_published`.
        """
        try:
            config = config_from_tensors(state)
            native = encoder_state(state, config)
            filters = state.get("preprocessor_melspec_2048.mel_stft.mel_scale.fb")  # MusicFM's
            if filters is not None and not torch.allclose(filters, mel_filterbank(), atol=1e-4):
                raise CheckpointError("the checkpoint's mel filter bank is not the published one")
            with torch.device("meta"):  # the encoder alone: the front end has values of its own
                encoder = ConformerEncoder(config).float()  # whatever the default is
            _load(encoder, native)
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), "")
            raise CheckpointError(f"tensors of shapes that no encoder has ({reason})") from error
        return cls(config, statistics, encoder)

    def fingerprint(self) -> dict[str, str | float]:
        """Return what decides the encoder's numbers: hash of the weight file, mel statistics.

        Raises:
            ValueError: If the encoder was not read from a file.
        """
        if self.weights_sha256 is None:
            raise ValueError("an encoder that was not read from a file has no fingerprint")
        mel = self.statistics
        return {"sha256": self.weights_sha256, "mel_mean": mel.mean, "mel_std": mel.std}

    def published_state(self) -> dict[str, Tensor]:
        """Return the tensors under their published names, without the leading ``model.``."""
        return published_state(self.encoder.state_dict(), self.config)

    def normalize(self, log_mel: Tensor) -> Tensor:
        """Normalize a log-mel in dB to the encoder's input."""
        return (log_mel - self.statistics.mean) / self.statistics.std

    @torch.no_grad()
    def hidden_states(self, waveform: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
        """Return hidden states of one pass; layers above the highest are not computed.

        Args:
            waveform: Mono audio at 24 kHz in [-1, 1].
            layers: Those to return: 0 is the encoder's input, ``depth`` the last, normalized one.

        Shape:
            - waveform: ``(B, samples)``, samples >= 1025
            - each output: ``(B, frames, dim)`` float32, one frame per 40 ms

        Raises:
            ValueError: If a layer does not exist or the audio is too short.
        """
        self.check_layers(layers)
        with exactly(waveform.device):
            frames = self.encoder.subsampling(self.normalize(self.log_mel(waveform)))
            return self.encoder(frames, layers)

    def check_layers(self, layers: Collection[int]) -> None:
        """Raise ``ValueError`` unless every hidden state asked for can be computed."""
        available = len(self.encoder.layers)
        wrong = [layer for layer in layers if not 0 <= layer <= available]
        if wrong or not layers:
            raise InputError(f"hidden states {sorted(wrong)} asked for; there are 0 to {available}")


def _load(encoder: ConformerEncoder, native: dict[str, Tensor]) -> None:
    found, expected = (
        {name: f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for name, t in s.items()}
        for s in (native, encoder.state_dict())
    )
    wrong = [
        f"{name} {found.get(name, 'missing')} instead of {kind}"
        for name, kind in expected.items()
        if found.get(name) != kind
    ]
    if wrong:
        raise CheckpointError(f"checkpoint does not fit: {'; '.join(wrong[:4])}")
    encoder.load_state_dict(native, strict=True, assign=True)
