"""The plan of a song: sections, bars, keys and tempi, and who accompanies; coherence acts here.

A song is a row of bars, two to a *unit*. At full coherence key, tempo and band stay at home for the
whole song. At low coherence units digress: to an unrelated key, another tempo, other instruments,
other accompaniment patterns, each drawn anew and each on its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hear_aesthetics.synthesis.qualities import stream
from hear_aesthetics.synthesis.styles import (
    BASS_PATTERNS,
    CHORD_PATTERNS,
    DRUM_PATTERNS,
    STYLES,
    Style,
)
from hear_aesthetics.synthesis.theory import MODES, OCTAVE, Key

__all__ = ["BARS_PER_UNIT", "Band", "Bar", "plan_bars", "section_bars"]

BARS_PER_UNIT = 2
FORMS = ("ABABCBAB", "AABACABA", "ABACABAB")
MAX_SECTIONS = 8
SECTION_BARS = 8  # aimed at; short songs have shorter sections
MIN_SECTIONS = 3
DIGRESSION = 0.85  # share of the units that leave home at the lowest coherence, per aspect
TEMPO_SPREAD = 0.3  # standard deviation of the log tempo of a digression


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


def section_bars(form: str, bars: int) -> tuple[int, ...]:
    """Returns the first bar of each section and the total: even lengths in whole units."""
    units = bars // BARS_PER_UNIT
    edges = [round(units * index / len(form)) * BARS_PER_UNIT for index in range(len(form))]
    return (*edges, bars)


def choose_form(bars: int, rng: np.random.Generator) -> str:
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


def _pick_style(rng: np.random.Generator) -> Style:
    return STYLES[_pick(rng, tuple(STYLES))]


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
    home_rng, rng = stream(seed, "home"), stream(seed, "digressions")
    units = max(MIN_SECTIONS, round(seconds * tempo / 60 / style.beats / BARS_PER_UNIT))
    bars = units * BARS_PER_UNIT
    form = form or choose_form(bars, home_rng)
    edges = section_bars(form, bars)
    home_key = Key(int(home_rng.integers(OCTAVE)), _pick(home_rng, style.modes))
    home_band = _home_band(style, home_rng)

    # all draws are made whatever the coherence, so that it alone decides which of them count
    digresses = rng.random((units, 4)) < DIGRESSION * (1.0 - coherence)
    log_tempo = np.clip(rng.normal(0.0, TEMPO_SPREAD, units), -0.5, 0.5) * digresses[:, 0]
    keys = [Key(int(rng.integers(OCTAVE)), _pick(rng, tuple(MODES))) for _ in range(units)]
    bands = [_foreign_band(home_band, bool(d[2]), bool(d[3]), rng) for d in digresses]

    lengths = np.repeat(np.exp(-log_tempo), BARS_PER_UNIT)
    lengths *= seconds / lengths.sum()
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    section_of = np.searchsorted(edges, np.arange(bars), side="right") - 1
    return tuple(
        Bar(
            start=float(starts[bar]),
            seconds=float(lengths[bar]),
            section=form[section_of[bar]],
            position=bar - edges[section_of[bar]],
            unit=bar // BARS_PER_UNIT,
            last=bar == bars - 1,
            key=keys[bar // BARS_PER_UNIT] if digresses[bar // BARS_PER_UNIT, 1] else home_key,
            band=bands[bar // BARS_PER_UNIT],
        )
        for bar in range(bars)
    )
