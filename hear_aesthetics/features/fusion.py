"""Segment and track views of both encoders, aligned and joined into one feature per frame.

The *track view* is one pass over the whole waveform, the *segment view* one pass over each
30-second segment, joined in time (HEAR, Sec. 2.1: multi-source, multi-scale representations).
Segments hold a whole number of frames, so both views align exactly; a last segment too short for
the front end (under 1,025 samples) has no segment view, and the feature ends where the shortest
view does.

The convolutional subsampling, two thirds of the work, runs once over the track; next to segment
borders it runs again (:mod:`hear_aesthetics.features.segments`).
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Self

import torch
from torch import Tensor, nn

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.compute.precision import exactly
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.segments import Crops, border_crops, split_track, view_frames
from hear_aesthetics.spec import (
    FRAME_HOP,
    FRAME_RATE,
    SAMPLE_RATE,
    SEGMENT_SECONDS,
    frame_count,
)

__all__ = [
    "SOURCES",
    "TRACK_LIMIT_SECONDS",
    "VIEWS",
    "Features",
    "FusedFeatures",
    "HiddenState",
    "Layer",
    "as_layers",
    "parse_layer",
]

LOGGER = logging.getLogger(__name__)

SOURCES = ("musicfm", "muq")
FUSED = "fused"  # name of the fused feature beside those of hidden states
VIEWS = ("segment", "track")
TRACK_LIMIT_SECONDS = 1200

Layer = int | Sequence[int]  # a hidden state, or several that are joined

SEGMENT_BATCH_FRAMES = 8 * SEGMENT_SECONDS * FRAME_RATE  # frames of segments encoded together


@dataclass(frozen=True)
class HiddenState:
    """Hidden state of an encoder's track view.

    Attributes:
        source: Encoder, one of ``SOURCES``.
        layer: Conformer layer whose output it is; 0 is the input of the first.

    >>> str(HiddenState.parse("muq_06"))
    'muq_06'
    """

    source: str
    layer: int

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read the name that files and options give a hidden state.

        Raises:
            InputError: If it is not the name of an encoder, an underscore and a number.
        """
        source, _, layer = name.partition("_")
        if source not in SOURCES or not layer.isdecimal():
            raise InputError(f"{name!r} is no hidden state; write one such as 'muq_06'")
        return cls(source, int(layer))

    def __str__(self) -> str:
        return f"{self.source}_{self.layer:02d}"


def as_layers(layer: Layer) -> tuple[int, ...]:
    """Return the hidden states that are joined, in the feature's order.

    >>> as_layers(10), as_layers([2, 4])
    ((10,), (2, 4))

    Raises:
        InputError: If it is neither a whole number nor a list of different ones.
    """
    layers = tuple(layer) if isinstance(layer, list | tuple) else (layer,)
    if not layers or len({*layers}) < len(layers) or any(type(k) is not int for k in layers):
        raise InputError(f"layer is {layer!r}; it takes a whole number or a list such as [2, 4]")
    return layers


def parse_layer(text: str) -> Layer:
    """Read the hidden states of an option.

    >>> parse_layer("10"), parse_layer("2,4")
    (10, [2, 4])

    Raises:
        InputError: If it is not one number, nor several between commas.
    """
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"layer is {text!r}; it takes a whole number or several, such as 2,4")
    return int(text) if len(parts) == 1 else [int(part) for part in parts]


@dataclass(frozen=True)
class Features:
    """Fused feature of a batch of waveforms, further hidden states of the same pass, waveforms.

    Attributes:
        fused: ``(B, frames, dims)`` float32, the views side by side; empty if it was not computed.
        states: ``(B, frames, dim)`` float32 each.
        waveforms: The audio by the name of its format, ``(B, samples)`` float32 each.
    """

    fused: Tensor
    states: dict[HiddenState, Tensor] = field(default_factory=dict)
    waveforms: Mapping[str, Tensor] = field(default_factory=dict)

    def read(self, name: str) -> Tensor:
        """Return what a scorer reads: ``"fused"``, ``"muq_06"``, ``"waveform_24000"``."""
        if name == FUSED:
            return self.fused
        if name in self.waveforms:
            return self.waveforms[name]
        return self.states[HiddenState.parse(name)]


