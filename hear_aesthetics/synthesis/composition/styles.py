"""Styles (genres): instruments, tempo, modes and accompaniment patterns.

Patterns are strings over the bar. For chords and bass one character is an eighth note: ``x`` the
whole chord, ``0``-``3`` one voice of it, ``r`` root, ``t`` third, ``f`` fifth, ``o`` octave, ``.``
rest. For drums one character is a sixteenth. They are written for four quarters; bars of three use
the first three quarters.
"""

from dataclasses import dataclass

__all__ = ["BASS_PATTERNS", "CHORD_PATTERNS", "DRUM_PATTERNS", "STYLES", "Style"]

CHORD_PATTERNS = {
    "block": "x.......",
    "half notes": "x...x...",
    "quarters": "x.x.x.x.",
    "off beat": "..x...x.",
    "strum": "x..xx.x.",
    "charleston": "x..x....",
    "alberti": "02120212",
    "up": "01230123",
    "down and up": "32101232",
    "waltz": "..x.x...",
    "pulse": "xxxxxxxx",
    "broken": "0.12.3.1",
}
BASS_PATTERNS = {
    "held": "r.......",
    "root and fifth": "r...f...",
    "walking": "r.t.f.t.",
    "pulse": "rrrrrrrr",
    "syncopated": "r..r..f.",
    "octaves": "r.o.r.o.",
    "bossa": "r..ff..r",
}
DRUM_PATTERNS = {
    "pop": {
        "kick": "x.......x.x.....",
        "snare": "....x.......x...",
        "closed hat": "x.x.x.x.x.x.x.x.",
    },
    "four on the floor": {
        "kick": "x...x...x...x...",
        "snare": "....x.......x...",
        "open hat": "..x...x...x...x.",
    },
    "rock": {
        "kick": "x.....x.x.......",
        "snare": "....x.......x..x",
        "closed hat": "x.x.x.x.x.x.x.x.",
    },
    "ballad": {
        "kick": "x.........x.....",
        "rim": "........x.......",
        "shaker": "x.x.x.x.x.x.x.x.",
    },
    "swing": {
        "kick": "x.......x.......",
        "closed hat": "....x.......x...",
        "open hat": "x...x..xx...x..x",
    },
    "bossa": {
        "kick": "x..xx..xx..xx..x",
        "rim": "x..x..x...x..x..",
        "shaker": "xxxxxxxxxxxxxxxx",
    },
    "toms": {
        "tom": "x..x..x.x..x..x.",
        "kick": "x.......x.......",
        "shaker": "..x...x...x...x.",
    },
}
VOICES = ("female voice", "male voice")


@dataclass(frozen=True)
class Style:
    """A genre; every tuple lists alternatives of which a song picks one.

    Attributes:
        name: As a prompt would name it.
        tempo: Range of the tempo in quarter notes per minute.
        beats: Quarter notes per bar.
        swing: Delay of the second eighth of each beat, in beats.
        chord_size: 3 for triads, 4 for seventh chords.
    """

    name: str
    tempo: tuple[int, int]
    modes: tuple[str, ...]
    leads: tuple[str, ...]
    chords: tuple[str, ...]
    bass: tuple[str, ...]
    pad: tuple[str, ...]
    arpeggio: tuple[str, ...]
    chord_patterns: tuple[str, ...]
    bass_patterns: tuple[str, ...]
    drum_patterns: tuple[str, ...] = ()
    beats: int = 4
    swing: float = 0.0
    chord_size: int = 3


