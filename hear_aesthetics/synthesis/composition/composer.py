"""Composes songs of known qualities: plan, harmony, lead, band, mix."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TypeVar

from hear_aesthetics.synthesis.composition.accompaniment import SECTION_NAMES, accompany
from hear_aesthetics.synthesis.composition.expression import perform, performance_of
from hear_aesthetics.synthesis.composition.form import Bar, plan_bars
from hear_aesthetics.synthesis.composition.harmony import harmonise
from hear_aesthetics.synthesis.composition.melody import compose_lead
from hear_aesthetics.synthesis.composition.production import produce
from hear_aesthetics.synthesis.composition.qualities import Generator, Qualities, stream
from hear_aesthetics.synthesis.composition.records import (
    ChordSpan,
    Composition,
    KeySpan,
    Note,
    Section,
    Take,
    Tempo,
)
from hear_aesthetics.synthesis.composition.signature import double_hook
from hear_aesthetics.synthesis.composition.styles import STYLES, Style, find_style
from hear_aesthetics.synthesis.composition.theory import Chord
from hear_aesthetics.synthesis.sound.formants import LEADS

__all__ = ["compose"]

T = TypeVar("T")

MIN_SECONDS = 4.0
TAIL_SECONDS = 1.0  # after the last bar, for the sound to die away


def _check(seconds: float, form: str | None) -> None:
    if seconds < MIN_SECONDS:
        raise ValueError(
            f"a song of {seconds} s is too short to compose; ask for {MIN_SECONDS} s or more"
        )
    if form is not None and (not form or set(form) - SECTION_NAMES):
        letters = ", ".join(sorted(SECTION_NAMES))
        raise ValueError(f"unknown form {form!r}; write one letter of {letters} per section")


def _choose_style(seed: int, style: str | None, generator: Generator | None) -> Style:
    if style is not None:
        return find_style(style)
    names = (generator.styles if generator else ()) or tuple(STYLES)
    return find_style(names[int(stream(seed, "style").integers(len(names)))])


def _spans(bars: tuple[Bar, ...], what: Callable[[Bar], T]) -> Iterator[tuple[float, float, T]]:
    """Yields start, end and value of each stretch of bars that agree in something."""
    for value, group in groupby(bars, key=what):
        same = list(group)
        yield same[0].start, same[-1].start + same[-1].seconds, value


def _sections(bars: tuple[Bar, ...]) -> tuple[Section, ...]:
    starts = [bar for bar in bars if bar.position == 0]
    end = bars[-1].start + bars[-1].seconds
    edges = [*(bar.start for bar in starts), end]
    return tuple(
        Section(bar.section, first, last)
        for bar, first, last in zip(starts, edges[:-1], edges[1:], strict=True)
    )


def _tempi(bars: tuple[Bar, ...], beats: int) -> tuple[Tempo, ...]:
    tempi: list[Tempo] = []
    for bar in bars:
        bpm = 60.0 * beats / bar.seconds
        if not tempi or abs(bpm - tempi[-1].bpm) > 1e-6 * bpm:
            tempi.append(Tempo(bar.start, bpm))
    return tuple(tempi)


def _write(
    seed: int, bars: tuple[Bar, ...], chords: tuple[Chord, ...], style: Style, qualities: Qualities
) -> tuple[Note, ...]:
    """Returns all notes, by onset."""
    musicality, naturalness = qualities.degree("musicality"), qualities.degree("naturalness")
    octave = LEADS[bars[0].band.lead].octave
    line = compose_lead(
        seed, bars, chords, qualities.degree("memorability"), musicality, style.beats, octave
    )
    lead = perform(seed, line, bars, naturalness, style.beats, style.swing)
    clarity = qualities.degree("clarity")
    band = accompany(seed, bars, chords, musicality, clarity, style.beats, style.swing, octave)
    riff = double_hook(seed, line, bars, style.beats, style.swing)
    return tuple(sorted((*lead, *band, *riff), key=lambda note: note.onset))


def compose(
    seed: int,
    seconds: float = 90.0,
    qualities: Qualities | None = None,
    generator: Generator | None = None,
    *,
    style: str | None = None,
    tempo: float | None = None,
    form: str | None = None,
) -> Composition:
    """Composes a song.

    The seed decides everything that the other arguments leave open, each aspect from a stream of
    its own: two songs with the same seed that differ in one quality differ in nothing else.

    Args:
        seed: Any integer >= 0.
        seconds: Exact duration, at least 4.
        qualities: What the song is to be like; the best in all five if None.
        generator: Its preferred styles are used. Its offsets act through ``sample_qualities``.
        style: A name in ``STYLES``; drawn if None.
        tempo: Quarter notes per minute, kept within a few per cent; drawn if None.
        form: One letter (A, B or C) per section; drawn if None.

    Raises:
        ValueError: If the song is shorter than 4 s, or style or form are unknown.
    """
    _check(seconds, form)
    qualities = qualities or Qualities()
    chosen = _choose_style(seed, style, generator)
    tempo = tempo or float(stream(seed, "tempo").uniform(*chosen.tempo))
    coherence, musicality = qualities.degree("coherence"), qualities.degree("musicality")
    bars = plan_bars(seed, seconds - TAIL_SECONDS, chosen, tempo, coherence, form)
    chords = harmonise(seed, bars, musicality, chosen.chord_size)
    return Composition(
        seed=seed,
        seconds=seconds,
        style=chosen.name,
        beats_per_bar=chosen.beats,
        qualities=qualities,
        notes=_write(seed, bars, chords, chosen, qualities),
        sections=_sections(bars),
        keys=tuple(KeySpan(*span) for span in _spans(bars, lambda bar: bar.key)),
        chords=tuple(
            ChordSpan(bar.start, bar.start + bar.seconds, chord)
            for bar, chord in zip(bars, chords, strict=True)
        ),
        tempi=_tempi(bars, chosen.beats),
        takes=tuple(Take(*span) for span in _spans(bars, lambda bar: bar.recording)),
        performance=performance_of(seed, qualities.degree("naturalness")),
        production=produce(seed, qualities.degree("clarity")),
    )
