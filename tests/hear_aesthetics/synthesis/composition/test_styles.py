import pytest

from hear_aesthetics.synthesis.composition.styles import (
    BASS_PATTERNS,
    CHORD_PATTERNS,
    DRUM_PATTERNS,
    STYLES,
    Style,
)
from hear_aesthetics.synthesis.sound.drums import DRUMS
from hear_aesthetics.synthesis.sound.formants import LEADS
from hear_aesthetics.synthesis.sound.timbres import INSTRUMENTS


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_a_style_names_only_instruments_and_patterns_that_exist(style: Style) -> None:
    assert {*style.chords, *style.bass, *style.pad, *style.arpeggio} <= set(INSTRUMENTS)
    assert set(style.leads) <= set(LEADS)
    assert set(style.chord_patterns) <= set(CHORD_PATTERNS)
    assert set(style.bass_patterns) <= set(BASS_PATTERNS)
    assert set(style.drum_patterns) <= set(DRUM_PATTERNS)
    assert 0 < style.tempo[0] < style.tempo[1]


def test_patterns_have_the_length_of_a_bar_and_known_symbols() -> None:
    for pattern in CHORD_PATTERNS.values():
        assert len(pattern) == 8
        assert set(pattern) <= set("x0123.")
    for pattern in BASS_PATTERNS.values():
        assert len(pattern) == 8
        assert set(pattern) <= set("rtfo.")
    for kit in DRUM_PATTERNS.values():
        assert set(kit) <= set(DRUMS)
        assert all(len(hits) == 16 and set(hits) <= set("x.") for hits in kit.values())