STYLES = {
    style.name: style
    for style in (
        Style(
            name="pop", tempo=(92, 128), modes=("major", "minor"),
            leads=VOICES, chords=("piano", "electric piano", "guitar"),
            bass=("bass guitar", "synth bass"), pad=("warm pad", "string pad"),
            arpeggio=("marimba", "harp", "electric piano"),
            chord_patterns=("half notes", "strum", "quarters"),
            bass_patterns=("root and fifth", "pulse", "syncopated"),
            drum_patterns=("pop", "four on the floor"),
        ),
        Style(
            name="folk", tempo=(76, 116), modes=("major", "dorian", "mixolydian", "minor"),
            leads=(*VOICES, "solo flute", "solo violin"), chords=("guitar", "banjo", "harp"),
            bass=("double bass",), pad=("string pad",), arpeggio=("banjo", "harp", "marimba"),
            chord_patterns=("strum", "broken", "up"), bass_patterns=("root and fifth", "held"),
            drum_patterns=("ballad", "toms"),
        ),
        Style(
            name="rock", tempo=(100, 144), modes=("minor", "mixolydian", "major"),
            leads=VOICES, chords=("organ", "guitar", "electric piano"), bass=("bass guitar",),
            pad=("organ", "string pad"), arpeggio=("guitar", "piano"),
            chord_patterns=("pulse", "strum", "quarters"), bass_patterns=("pulse", "syncopated"),
            drum_patterns=("rock", "pop"),
        ),
        Style(
            name="jazz", tempo=(84, 138), swing=0.16, chord_size=4,
            modes=("dorian", "major", "mixolydian"),
            leads=("solo saxophone", *VOICES), chords=("piano", "electric piano"),
            bass=("double bass",), pad=("string pad",), arpeggio=("marimba", "guitar"),
            chord_patterns=("charleston", "off beat"), bass_patterns=("walking",),
            drum_patterns=("swing",),
        ),
        Style(
            name="bossa nova", tempo=(72, 108), chord_size=4, modes=("major", "dorian"),
            leads=(*VOICES, "solo flute", "solo saxophone"), chords=("guitar", "electric piano"),
            bass=("double bass",), pad=("string pad",), arpeggio=("piano", "marimba"),
            chord_patterns=("broken", "charleston"), bass_patterns=("bossa",),
            drum_patterns=("bossa",),
        ),
        Style(
            name="electronic", tempo=(104, 140), modes=("minor", "dorian"),
            leads=VOICES, chords=("electric piano", "organ", "warm pad"), bass=("synth bass",),
            pad=("warm pad",), arpeggio=("electric piano", "organ", "marimba"),
            chord_patterns=("off beat", "charleston", "up"), bass_patterns=("octaves", "pulse"),
            drum_patterns=("four on the floor",),
        ),
        Style(
            name="ballad", tempo=(60, 84), modes=("major", "minor"),
            leads=(*VOICES, "solo violin", "solo saxophone"), chords=("piano", "harp"),
            bass=("bass guitar", "double bass"), pad=("string pad", "warm pad"),
            arpeggio=("harp", "guitar"),
            chord_patterns=("up", "down and up", "half notes"),
            bass_patterns=("held", "root and fifth"), drum_patterns=("ballad",),
        ),
        Style(
            name="waltz", tempo=(84, 138), beats=3, modes=("major", "minor", "harmonic minor"),
            leads=("solo violin", "solo flute", *VOICES), chords=("piano", "string pad", "harp"),
            bass=("double bass", "cello"), pad=("string pad",), arpeggio=("harp", "clarinet"),
            chord_patterns=("waltz",), bass_patterns=("held",), drum_patterns=("ballad",),
        ),
        Style(
            name="cinematic", tempo=(66, 104), modes=("minor", "harmonic minor", "dorian"),
            leads=("solo violin", "female voice", "solo flute"),
            chords=("string pad", "brass", "piano"), bass=("cello", "double bass"),
            pad=("string pad", "warm pad"), arpeggio=("harp", "piano", "marimba"),
            chord_patterns=("block", "pulse", "half notes"), bass_patterns=("held", "pulse"),
            drum_patterns=("toms",),
        ),
        Style(
            name="classical", tempo=(72, 126), modes=("major", "minor", "harmonic minor"),
            leads=("solo violin", "solo flute"), chords=("piano", "string pad", "clarinet"),
            bass=("cello", "double bass"), pad=("string pad",),
            arpeggio=("clarinet", "harp", "flute"),
            chord_patterns=("alberti", "broken"), bass_patterns=("held", "root and fifth"),
        ),
    )
}  # fmt: skip
