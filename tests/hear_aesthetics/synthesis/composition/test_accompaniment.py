from collections import defaultdict

import numpy as np
import pytest

from hear_aesthetics.synthesis import Composition, Qualities, compose

PITCHED = ("chords", "bass", "pad", "arpeggio")


def _mistuned(song: Composition) -> list[float]:
    """Distance of each accompanying note from the nearest key of a piano, in semitones."""
    notes = [note for layer in PITCHED for note in song.layer(layer)]
    return [abs(note.pitch - round(note.pitch)) for note in notes]


def test_a_musical_band_is_in_tune_and_an_unmusical_one_is_not() -> None:
    means = [np.mean(_mistuned(compose(3, 30.0, Qualities(musicality=m)))) for m in (5, 3, 1)]
    assert means[0] == 0.0
    assert means[0] + 0.1 < means[1] < means[2] - 0.1


def test_two_players_of_a_pitch_are_as_loud_as_one() -> None:
    def power(song: Composition) -> dict[tuple[str, float], float]:
        total: dict[tuple[str, float], float] = defaultdict(float)
        for note in song.layer("bass"):  # one pitch at a time
            total[note.layer, note.onset] += note.velocity**2
        return total

    one, two = (power(compose(3, 30.0, Qualities(musicality=m))) for m in (5, 1))
    assert one.keys() == two.keys()
    for place, value in one.items():
        assert two[place] == pytest.approx(value)


def test_drums_have_no_tuning() -> None:
    best, worst = (compose(3, 30.0, Qualities(musicality=m)).layer("drums") for m in (5, 1))
    assert best
    assert best == worst
