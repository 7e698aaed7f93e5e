from itertools import product

import numpy as np
import pytest

from hear_aesthetics.synthesis.composition.theory import (
    MODES,
    Key,
    diatonic_chord,
    nearest_pitch,
    progression,
    voice_lead,
)


def test_degrees_walk_up_the_scale_and_through_the_octaves() -> None:
    key = Key(0, "major")
    assert [key.pitch(degree) for degree in range(8)] == [60, 62, 64, 65, 67, 69, 71, 72]
    assert key.pitch(-1) == 59
    assert Key(3, "minor").name == "Eb minor"


@pytest.mark.parametrize("mode", MODES)
def test_chords_of_a_key_stay_in_the_key(mode: str) -> None:
    key = Key(7, mode)
    for degree in range(7):
        assert set(diatonic_chord(key, degree, 4)) <= key.pitch_classes


def test_known_triads() -> None:
    key = Key(0, "major")
    assert diatonic_chord(key, 4) == (7, 11, 2)  # G major
    assert diatonic_chord(key, 1) == (2, 5, 9)  # D minor


def test_nearest_pitch_prefers_the_lower_on_a_tie() -> None:
    assert nearest_pitch(61, (0, 4, 7)) == 60
    assert nearest_pitch(62, (0, 4, 7)) == 60
    assert nearest_pitch(71, (0, 4, 7)) == 72


def test_a_progression_begins_on_the_tonic_and_ends_on_the_dominant() -> None:
    for seed in range(20):
        degrees = progression(np.random.default_rng(seed), 4)
        assert degrees[0] == 0
        assert degrees[-1] == 4
        assert len(degrees) == 4


def test_voice_leading_moves_less_than_any_other_voicing() -> None:
    chord, previous = (5, 9, 0), (60, 64, 67)
    voicing = voice_lead(chord, previous, 52, 69)
    assert {pitch % 12 for pitch in voicing} == {5, 9, 0}
    assert min(voicing) >= 52
    assert max(voicing) <= 69

    choices = [[p for p in range(52, 70) if p % 12 == cls] for cls in chord]
    movement = [
        sum(abs(a - b) for a, b in zip(sorted(other), previous, strict=True))
        for other in product(*choices)
    ]
    assert sum(abs(a - b) for a, b in zip(voicing, previous, strict=True)) == min(movement)
