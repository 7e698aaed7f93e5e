"""The plan of a song: sections, bars, keys and tempi, and who accompanies; coherence acts here.

A song is a row of bars, two to a *unit*. At full coherence key, tempo and band stay at home for the
whole song. At low coherence units digress: to an unrelated key, another tempo, other instruments,
other accompaniment patterns, another recording (as if cut in from elsewhere), each drawn anew and
each on its own.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hear_aesthetics.synthesis.composition.qualities import even_draws, stream
from hear_aesthetics.synthesis.composition.records import Recording
from hear_aesthetics.synthesis.composition.styles import (
    BASS_PATTERNS,
    CHORD_PATTERNS,
    DRUM_PATTERNS,
    STYLES,
    Style,
)
from hear_aesthetics.synthesis.composition.theory import MODES, OCTAVE, Key

__all__ = ["BARS_PER_UNIT", "Band", "Bar", "beat_time", "plan_bars"]

BARS_PER_UNIT = 2
FORMS = ("ABABCBAB", "AABACABA", "ABACABAB")
MAX_SECTIONS = 8
SECTION_BARS = 8  # aimed at; short songs have shorter sections
MIN_SECTIONS = 3
DIGRESSION = 0.85  # share of the units that leave home at the lowest coherence, per aspect
TEMPO_SPREAD, TEMPO_LIMIT = 0.3, 0.5  # deviation and largest value of a digression's log tempo
TILT_DB, LEVEL_DB = (2.0, 4.0), (3.0, 7.0)  # sizes of a foreign recording's tone and level


@dataclass(frozen=True, slots=True)
class Band:
    """The accompanying instruments of a unit and their patterns."""

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
    """One bar.

    Attributes:
        start: Seconds.
        seconds: Length.
        section: Letter of the section; equal letters share their material.
        position: Bars since the section began.
        unit: Number of its two-bar unit in the song.
        last: Whether it ends the song.
    """

    start: float
    seconds: float
    section: str
    position: int
    unit: int
    last: bool
    key: Key
    band: Band
    recording: Recording


def _section_bars(form: str, bars: int) -> tuple[int, ...]:
    """Returns the first bar of each section and the total: even lengths in whole units."""
    units = bars // BARS_PER_UNIT
    edges = [round(units * index / len(form)) * BARS_PER_UNIT for index in range(len(form))]
    return (*edges, bars)


def _choose_form(bars: int, rng: np.random.Generator) -> str:
    """Returns one letter per section, as many as fit."""
    form = str(rng.choice(FORMS))
    return form[: int(np.clip(round(bars / SECTION_BARS), MIN_SECTIONS, MAX_SECTIONS))]


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _home_band(style: Style, rng: np.random.Generator) -> Band:
    return Band(
        lead=_pick(rng, style.leads),
        chords=_pick(rng, style.chords),
        bass=_pick(rng, style.bass),
        pad=_pick(rng, style.pad),
        arpeggio=_pick(rng, style.arpeggio),
        chord_pattern=_pick(rng, style.chord_patterns),
        bass_pattern=_pick(rng, style.bass_patterns),
        arpeggio_pattern=_pick(rng, ("up", "down and up", "broken", "alberti")),
        drum_pattern=_pick(rng, style.drum_patterns) if style.drum_patterns else None,
    )


def _foreign_band(home: Band, instruments: bool, patterns: bool, rng: np.random.Generator) -> Band:
    """Returns the home band with all its instruments or patterns drawn from any style."""
    guests = _home_band(_pick_style(rng), rng)
    chord_pattern, bass_pattern, drum_pattern = (
        _pick(rng, tuple(patterns_of))
        for patterns_of in (CHORD_PATTERNS, BASS_PATTERNS, DRUM_PATTERNS)
    )
    who = guests if instruments else home
    return Band(
        lead=who.lead,
        chords=who.chords,
        bass=who.bass,
        pad=who.pad,
        arpeggio=who.arpeggio,
        chord_pattern=chord_pattern if patterns else home.chord_pattern,
        bass_pattern=bass_pattern if patterns else home.bass_pattern,
        arpeggio_pattern=chord_pattern if patterns else home.arpeggio_pattern,
        drum_pattern=drum_pattern if patterns and home.drum_pattern else home.drum_pattern,
    )


def _foreign_recording(rng: np.random.Generator) -> Recording:
    tilt, level = rng.choice([-1.0, 1.0], 2) * rng.uniform(*np.transpose([TILT_DB, LEVEL_DB]))
    return Recording(float(tilt), float(level))


def _pick_style(rng: np.random.Generator) -> Style:
    return STYLES[_pick(rng, tuple(STYLES))]


def beat_time(
    bars: tuple[Bar, ...], unit: int, beat: float, beats: int, swing: float = 0.0
) -> float:
    """Returns the time in seconds of a beat counted from the start of a unit."""
    if swing and beat % 1.0 == 0.5:
        beat += swing
    offset, inside = divmod(beat, beats)
    index = unit * BARS_PER_UNIT + int(offset)
    if index >= len(bars):
        return bars[-1].start + bars[-1].seconds
    return bars[index].start + bars[index].seconds * inside / beats


@dataclass(frozen=True, slots=True)
class _Digression:
    """How one unit differs from home; a log tempo of 0 and a key of None mean not at all."""

    log_tempo: float
    key: Key | None
    band: Band
    recording: Recording


def _digressions(seed: int, units: int, home: Band, coherence: float) -> list[_Digression]:
    """Returns what each unit does; at full coherence nothing but stay at home.

    All draws are made whatever the coherence, so that it alone decides which of them count.
    """
    rng = stream(seed, "digressions")
    draws = np.stack([even_draws(rng, units) for _ in range(5)], axis=1)
    leaves = draws < DIGRESSION * (1.0 - coherence)
    log_tempo = np.clip(rng.normal(0.0, TEMPO_SPREAD, units), -TEMPO_LIMIT, TEMPO_LIMIT)
    digressions = []
    for unit in range(units):
        tempo, key, instruments, patterns, recording = leaves[unit].tolist()
        foreign_key = Key(int(rng.integers(OCTAVE)), _pick(rng, tuple(MODES)))
        foreign_recording = _foreign_recording(rng)
        digressions.append(
            _Digression(
                log_tempo=float(log_tempo[unit]) if tempo else 0.0,
                key=foreign_key if key else None,
                band=_foreign_band(home, instruments, patterns, rng),
                recording=foreign_recording if recording else Recording(),
            )
        )
    return digressions


def plan_bars(
    seed: int, seconds: float, style: Style, tempo: float, coherence: float, form: str | None = None
) -> tuple[Bar, ...]:
    """Returns the bars of a song.

    The number of bars is the one that fits best at ``tempo``; then all bars are scaled by the same
    factor so that they fill ``seconds`` exactly. Digressions change the tempo around this mean.

    Args:
        seed: Seed of the song.
        seconds: Time to fill.
        style: Decides modes, metre and band.
        tempo: Quarter notes per minute.
        coherence: In [0, 1].
        form: One letter per section; drawn if None.
    """
    rng = stream(seed, "home")
    units = max(MIN_SECTIONS, round(seconds * tempo / 60 / style.beats / BARS_PER_UNIT))
    bars = units * BARS_PER_UNIT
    form = form or _choose_form(bars, rng)
    edges = _section_bars(form, bars)
    home = Key(int(rng.integers(OCTAVE)), _pick(rng, style.modes))
    digressions = _digressions(seed, units, _home_band(style, rng), coherence)
    lengths = np.repeat([np.exp(-unit.log_tempo) for unit in digressions], BARS_PER_UNIT)
    lengths *= seconds / lengths.sum()
    starts = np.cumsum(lengths) - lengths
    plan = []
    for bar in range(bars):
        section = bisect_right(edges, bar) - 1
        unit = digressions[bar // BARS_PER_UNIT]
        plan.append(
            Bar(
                start=float(starts[bar]),
                seconds=float(lengths[bar]),
                section=form[section],
                position=bar - edges[section],
                unit=bar // BARS_PER_UNIT,
                last=bar == bars - 1,
                key=unit.key or home,
                band=unit.band,
                recording=unit.recording,
            )
        )
    return tuple(plan)
