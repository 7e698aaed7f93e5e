"""Form of a song: sections, bars, keys, tempi and bands; coherence acts here.

A song is a row of bars, two to a *unit*. At full coherence key, tempo and band stay at home for the
whole song. At low coherence units digress: to an unrelated key, another tempo, other instruments,
other accompaniment patterns, another recording (as if cut in from elsewhere), each drawn anew and
each on its own.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from hear_aesthetics.synthesis.composition.qualities import Qualities, even_draws, pick, stream
from hear_aesthetics.synthesis.composition.records import Recording
from hear_aesthetics.synthesis.composition.styles import (
    BASS_PATTERNS,
    CHORD_PATTERNS,
    DRUM_PATTERNS,
    STYLES,
    Style,
)
from hear_aesthetics.synthesis.composition.theory import MODES, OCTAVE, Chord, Key

__all__ = ["BARS_PER_UNIT", "Band", "Bar", "SongPlan", "plan_bars"]

BARS_PER_UNIT = 2
FORMS = ("ABABCBAB", "AABACABA", "ABACABAB")
MAX_SECTIONS = 8
SECTION_BARS = 8  # aimed at; short songs have shorter sections
MIN_SECTIONS = 3
DIGRESSION = 0.85  # share of the units that leave home at the lowest coherence, per aspect
TEMPO_SPREAD, TEMPO_LIMIT = 0.3, 0.5  # standard deviation and limit of a digression's log tempo
TILT_DB, LEVEL_DB = (2.0, 4.0), (3.0, 7.0)  # sizes of a foreign recording's tone and level


@dataclass(frozen=True, slots=True)
class Band:
    """Instruments of a unit and the patterns of the accompaniment."""

    lead: str
    chords: str
    bass: str
    pad: str
    arpeggio: str
    chord_pattern: str
    bass_pattern: str
    arpeggio_pattern: str
    drum_pattern: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of music.

    Attributes:
        start: Seconds.
        seconds: Length.
        section: Letter of the section; equal letters share their material.
        position: Bars since the section began.
        last: Whether it ends the song.
    """

    start: float
    seconds: float
    section: str
    position: int
    last: bool
    key: Key
    band: Band
    recording: Recording

    @property
    def end(self) -> float:
        """Seconds."""
        return self.start + self.seconds


@dataclass(frozen=True)
class SongPlan:
    """Skeleton of a song, over which lead, accompaniment and hook are written; a chord per bar."""

    seed: int
    bars: tuple[Bar, ...]
    chords: tuple[Chord, ...]
    style: Style
    qualities: Qualities

    def beat_time(self, unit: int, beat: float, *, swung: bool = True) -> float:
        """Return the time in seconds of a beat (quarter note) counted from the start of a unit."""
        if swung and beat % 1.0 == 0.5:
            beat += self.style.swing
        offset, inside = divmod(beat, self.style.beats)
        index = unit * BARS_PER_UNIT + int(offset)
        if index >= len(self.bars):
            return self.bars[-1].end
        bar = self.bars[index]
        return bar.start + bar.seconds * inside / self.style.beats


def _home_band(style: Style, rng: np.random.Generator) -> Band:
    return Band(
        lead=pick(rng, style.leads),
        chords=pick(rng, style.chords),
        bass=pick(rng, style.bass),
        pad=pick(rng, style.pad),
        arpeggio=pick(rng, style.arpeggio),
        chord_pattern=pick(rng, style.chord_patterns),
        bass_pattern=pick(rng, style.bass_patterns),
        arpeggio_pattern=pick(rng, ("up", "down and up", "broken", "alberti")),
        drum_pattern=pick(rng, style.drum_patterns) if style.drum_patterns else None,
    )


def _foreign_band(home: Band, instruments: bool, patterns: bool, rng: np.random.Generator) -> Band:
    """Return the home band with all its instruments or patterns drawn from any style."""
    guests = _home_band(STYLES[pick(rng, tuple(STYLES))], rng)
    chords, bass, drums = (
        pick(rng, tuple(known)) for known in (CHORD_PATTERNS, BASS_PATTERNS, DRUM_PATTERNS)
    )
    who = guests if instruments else home
    how = home.chord_pattern, home.bass_pattern, home.arpeggio_pattern, home.drum_pattern
    if patterns:
        how = chords, bass, chords, drums if home.drum_pattern else None
    return Band(who.lead, who.chords, who.bass, who.pad, who.arpeggio, *how)


def _digressions(
    seed: int, units: int, home: Key, band: Band, coherence: float
) -> tuple[np.ndarray, list[tuple[Key, Band, Recording]]]:
    """Return log tempo, key, band and recording of all units, those of home at full coherence.

    All draws are made whatever the coherence, so that it alone decides which of them count.
    """
    rng = stream(seed, "digressions")
    draws = np.stack([even_draws(rng, units) for _ in range(5)], axis=1)
    leaves = draws < DIGRESSION * (1.0 - coherence)
    log_tempo = np.clip(rng.normal(0.0, TEMPO_SPREAD, units), -TEMPO_LIMIT, TEMPO_LIMIT)
    material = []
    for _, key, instruments, patterns, recording in leaves.tolist():
        foreign_key = Key(int(rng.integers(OCTAVE)), pick(rng, tuple(MODES)))
        sizes = rng.choice([-1.0, 1.0], 2) * rng.uniform(*np.transpose([TILT_DB, LEVEL_DB]))
        material.append(
            (
                foreign_key if key else home,
                _foreign_band(band, instruments, patterns, rng),
                Recording(*sizes.tolist()) if recording else Recording(),
            )
        )
    return np.where(leaves[:, 0], log_tempo, 0.0), material


def plan_bars(
    seed: int, seconds: float, style: Style, tempo: float, coherence: float, form: str | None = None
) -> tuple[Bar, ...]:
    """Return the bars of a song.

    The number of bars is the one that fits best at ``tempo`` (quarter notes per minute); then all
    bars are scaled by the same factor so that they fill ``seconds`` exactly. Digressions change the
    tempo around this mean. ``form`` has one letter per section; it is drawn if None.
    """
    rng = stream(seed, "home")
    units = max(MIN_SECTIONS, round(seconds * tempo / 60 / style.beats / BARS_PER_UNIT))
    bars = units * BARS_PER_UNIT
    if form is None:
        sections = int(np.clip(round(bars / SECTION_BARS), MIN_SECTIONS, MAX_SECTIONS))
        form = str(rng.choice(FORMS))[:sections]
    edges = [round(units * index / len(form)) * BARS_PER_UNIT for index in range(len(form))]
    home = Key(int(rng.integers(OCTAVE)), pick(rng, style.modes))
    log_tempo, material = _digressions(seed, units, home, _home_band(style, rng), coherence)
    lengths = np.repeat(np.exp(-log_tempo), BARS_PER_UNIT)
    lengths *= seconds / lengths.sum()
    starts = np.cumsum(lengths) - lengths
    plan = []
    for bar in range(bars):
        section = bisect_right(edges, bar) - 1
        begin, length, position = float(starts[bar]), float(lengths[bar]), bar - edges[section]
        of_unit = material[bar // BARS_PER_UNIT]
        plan.append(Bar(begin, length, form[section], position, bar == bars - 1, *of_unit))
    return tuple(plan)
