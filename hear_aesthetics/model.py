"""HEAR benchmark API: its three functions over the fused MuQ + MusicFM features.

HEAR offers 16 to 48 kHz but not the encoders' 24 kHz, so the model declares 48 kHz and halves the
rate itself, exactly. The time of frame i is ``40 * i`` ms, the centre of what it sees.

The tail is padded with zeros to a whole number of frames, so that the last embedding lies within
40 ms of the end; a clip shorter than one frame is padded likewise and yields one embedding.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hear_aesthetics.audio.decimate import Decimate2
from hear_aesthetics.backbones import Backbone, MuQ, MusicFM
from hear_aesthetics.checkpoints import ModelFiles, locate_model
from hear_aesthetics.compute.precision import PRECISIONS, auto_precision, exactly, usable_device
from hear_aesthetics.compute.winograd import MIN_CHANNELS
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.features.fusion import (
    SOURCES,
    TRACK_LIMIT_SECONDS,
    VIEWS,
    Features,
    FusedFeatures,
    HiddenState,
    Layer,
    as_layers,
)
from hear_aesthetics.features.pooling import POOLINGS, pool_frames
from hear_aesthetics.features.standardize import Standardizer
from hear_aesthetics.fingerprint import FORMER_KEYS
from hear_aesthetics.spec import (
    API_SAMPLE_RATE,
    FRAME_HOP,
    FRAME_MS,
    MIN_SAMPLES,
    SAMPLE_RATE,
    SEGMENT_SECONDS,
)
from hear_aesthetics.text_files import read_json
from hear_aesthetics.version import __version__

__all__ = ["HearModel", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

DEFAULT_LAYER = 10  # hidden state the published aesthetic heads were trained on
ENCODERS: dict[str, type[MuQ] | type[MusicFM]] = {"musicfm": MusicFM, "muq": MuQ}
MAX_DELAY_MS = 1000
SECONDS_PER_PASS = 240  # of audio in one batch: bounds memory, whatever the caller's batch


@dataclass(frozen=True)
class ModelConfig:
    """``hear_aesthetics.json`` of a model directory; every key is optional.

    Attributes:
        layer: Hidden state the embeddings are taken from, or a list of those that are joined.
        pooling: Pooling of frames to a scene embedding, ``"mean"`` or ``"mean+std"``.
        precision: Meaning of ``"auto"`` for this model; ``"auto"`` leaves it to the hardware.
        licence: Licence of the weights.
        status: Such as ``"untrained"``; shown wherever the model is.
        provenance: Origin of the weights.
        standardizer: File beside it with the constants that standardize the embeddings of ``layer``
            (:mod:`hear_aesthetics.features.standardize`); without one they stay as they are.
        delay_ms: Delay of the audio in the HEAR functions. An encoder that learned to predict what
            follows a frame's time then answers most to what happens at that time.
    """

    layer: Layer = DEFAULT_LAYER
    pooling: str = "mean"
    precision: str = "auto"
    licence: str = "see the encoders' own"
    status: str = "published"
    provenance: dict[str, Any] = field(default_factory=dict)
    standardizer: str = ""
    delay_ms: int = 0

    @classmethod
    def read(cls, path: Path | None) -> "ModelConfig":
        """Return the file's values over the defaults.

        Raises:
            CheckpointError: If the file is no JSON object, has an unknown key or a wrong value.
        """
        if path is None:
            return cls()
        types = {item.name: type(getattr(cls(), item.name)) for item in fields(cls)}
        remedy = f"it takes a JSON object of {', '.join(types)}"
        found = read_json(path, error=CheckpointError, remedy=remedy)
        values = {FORMER_KEYS.get(key, key): value for key, value in found.items()}
        for key, value in values.items():
            if key not in types:
                raise CheckpointError(f"{path}: unknown key {key!r}; {remedy}")
            if key == "layer":
                _check_layer(path, value)
            elif type(value) is not types[key]:
                wanted = types[key].__name__
                raise CheckpointError(f"{path}: {key} is {value!r}; {wanted} is expected")
        delay = values.get("delay_ms", 0)
        if not 0 <= delay <= MAX_DELAY_MS:
            raise CheckpointError(f"{path}: delay_ms is {delay}; it takes 0 to {MAX_DELAY_MS}")
        return cls(**values)


class HearModel(nn.Module):
    """Fused features behind HEAR's attributes; made by :func:`load_model`.

    Attributes:
        sample_rate: Of the audio the HEAR functions take, Hz.
        scene_embedding_size: Width of a scene embedding.
        timestamp_embedding_size: Width of a timestamp embedding.
    """

    sample_rate = API_SAMPLE_RATE

    def __init__(
        self,
        fused: FusedFeatures,
        config: ModelConfig,
        files: ModelFiles,
        precision: torch.dtype,
        standardizer: Standardizer | None = None,
    ) -> None:
        super().__init__()
        self.fused = fused
        self.standardizer = standardizer
        self.config = config
        self.files = files
        self.precision = precision
        self.decimate = Decimate2()
        self.timestamp_embedding_size = fused.dim
        self.scene_embedding_size = fused.dim * POOLINGS[config.pooling]

    def forward(self, audio: Tensor) -> Tensor:
        """Return scene embeddings, ``(B, samples)`` to ``(B, scene_embedding_size)``.

        ``torch.compile`` leaves the model as it is: it already calls what the processor does best.
        """
        embed = get_scene_embeddings
        if torch.compiler.is_compiling():
            embed = torch.compiler.disable(embed)
        return embed(audio, self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the model, but leave its number formats to ``precision``.

        Raises:
            ValueError: If ``half()``, ``to(torch.bfloat16)`` and the like are called.
        """
        dtypes = {tensor.dtype for tensor in chain(self.parameters(), self.buffers())}
        if any(fn(torch.empty(0, dtype=dtype)).dtype != dtype for dtype in dtypes):
            raise InputError(
                "a model computes as it was loaded; choose load_model(precision=...), one of "
                f"{', '.join(PRECISIONS)}, and pass audio of any floating point type"
            )
        return super()._apply(fn, recurse)

    @property
    def device(self) -> torch.device:
        """Device the model computes on."""
        return self.decimate.taps.device

    @property
    def batches_at_once(self) -> int:
        """Batches that the engine computes side by side: those of narrow encoders, one per thread.

        Several threads lose on the many small steps of such encoders what they win on products.
        """
        narrow = all(e.config.conv_channels < MIN_CHANNELS for e in self.fused.encoders.values())
        return torch.get_num_threads() if narrow else 1

    @property
    def name(self) -> str:
        """Variant or directory name."""
        return self.files.name

    def encoder_dim(self, source: str) -> int:
        """Return the width of an encoder's hidden states."""
        return self.fused.encoders[source].dim

    def depth(self, source: str) -> int:
        """Return the number of conformer layers of an encoder, those not loaded included."""
        return self.fused.encoders[source].config.depth

    def provenance(self) -> dict[str, Any]:
        """Return the origin of the numbers: model, status, version, and all of the fingerprint."""
        made = self.fingerprint()
        encoders, constants = made.pop("encoders"), made.pop("standardizer")
        return {
            "model": self.name,
            "status": self.config.status,
            **self.files.provenance,
            "weights_sha256": {name: encoder["sha256"] for name, encoder in encoders.items()},
            **made,
            "standardized": constants is not None,
            "version": __version__,
        }

    def fingerprint(self, kind: str = "scene") -> dict[str, Any]:
        """Return what decides the numbers of a kind of result, and nothing else, as JSON values.

        Args:
            kind: ``"states"`` (hidden states of the track view), ``"features"``,
                ``"timestamps"`` or ``"scene"``; each depends on more than the one before.

        Raises:
            ValueError: If there is no such kind.
        """
        fused = self.fused
        parts: dict[str, dict[str, Any]] = {
            "states": {
                "precision": str(self.precision).removeprefix("torch."),
                "track_limit_seconds": fused.stretch_samples // SAMPLE_RATE,
            },
            "features": {
                "sources": list(fused.encoders),
                "views": list(fused.views),
                "layer": fused.layer,
                "segment_seconds": fused.segment_samples // SAMPLE_RATE,
            },
            "timestamps": {
                "delay_ms": self.config.delay_ms,
                "standardizer": self.standardizer.sha256 if self.standardizer else None,
            },
            "scene": {"pooling": self.config.pooling},
        }
        _check_choices("kind", (kind,), parts)
        depends = list(parts)[: list(parts).index(kind) + 1]
        encoders = {name: encoder.fingerprint() for name, encoder in fused.encoders.items()}
        decisive = {key: value for part in depends for key, value in parts[part].items()}
        return {**decisive, "encoders": encoders}  # last: hashes tell a reader least

    def features(self, waveform: Tensor) -> Tensor:
        """Return the fused feature by the published length rules: nothing padded, no resampling.

        Shape:
            - waveform: ``(B, samples)`` float at 24 kHz in [-1, 1], samples >= 1025
            - output: ``(B, frames, 4 * dim)`` float32: MusicFM segment, MuQ segment, MusicFM track,
              MuQ track; ``ceil(ceil(floor(samples / 240) / 2) / 2)`` frames of 40 ms

        Raises:
            ValueError: If the shape or length does not fit.
        """
        return self.extract(waveform).fused

    def extract(self, waveform: Tensor, states: Collection[HiddenState] = ()) -> Features:
        """Return :meth:`features` and further hidden states of the same pass.

        Raises:
            ValueError: If a state lies above the layers that :func:`load_model` was asked to keep.
        """
        waveform = self._check(waveform)
        rows = max(1, SECONDS_PER_PASS * SAMPLE_RATE // waveform.shape[1])
        parts = [self.fused.extract(part, states) for part in waveform.split(rows)]
        if len(parts) == 1:
            return parts[0]
        return Features(
            torch.cat([part.fused for part in parts]),
            {key: torch.cat([part.states[key] for part in parts]) for key in parts[0].states},
        )

    def hidden_states(
        self, waveform: Tensor, states: Collection[HiddenState]
    ) -> dict[HiddenState, Tensor]:
        """Return hidden states of the track view, without the fused feature.

        Encoders without one of these states do not run.

        Shape:
            - waveform: ``(B, samples)`` float at 24 kHz in [-1, 1], samples >= 1025
            - output: ``(B, frames, dim)`` float32 each

        Raises:
            ValueError: As :meth:`extract`.
        """
        return self.fused.hidden_states(self._check(waveform), states)

    def frame_embeddings(self, audio: Tensor) -> Tensor:
        """Return one feature per started 40 ms of ``audio`` at 48 kHz: ``(B, frames, dim)``."""
        with exactly(self.device):
            waveform = self.decimate(self._check(audio))
        samples = waveform.shape[1]
        frames = -(-samples // FRAME_HOP)
        padded = max(frames, -(-MIN_SAMPLES // FRAME_HOP)) * FRAME_HOP
        delay = self.config.delay_ms * SAMPLE_RATE // 1000
        return self.features(F.pad(waveform, (delay, padded - samples)))[:, :frames]

    def _check(self, audio: Tensor) -> Tensor:
        if not isinstance(audio, Tensor):
            raise TypeError(f"audio is a {type(audio).__name__}; pass a torch tensor (B, samples)")
        if audio.dim() != 2 or not audio.is_floating_point():
            raise ValueError(
                f"audio has shape {tuple(audio.shape)} and dtype {audio.dtype}; "
                "pass floating point (B, samples) in [-1, 1]"
            )
        if not audio.numel():
            raise ValueError(f"audio is empty: shape {tuple(audio.shape)}")
        return audio.to(device=self.device, dtype=torch.float32)


def load_model(
    model_file_path: str = "",
    *,
    variant: str = "mini",
    sources: Sequence[str] = SOURCES,
    views: Sequence[str] = VIEWS,
    layer: Layer | None = None,
    pooling: str | None = None,
    segment_seconds: int = SEGMENT_SECONDS,
    precision: str = "auto",
    device: str | torch.device | None = None,
    states: Collection[HiddenState] = (),
    track_limit_seconds: int = TRACK_LIMIT_SECONDS,
    scales: Sequence[str] | None = None,
) -> HearModel:
    """Return the model behind the HEAR functions, in evaluation mode and without gradients.

    Args:
        model_file_path: Variant name or model directory; wins over ``variant``.
        variant: ``"mini"`` (bundled) or ``"large"`` (the published pair, from disk or the hub).
        sources: Encoders, in the feature's order.
        views: Views, in the feature's order.
        layer: Hidden state, or a list of those that are joined; by default the model directory's,
            10 if it names none. The constants that standardize embeddings hold for the model's own;
            embeddings of others stay as they are.
        pooling: Frames to scene embedding, ``"mean"`` or ``"mean+std"``; by default the model
            directory's, ``"mean"`` if it names none.
        segment_seconds: Length of a segment in the segment view.
        precision: ``"float32"``, ``"bfloat16"`` or ``"auto"``: the model directory's, else bfloat16
            where the hardware multiplies it faster (:mod:`hear_aesthetics.compute.precision`).
        device: Device to compute on; by default a GPU if there is one.
        states: Further hidden states to keep the layers for; see :meth:`HearModel.extract`.
        track_limit_seconds: Longer audio is cut into stretches of this length, each encoded like a
            song of its own; a line in the log says so.
        scales: Former name of ``views``, refused.

    Raises:
        ValueError: If an option has a wrong value; lists the right ones.
        WeightsUnavailableError: If the weights are neither on disk nor reachable.
        CheckpointError: If a file does not hold what it should.
    """
    if scales is not None:
        raise InputError(f"scales is named views now: write views={scales!r}")
    _check_choices("sources", sources, SOURCES)
    _check_choices("views", views, VIEWS)
    if layer is not None:
        as_layers(layer)
    _check_seconds("segment_seconds", segment_seconds)
    _check_seconds("track_limit_seconds", track_limit_seconds)
    device = usable_device(device)
    files = locate_model(model_file_path or variant, sources=sources)
    stated = ModelConfig.read(files.config)
    config = replace(
        stated,
        layer=stated.layer if layer is None else layer,
        pooling=pooling or stated.pooling,
        precision=stated.precision if precision == "auto" else precision,
    )
    _check_choices("pooling", (config.pooling,), POOLINGS)
    _check_choices("precision", (config.precision,), PRECISIONS)
    dtype = PRECISIONS[config.precision] or auto_precision(device)
    highest = max([*as_layers(config.layer), *(state.layer for state in states)])
    backbones: dict[str, Backbone] = {
        source: ENCODERS[source].from_pretrained(
            files.encoders[source], layers=highest, dtype=dtype
        )
        for source in sources
    }
    fused = FusedFeatures(
        backbones,
        views=views,
        layer=config.layer,
        segment_seconds=segment_seconds,
        track_limit_seconds=track_limit_seconds,
    )
    standardizer = None
    same_layers = as_layers(config.layer) == as_layers(stated.layer)
    if files.config and config.standardizer and same_layers:
        standardizer = Standardizer.from_file(
            files.config.parent / config.standardizer,
            sources,
            views,
            dim=fused.dim // (len(sources) * len(views)),
            moments=POOLINGS[config.pooling],
        )
    model = HearModel(fused, config, files, dtype, standardizer)
    return model.to(device).eval().requires_grad_(False)


@torch.no_grad()
def get_scene_embeddings(audio: Tensor, model: HearModel) -> Tensor:
    """Return one embedding per sound.

    Args:
        audio: Mono sounds of equal length at 48 kHz in [-1, 1].
        model: From :func:`load_model`.

    Shape:
        - audio: ``(B, samples)`` float
        - output: ``(B, model.scene_embedding_size)`` float32 on the model's device
    """
    frames = model.frame_embeddings(audio)
    scenes = pool_frames(frames, model.config.pooling)
    return model.standardizer.scenes(scenes) if model.standardizer else scenes


@torch.no_grad()
def get_timestamp_embeddings(audio: Tensor, model: HearModel) -> tuple[Tensor, Tensor]:
    """Return one embedding per 40 ms of each sound, and its time.

    Args:
        audio: Mono sounds of equal length at 48 kHz in [-1, 1].
        model: From :func:`load_model`.

    Shape:
        - audio: ``(B, samples)`` float
        - embeddings: ``(B, frames, model.timestamp_embedding_size)`` float32
        - timestamps: ``(B, frames)`` float32, milliseconds: ``40 * i``
    """
    embeddings = model.frame_embeddings(audio)
    frames = torch.arange(embeddings.shape[1], device=embeddings.device)
    timestamps = (frames * FRAME_MS).float().repeat(embeddings.shape[0], 1)
    if model.standardizer:
        embeddings = model.standardizer.timestamps(embeddings)
    return embeddings, timestamps


def _check_layer(path: Path, layer: Any) -> None:
    try:
        as_layers(layer)
    except InputError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _check_seconds(option: str, given: int) -> None:
    if not isinstance(given, int) or given < 1:
        raise InputError(f"{option} is {given!r}; it takes a whole number >= 1")


def _check_choices(option: str, given: Sequence[str], allowed: Iterable[str]) -> None:
    wrong = [name for name in given if name not in allowed]
    if isinstance(given, str) or wrong or not given or len(set(given)) < len(given):
        raise InputError(f"{option} is {given!r}; it takes {' or '.join(map(repr, allowed))}")
