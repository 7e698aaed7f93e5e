"""Cutting of a track: into stretches within the limit, into segments, and around their borders.

The convolutional subsampling of a segment differs from that of the track only next to its borders,
where the segment sees reflected samples and zero padding instead of its neighbour. Crops around the
borders yield those frames. After the last border lies the tail, a segment like any other: it is
computed whole when it is shorter than a crop, and dropped when it is too short for the front end.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hear_aesthetics.backbones.subsampling import HALO_AFTER, HALO_BEFORE, RECEPTIVE_MEL
from hear_aesthetics.spec import (
    FRAME_HOP,
    HOP_LENGTH,
    MEL_PER_FRAME,
    MIN_SAMPLES,
    N_FFT,
    frame_count,
)

__all__ = ["CROP_SAMPLES", "Crops", "border_crops", "split_track", "view_frames"]

# Mel frames whose window reaches over a segment's edge, at each end; with the convolutions' reach
# they say how many frames next to a border a segment computes differently from the track.
EDGE_MEL_BEFORE = -(-(N_FFT // 2) // HOP_LENGTH)
EDGE_MEL_AFTER = (N_FFT // 2 - 1) // HOP_LENGTH
HEAD_FRAMES = (EDGE_MEL_BEFORE - 1 + RECEPTIVE_MEL) // MEL_PER_FRAME + 1
TAIL_FRAMES = -(-(EDGE_MEL_AFTER + RECEPTIVE_MEL - 1) // MEL_PER_FRAME)
# A crop yields those frames, and enough beyond them to keep its inner edge out of sight.
CROP_FRAMES = max(HEAD_FRAMES + HALO_AFTER, TAIL_FRAMES + HALO_BEFORE)
CROP_MEL = CROP_FRAMES * MEL_PER_FRAME
# Extra mel frames at a crop's inner edge, discarded because their STFT window crosses it.
CROP_MARGIN_MEL = -(-(N_FFT // 2) // HOP_LENGTH)
CROP_SAMPLES = (CROP_MEL + CROP_MARGIN_MEL) * HOP_LENGTH


class Crops(NamedTuple):
    """Pieces of a track, of one length, and which of their frames replace which of the track's.

    Attributes:
        starts: Samples at which they begin.
        samples: Length of each.
        mel: Mel frames of each that its inner edge does not touch.
        frames: Frames, out of those of ``mel``, that are taken.
        targets: Frames of the track from which on these stand.
    """

    starts: Sequence[int]
    samples: int
    mel: slice
    frames: slice
    targets: Sequence[int]


def split_track(samples: int, limit: int) -> list[int]:
    """Return the lengths of a track's stretches; a rest too short to encode joins the last.

    >>> split_track(100_500, limit=50_000)
    [50000, 50500]
    """
    starts = range(0, max(1, samples - MIN_SAMPLES + 1), limit)
    return [stop - start for start, stop in pairwise([*starts, samples])]


def segment_borders(samples: int, segment_samples: int) -> range:
    """Return the samples, strictly inside a track, at which segments meet."""
    return range(segment_samples, samples, segment_samples)


def view_frames(samples: int, segment_samples: int) -> int:
    """Return the frames of a track's segment view, which is never longer than the track view."""
    borders = segment_borders(samples, segment_samples)
    dropped = borders and samples - borders[-1] < MIN_SAMPLES
    return frame_count(borders[-1] if dropped else samples)


def border_crops(samples: int, segment_samples: int) -> list[Crops]:
    """Return the crops before a track's borders and after them, and a tail shorter than a crop."""
    borders = segment_borders(samples, segment_samples)
    if not borders:
        return []
    rest = samples - borders[-1]
    before = [border - CROP_SAMPLES for border in borders]
    after = borders if rest >= CROP_SAMPLES else borders[:-1]
    frames = [border // FRAME_HOP for border in borders]
    ends = [frame - TAIL_FRAMES for frame in frames]
    crops = [
        Crops(before, CROP_SAMPLES, slice(-CROP_MEL, None), slice(-TAIL_FRAMES, None), ends),
        Crops(after, CROP_SAMPLES, slice(CROP_MEL), slice(HEAD_FRAMES), frames[: len(after)]),
    ]
    if MIN_SAMPLES <= rest < CROP_SAMPLES:
        crops.append(Crops(borders[-1:], rest, slice(None), slice(None), frames[-1:]))
    return [crop for crop in crops if crop.starts]
