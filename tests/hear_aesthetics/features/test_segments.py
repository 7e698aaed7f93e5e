"""Cutting of a track, in numbers alone: no model, no audio."""

import pytest

from hear_aesthetics.features.segments import (
    CROP_SAMPLES,
    HEAD_FRAMES,
    TAIL_FRAMES,
    Crops,
    border_crops,
    split_track,
    view_frames,
)
from hear_aesthetics.spec import (
    FRAME_HOP,
    HOP_LENGTH,
    MEL_PER_FRAME,
    MIN_SAMPLES,
    SAMPLE_RATE,
    frame_count,
    mel_frame_count,
)

SEGMENT = 2 * SAMPLE_RATE
FRAMES = SEGMENT // FRAME_HOP
RESTS = [1, MIN_SAMPLES - 1, MIN_SAMPLES, CROP_SAMPLES - 1, CROP_SAMPLES, SEGMENT]


def mel_and_frames(crops: Crops) -> tuple[range, range]:
    """Mel frames of a crop that are kept, and frames, counted from these, that are taken."""
    mel = range(mel_frame_count(crops.samples))[crops.mel]
    return mel, range(-(-len(mel) // MEL_PER_FRAME))[crops.frames]


@pytest.mark.parametrize("samples", [1, MIN_SAMPLES, SEGMENT])
def test_a_track_of_one_segment_has_no_crops(samples):
    assert border_crops(samples, SEGMENT) == []
    assert view_frames(samples, SEGMENT) == frame_count(samples)
    assert split_track(samples, SEGMENT) == [samples]


@pytest.mark.parametrize("rest", RESTS)
def test_stretches_are_whole_and_a_rest_too_short_joins_the_last(rest):
    lengths = split_track(3 * SEGMENT + rest, SEGMENT)
    last = [SEGMENT + rest] if rest < MIN_SAMPLES else [SEGMENT, rest]
    assert lengths == [SEGMENT, SEGMENT, *last]


@pytest.mark.parametrize("rest", RESTS)
def test_a_tail_too_short_for_the_front_end_ends_the_segment_view(rest):
    frames = view_frames(3 * SEGMENT + rest, SEGMENT)
    assert frames == 3 * FRAMES + (frame_count(rest) if rest >= MIN_SAMPLES else 0)


@pytest.mark.parametrize("rest", RESTS)
def test_every_crop_lies_in_one_segment_and_yields_the_frames_it_replaces(rest):
    samples = 3 * SEGMENT + rest
    for crops in border_crops(samples, SEGMENT):
        for start, target in zip(crops.starts, crops.targets, strict=True):
            stop = start + crops.samples
            assert start // SEGMENT == (stop - 1) // SEGMENT
            assert stop <= samples
            mel, frames = mel_and_frames(crops)
            assert start + HOP_LENGTH * mel[0] + FRAME_HOP * frames[0] == FRAME_HOP * target


@pytest.mark.parametrize("rest", RESTS)
def test_the_frames_next_to_every_border_are_replaced_once(rest):
    samples = 3 * SEGMENT + rest
    replaced = [
        target + index
        for crops in border_crops(samples, SEGMENT)
        for target in crops.targets
        for index in range(len(mel_and_frames(crops)[1]))
    ]
    ends = [range(n * FRAMES - TAIL_FRAMES, n * FRAMES) for n in (1, 2, 3)]
    last = HEAD_FRAMES if rest >= CROP_SAMPLES else view_frames(samples, SEGMENT) - 3 * FRAMES
    heads = [*(range(n * FRAMES, n * FRAMES + HEAD_FRAMES) for n in (1, 2))]
    expected = [*ends, *heads, range(3 * FRAMES, 3 * FRAMES + last)]
    assert sorted(replaced) == sorted(frame for part in expected for frame in part)
