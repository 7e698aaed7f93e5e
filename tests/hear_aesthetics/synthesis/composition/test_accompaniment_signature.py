import numpy as np
import pytest

from hear_aesthetics.synthesis import INSTRUMENTS, STYLES, compose
from hear_aesthetics.synthesis.composition.accompaniment import LOWEST_DOUBLED, SIGNATURES
from hear_aesthetics.synthesis.composition.qualities import Qualities


def _share(memorability: float) -> float:
    """Share of the lead's notes that are doubled."""
    songs = [compose(seed, 60.0, Qualities(memorability=memorability)) for seed in range(8)]
    return float(np.mean([len(s.layer("hook")) / len(s.layer("lead")) for s in songs]))


def test_memorability_decides_how_much_of_the_lead_is_doubled() -> None:
    assert _share(1.0) == 0.0
    assert 0.25 < _share(3.0) < 0.75
    assert _share(5.0) == 1.0


def test_a_hook_has_one_instrument_that_plays_the_notes_of_the_lead_above_it() -> None:
    song = compose(3, 60.0)
    assert len({note.instrument for note in song.layer("hook")}) == 1
    for lead, doubled in zip(song.layer("lead"), song.layer("hook"), strict=True):
        assert doubled.pitch >= LOWEST_DOUBLED
        # the lead is in tune to a few cents, and on time to a few hundredths of a second
        octaves = (doubled.pitch - lead.pitch) / 12
        assert octaves == pytest.approx(round(octaves), abs=0.01)
        assert doubled.onset == pytest.approx(lead.onset, abs=0.08)


def test_nobody_else_plays_the_instruments_of_the_hooks() -> None:
    assert set(SIGNATURES) <= set(INSTRUMENTS)
    for style in STYLES.values():
        others = {*style.chords, *style.bass, *style.pad, *style.arpeggio}
        assert not others & set(SIGNATURES)
