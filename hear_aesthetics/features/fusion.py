"""Segment and track views of both encoders, aligned and joined into one feature per frame.

The *track view* is one pass over the whole waveform, the *segment view* one pass over each
30-second segment, joined in time (HEAR, Sec. 2.1: multi-source, multi-scale representations).
Segments hold a whole number of frames, so both views align exactly; a last segment too short for
the front end (under 1,025 samples) has no segment view, and the feature ends where the shortest
view does.

The convolutional subsampling, two thirds of the work, runs once over the track. Its output differs
from a segment's own only next to segment borders, where the segment sees reflected samples and
zero padding instead of its neighbour. Those frames alone are computed again.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Self

import torch
from torch import Tensor, nn

from hear_aesthetics.backbones import Backbone
from hear_aesthetics.backbones.subsampling import HALO_AFTER, HALO_BEFORE, RECEPTIVE_MEL
from hear_aesthetics.compute.precision import exactly
from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import (
    FRAME_HOP,
    FRAME_RATE,
    HOP_LENGTH,
    MEL_PER_FRAME,
    MIN_SAMPLES,
    N_FFT,
    SAMPLE_RATE,
    SEGMENT_SECONDS,
    frame_count,
)

__all__ = ["SCALES", "SOURCES", "TRACK_LIMIT_SECONDS", "Features", "FusedFeatures", "HiddenState"]

LOGGER = logging.getLogger(__name__)

SOURCES = ("musicfm", "muq")
FUSED = "fused"  # name of the fused feature beside those of hidden states
SCALES = ("segment", "track")
TRACK_LIMIT_SECONDS = 1200

# Mel frames whose window reaches over a segment's edge, at each end; with the convolutions' reach
# they say how many frames next to a border a segment computes differently from the track.
EDGE_MEL_BEFORE = -(-(N_FFT // 2) // HOP_LENGTH)
EDGE_MEL_AFTER = (N_FFT // 2 - 1) // HOP_LENGTH
HEAD_FRAMES = (EDGE_MEL_BEFORE - 1 + RECEPTIVE_MEL) // MEL_PER_FRAME + 1
TAIL_FRAMES = -(-(EDGE_MEL_AFTER + RECEPTIVE_MEL - 1) // MEL_PER_FRAME)
# A crop that yields those frames, and enough beyond them to keep its inner edge out of sight.
CROP_FRAMES = max(HEAD_FRAMES + HALO_AFTER, TAIL_FRAMES + HALO_BEFORE)
CROP_MEL = CROP_FRAMES * MEL_PER_FRAME
INNER_MEL = -(-(N_FFT // 2) // HOP_LENGTH)  # more mel frames whose windows the inner edge spoils
CROP_SAMPLES = (CROP_MEL + INNER_MEL) * HOP_LENGTH
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


@dataclass(frozen=True)
class Features:
    """Fused feature of a batch of waveforms and further hidden states of the same pass.

    Attributes:
        fused: ``(B, frames, dims)`` float32, the views side by side.
        states: ``(B, frames, dim)`` float32 each.
    """

    fused: Tensor
    states: dict[HiddenState, Tensor] = field(default_factory=dict)

    def read(self, name: str) -> Tensor:
        """Return what a scorer reads: ``"fused"``, or a hidden state such as ``"muq_06"``."""
        return self.fused if name == FUSED else self.states[HiddenState.parse(name)]


class FusedFeatures(nn.Module):
    """Waveform to the fused multi-source, multi-scale feature.

    Args:
        backbones: Encoders by source name; their order is the order in the feature.
        scales: Views, outermost in the feature's order. The published order is segment before
            track, and MusicFM before MuQ in each.
        layer: Hidden state that is taken.
        segment_seconds: Length of a segment.
        track_limit_seconds: Longest audio that is encoded in one piece. Longer audio is cut into
            stretches of this length, each encoded like a song of its own, with a warning in the
            log: attention over all of it would cost the square of its length.
    """

    def __init__(
        self,
        backbones: Mapping[str, Backbone],
        *,
        scales: Sequence[str] = SCALES,
        layer: int = 10,
        segment_seconds: int = SEGMENT_SECONDS,
        track_limit_seconds: int = TRACK_LIMIT_SECONDS,
    ) -> None:
        super().__init__()
        self.backbones = nn.ModuleDict(dict(backbones))
        self.scales = tuple(scales)
        self.layer = layer
        self.segment_samples = segment_seconds * SAMPLE_RATE
        segments = max(1, track_limit_seconds // segment_seconds)
        self.stretch_samples = segments * self.segment_samples
        for backbone in backbones.values():
            backbone.check_layers((layer,))

    @property
    def dim(self) -> int:
        """Width of the fused feature."""
        return len(self.scales) * sum(backbone.dim for backbone in self.encoders.values())

    @property
    def encoders(self) -> dict[str, Backbone]:
        """The encoders by source name, in the feature's order."""
        return dict(self.backbones.items())  # type: ignore[arg-type]

    def forward(self, waveform: Tensor) -> Tensor:
        """The fused feature alone; see :meth:`extract`."""
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
        stretches = [_Cuts(part, self.segment_samples) for part in self._stretches(waveform)]
        lengths = [cuts.frame_count("segment" in self.scales) for cuts in stretches]
        fused = waveform.new_empty(len(waveform), sum(lengths), self.dim, dtype=torch.float32)
        with exactly(waveform.device):
            parts = [
                self._encode_stretch(cuts, states, target)
                for cuts, target in zip(stretches, fused.split(lengths, dim=1), strict=True)
            ]
        return Features(fused, {key: _join([part[key] for part in parts]) for key in parts[0]})

    def check_states(self, states: Iterable[HiddenState]) -> None:
        """Raise ``ValueError`` unless every hidden state can be computed."""
        for state in states:
            if state.source not in self.backbones:
                raise InputError(f"{state} asked for; the encoders are {', '.join(self.backbones)}")
            self.encoders[state.source].check_layers((state.layer,))

    def _stretches(self, waveform: Tensor) -> list[Tensor]:
        """The waveform in pieces within the limit; a rest too short to encode joins the last."""
        samples = waveform.shape[-1]
        starts = range(0, max(1, samples - MIN_SAMPLES + 1), self.stretch_samples)
        if len(starts) > 1:
            LOGGER.warning(
                "%d s of audio: encoded in stretches of %d s (track_limit_seconds)",
                samples // SAMPLE_RATE,
                self.stretch_samples // SAMPLE_RATE,
            )
        return [waveform[:, a:b] for a, b in pairwise([*starts, samples])]

    def _encode_stretch(
        self, cuts: "_Cuts", states: Collection[HiddenState], target: Tensor
    ) -> dict[HiddenState, Tensor]:
        """Write all views into ``target``; the further states come back."""
        backbones = self.encoders
        first = next(iter(backbones.values()))
        mel, crops = first.log_mel(cuts.waveform), cuts.crop_mel(first)
        widths = [backbones[source].dim for _, source in product(self.scales, backbones)]
        columns = target.split(widths, dim=-1)
        views = dict(zip(product(self.scales, backbones), columns, strict=True))
        extra: dict[HiddenState, Tensor] = {}
        for source, backbone in backbones.items():
            own = {scale: views[scale, source] for scale in self.scales}
            layers = [state.layer for state in states if state.source == source]
            found = self._encode_source(backbone, cuts, mel, crops, layers, own)
            extra |= {HiddenState(source, layer): state for layer, state in found.items()}
        return extra

    def _encode_source(
        self,
        backbone: Backbone,
        cuts: "_Cuts",
        mel: Tensor,
        crops: list[Tensor],
        layers: Collection[int],
        views: Mapping[str, Tensor],
    ) -> dict[int, Tensor]:
        """Write one encoder's views, by scale; its further states come back."""
        frames = backbone.encoder.subsampling(backbone.normalise(mel))
        # Without borders the track is the one segment.
        from_track = views if not cuts.borders else {k: v for k, v in views.items() if k == "track"}
        states: dict[int, Tensor] = {}
        if from_track or layers:
            states = backbone.encoder(frames, {self.layer, *layers})
            for view in from_track.values():
                view.copy_(states[self.layer][:, : view.shape[1]])
            states = {layer: states[layer] for layer in layers}
        if len(from_track) < len(views):
            segments = cuts.segment_frames(backbone, frames, crops)
            self._encode_segments(backbone, segments, views["segment"])
        return states

    def _encode_segments(self, backbone: Backbone, frames: Tensor, target: Tensor) -> None:
        """Encode each segment alone, whole ones together in batches, and write it to ``target``."""
        length = self.segment_samples // FRAME_HOP
        group = max(1, SEGMENT_BATCH_FRAMES // (length * len(frames))) * length
        whole = frames.shape[1] // length * length
        for start, stop in pairwise([*range(0, whole, group), whole]):
            segments = frames[:, start:stop].unflatten(1, (-1, length)).flatten(0, 1)
            encoded = self._encode(backbone, segments)
            target[:, start:stop] = encoded.unflatten(0, (len(frames), -1)).flatten(1, 2)
        if whole < frames.shape[1]:
            target[:, whole:] = self._encode(backbone, frames[:, whole:])

    def _encode(self, backbone: Backbone, frames: Tensor) -> Tensor:
        return backbone.encoder(frames, (self.layer,))[self.layer]


class _Cuts:
    """Where segments meet inside a track, and what the segments compute there.

    ``borders`` are the sample positions strictly inside the track. After the last one lies the
    tail, which is encoded like any segment, computed alone as a whole when it is shorter than a
    crop, and dropped when it is too short for the front end.
    """

    def __init__(self, waveform: Tensor, segment_samples: int) -> None:
        samples = waveform.shape[-1]
        self.waveform = waveform
        self.borders = range(segment_samples, samples, segment_samples)
        rest = samples - self.borders[-1] if self.borders else samples
        self.tail_dropped = rest < MIN_SAMPLES
        self.tail_alone = not self.tail_dropped and rest < CROP_SAMPLES
        self.heads = self.borders[: len(self.borders) - (rest < CROP_SAMPLES)]

    def frame_count(self, with_segments: bool) -> int:
        """Frames of the shortest view."""
        if with_segments and self.borders and self.tail_dropped:
            return self.borders[-1] // FRAME_HOP
        return frame_count(self.waveform.shape[-1])

    def crop_mel(self, backbone: Backbone) -> list[Tensor]:
        """Log-mel in dB of all crops: before each border, after it, and the lone tail."""
        if not self.borders:
            return []
        before = self._crops(stop for stop in self.borders)
        mels = [backbone.log_mel(before)[..., -CROP_MEL:]]
        if self.heads:
            after = self._crops(start + CROP_SAMPLES for start in self.heads)
            mels.append(backbone.log_mel(after)[..., :CROP_MEL])
        if self.tail_alone:
            mels.append(backbone.log_mel(self.waveform[:, self.borders[-1] :]))
        return mels

    def _crops(self, stops: Iterable[int]) -> Tensor:
        crops = [self.waveform[:, stop - CROP_SAMPLES : stop] for stop in stops]
        return torch.stack(crops, dim=1).flatten(0, 1)

    def segment_frames(self, backbone: Backbone, track: Tensor, crops: list[Tensor]) -> Tensor:
        """The subsampled track with the frames next to each border as the segments see them."""
        frames = track.clone()
        pieces = [backbone.encoder.subsampling(backbone.normalise(mel)) for mel in crops]
        tails = pieces[0].unflatten(0, (len(track), -1))
        for index, border in enumerate(self.borders):
            stop = border // FRAME_HOP
            frames[:, stop - TAIL_FRAMES : stop] = tails[:, index, -TAIL_FRAMES:]
        if self.heads:
            heads = pieces[1].unflatten(0, (len(track), -1))
            for index, border in enumerate(self.heads):
                start = border // FRAME_HOP
                frames[:, start : start + HEAD_FRAMES] = heads[:, index, :HEAD_FRAMES]
        last = self.borders[-1] // FRAME_HOP
        if self.tail_dropped:
            return frames[:, :last]
        if self.tail_alone:
            frames[:, last:] = pieces[-1]
        return frames


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
