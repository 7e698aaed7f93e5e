"""What a sheet says of a frame holds at its centre."""

import numpy as np
import pytest

from hear_aesthetics.pretraining.rendered.labels import (
    LOWEST_DRUM,
    LOWEST_PITCH,
    NONE,
    LabelSheet,
    chord_class,
)


def test_a_note_stands_in_the_frames_whose_centres_it_covers() -> None:
    sheet = LabelSheet(1.0)
    sheet.add_note(0.09, 0.2, 60, 7)  # centres: 0.10, 0.14, ... 0.26
    labels = sheet.labels(has_music=True)
    pitch = 60 - LOWEST_PITCH
    assert np.flatnonzero(labels.pitches[:, pitch]).tolist() == [2, 3, 4, 5, 6]
    assert np.flatnonzero(labels.presets[:, 7]).tolist() == [2, 3, 4, 5, 6]
    assert labels.onsets.sum() == labels.onsets[2, pitch] == 1
    assert labels.pitches.sum() == 5


def test_what_is_short_has_a_frame_and_what_is_outside_none() -> None:
    sheet = LabelSheet(0.4)
    sheet.add_note(0.101, 0.001, 60, 7)
    sheet.add_note(0.5, 1.0, 60, 7)
    sheet.add_note(0.2, 0.1, LOWEST_PITCH - 1, 8)  # no key of the piano
    labels = sheet.labels(has_music=True)
    assert labels.pitches.sum() == 1
    assert labels.presets[:, 8].any()


def test_hits_and_classes() -> None:
    sheet = LabelSheet(0.4)
    sheet.add_hit(0.0, LOWEST_DRUM)
    sheet.add_hit(0.0, 27)  # no key of General MIDI's percussion
    sheet.set_class("chord", 0.0, 0.2, 11)
    sheet.set_class("tempo", 0.0, 0.2, 99.5)
    labels = sheet.labels(has_music=True)
    assert np.flatnonzero(labels.drums[:, 0]).tolist() == [0, 1, 2]
    assert labels.drums.sum() == 3
    assert labels.chord.tolist() == [11] * 5 + [NONE] * 5
    assert labels.tempo[4] == pytest.approx(99.5)
    assert np.isnan(labels.tempo[5])


@pytest.mark.parametrize(
    ("intervals", "quality"),
    [({0, 4, 7}, 0), ({0, 3, 7, 10}, 1), ({0, 3, 6}, 2), ({0, 4, 8}, 3), ({0, 4, 7, 10}, 4)],
)
def test_chords_are_told_by_root_and_quality(intervals: set[int], quality: int) -> None:
    assert chord_class(9, intervals) == 9 * 5 + quality