class FusedFeatures(nn.Module):
    """Fused multi-source, multi-scale feature of a waveform.

    Args:
        backbones: Encoders by source name; their order is the order in the feature.
        layer: Hidden state of the feature, or a list of those that are joined, side by side in
            each view of each encoder.
        views: Views, outermost in the feature's order. The published order is segment before
            track, and MusicFM before MuQ in each.
        segment_seconds: Length of a segment.
        track_limit_seconds: Longest audio that is encoded in one piece. Longer audio is cut into
            stretches of this length, each encoded like a song of its own, with a warning in the
            log: attention over all of it would cost the square of its length.
    """

    def __init__(
        self,
        backbones: Mapping[str, Backbone],
        *,
        layer: Layer,
        views: Sequence[str] = VIEWS,
        segment_seconds: int = SEGMENT_SECONDS,
        track_limit_seconds: int = TRACK_LIMIT_SECONDS,
    ) -> None:
        super().__init__()
        self.backbones = nn.ModuleDict(dict(backbones))
        self.views = tuple(views)
        self.layers = as_layers(layer)
        self.segment_samples = segment_seconds * SAMPLE_RATE
        segments = max(1, track_limit_seconds // segment_seconds)
        self.stretch_samples = segments * self.segment_samples
        for backbone in backbones.values():
            backbone.check_layers(self.layers)

    @property
    def layer(self) -> int | list[int]:
        """Hidden state of the feature, a list where several are joined, as a JSON value."""
        return list(self.layers) if len(self.layers) > 1 else self.layers[0]

    @property
    def dim(self) -> int:
        """Width of the fused feature."""
        widths = [backbone.dim for backbone in self.encoders.values()]
        return len(self.views) * len(self.layers) * sum(widths)

    @property
    def encoders(self) -> dict[str, Backbone]:
        """Encoders by source name, in the feature's order."""
        return dict(self.backbones.items())  # type: ignore[arg-type]

    def forward(self, waveform: Tensor) -> Tensor:
        """Return the fused feature; see :meth:`extract`."""
        return self.extract(waveform).fused

    @torch.no_grad()
    def extract(self, waveform: Tensor, states: Collection[HiddenState] = ()) -> Features:
        """Return the fused feature and further hidden states of the track view, from one pass.

        Args:
            waveform: Mono audio at 24 kHz in [-1, 1]; a batch of equal lengths.
            states: Hidden states wanted besides.

        Shape:
            - waveform: ``(B, samples)``, samples >= 1025
            - fused: ``(B, frames, dim)``, one frame per 40 ms

        Raises:
            ValueError: If the audio is too short or a state does not exist.
        """
        self.check_states(states)
        parts = waveform.split(split_track(waveform.shape[-1], self.stretch_samples), dim=1)
        if len(parts) > 1:
            LOGGER.warning(
                "%d s of audio: encoded in stretches of %d s (track_limit_seconds)",
                waveform.shape[-1] // SAMPLE_RATE,
                self.stretch_samples // SAMPLE_RATE,
            )
        lengths = [self._frames(part.shape[-1]) for part in parts]
        fused = waveform.new_empty(len(waveform), sum(lengths), self.dim, dtype=torch.float32)
        with exactly(waveform.device):
            found = [
                self._encode_stretch(part, states, target)
                for part, target in zip(parts, fused.split(lengths, dim=1), strict=True)
            ]
        return Features(fused, {key: _join([part[key] for part in found]) for key in found[0]})

    @torch.no_grad()
    def hidden_states(
        self, waveform: Tensor, states: Collection[HiddenState]
    ) -> dict[HiddenState, Tensor]:
        """Return hidden states of the track view alone; only the encoders that have them run.

        Arguments, stretches and errors as :meth:`extract`.

        Shape:
            - waveform: ``(B, samples)``, samples >= 1025
            - output: ``(B, frames, dim)`` each, float32
        """
        self.check_states(states)
        parts = waveform.split(split_track(waveform.shape[-1], self.stretch_samples), dim=1)
        with exactly(waveform.device):
            found = [self._encode_track(part, states) for part in parts]
        return {state: _join([part[state] for part in found]) for state in states}

    def _encode_track(
        self, waveform: Tensor, states: Collection[HiddenState]
    ) -> dict[HiddenState, Tensor]:
        mel = next(iter(self.encoders.values())).log_mel(waveform)
        found: dict[HiddenState, Tensor] = {}
        for source in dict.fromkeys(state.source for state in states):
            backbone = self.encoders[source]
            layers = {state.layer for state in states if state.source == source}
            frames = backbone.encoder.subsampling(backbone.normalize(mel))
            for layer, state in backbone.encoder(frames, layers).items():
                found[HiddenState(source, layer)] = state
        return found

    def check_states(self, states: Iterable[HiddenState]) -> None:
        """Raise ``ValueError`` unless every hidden state can be computed."""
        for state in states:
            if state.source not in self.backbones:
                raise InputError(f"{state} asked for; the encoders are {', '.join(self.backbones)}")
            self.encoders[state.source].check_layers((state.layer,))

    def _frames(self, samples: int) -> int:
        """Return the frames of the shortest view."""
        if "segment" in self.views:
            return view_frames(samples, self.segment_samples)
        return frame_count(samples)

    def _encode_stretch(
        self, waveform: Tensor, states: Collection[HiddenState], target: Tensor
    ) -> dict[HiddenState, Tensor]:
        """Write all views into ``target``; return the further states."""
        backbones = self.encoders
        log_mel = next(iter(backbones.values())).log_mel
        mel = log_mel(waveform)
        crops = []
        if "segment" in self.views:
            for where in border_crops(waveform.shape[-1], self.segment_samples):
                audio = [waveform[:, start : start + where.samples] for start in where.starts]
                crops.append(
                    (where, log_mel(torch.stack(audio, dim=1).flatten(0, 1))[..., where.mel])
                )
        every = product(self.views, backbones)
        widths = [len(self.layers) * backbones[source].dim for _, source in every]
        columns = target.split(widths, dim=-1)
        parts = dict(zip(product(self.views, backbones), columns, strict=True))
        found: dict[HiddenState, Tensor] = {}
        for source, backbone in backbones.items():
            own = {view: parts[view, source] for view in self.views}
            layers = [state.layer for state in states if state.source == source]
            for layer, state in self._encode_source(backbone, mel, crops, layers, own).items():
                found[HiddenState(source, layer)] = state
        return found

    def _encode_source(
        self,
        backbone: Backbone,
        mel: Tensor,
        crops: Sequence[tuple[Crops, Tensor]],
        layers: Collection[int],
        views: Mapping[str, Tensor],
    ) -> dict[int, Tensor]:
        """Write one encoder's views, by name; return its further states by layer."""
        frames = backbone.encoder.subsampling(backbone.normalize(mel))
        # Without borders the track is the one segment.
        from_track = {k: v for k, v in views.items() if k == "track"} if crops else views
        states: dict[int, Tensor] = {}
        if from_track or layers:
            states = backbone.encoder(frames, {*self.layers, *layers})
            for view in from_track.values():
                self._write_joined(states, view)
            states = {layer: states[layer] for layer in layers}
        if len(from_track) < len(views):
            frames = frames.clone()
            for where, part in crops:
                pieces = backbone.encoder.subsampling(backbone.normalize(part))[:, where.frames]
                pieces = pieces.unflatten(0, (len(frames), -1))
                for start, piece in zip(where.targets, pieces.unbind(1), strict=True):
                    frames[:, start : start + piece.shape[1]] = piece
            segment = views["segment"]
            self._encode_segments(backbone, frames[:, : segment.shape[1]], segment)
        return states

    def _encode_segments(self, backbone: Backbone, frames: Tensor, target: Tensor) -> None:
        """Encode each segment alone, whole ones together in batches, and write it to ``target``."""
        length = self.segment_samples // FRAME_HOP
        group = max(1, SEGMENT_BATCH_FRAMES // (length * len(frames))) * length
        whole = frames.shape[1] // length * length
        for start, stop in pairwise([*range(0, whole, group), whole]):
            segments = frames[:, start:stop].unflatten(1, (-1, length)).flatten(0, 1)
            states = backbone.encoder(segments, self.layers)
            joined = {
                layer: state.unflatten(0, (len(frames), -1)).flatten(1, 2)
                for layer, state in states.items()
            }
            self._write_joined(joined, target[:, start:stop])
        if whole < frames.shape[1]:
            states = backbone.encoder(frames[:, whole:], self.layers)
            self._write_joined(states, target[:, whole:])

    def _write_joined(self, states: Mapping[int, Tensor], target: Tensor) -> None:
        """Write the states of the feature side by side, as many frames as the target has."""
        for layer, columns in zip(self.layers, target.chunk(len(self.layers), dim=-1), strict=True):
            columns.copy_(states[layer][:, : target.shape[1]])


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
