"""Composer of songs of known qualities: form, harmony, lead, accompaniment, mix."""

from collections.abc import Callable
from itertools import groupby
from typing import TypeVar

import numpy as np

from hear_aesthetics.synthesis.composition.accompaniment import (
    SECTION_NAMES,
    accompany,
    double_hook,
)
from hear_aesthetics.synthesis.composition.expression import perform, performance_of
from hear_aesthetics.synthesis.composition.form import Bar, SongPlan, plan_bars
from hear_aesthetics.synthesis.composition.harmony import harmonize
from hear_aesthetics.synthesis.composition.melody import compose_lead
from hear_aesthetics.synthesis.composition.qualities import Generator, Qualities, pick, stream
from hear_aesthetics.synthesis.composition.records import Composition, Production, Section, Span
from hear_aesthetics.synthesis.composition.styles import STYLES

__all__ = ["compose"]

T = TypeVar("T")

MIN_SECONDS = 4.0
TAIL_SECONDS = 1.0  # after the last bar, for the sound to die away
RMS_DB = (-25.0, -16.0)
CENTROID_HZ = (1300.0, 2400.0)
CROSSINGS_PER_CENTROID = (0.75, 1.15)  # zero crossings per second and Hz of centroid


def _check(seconds: float, style: str, form: str | None) -> None:
    if seconds < MIN_SECONDS:
        raise ValueError(
            f"a song of {seconds} s is too short to compose; ask for {MIN_SECONDS} s or more"
        )
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; choose one of: {', '.join(STYLES)}")
    if form is not None and (not form or set(form) - SECTION_NAMES):
        letters = ", ".join(sorted(SECTION_NAMES))
        raise ValueError(f"unknown form {form!r}; write one letter of {letters} per section")


def _spans(bars: tuple[Bar, ...], value_of: Callable[[Bar], T]) -> tuple[Span[T], ...]:
    """Return a span for each stretch of bars that agree in a value."""
    groups = [(value, list(group)) for value, group in groupby(bars, key=value_of)]
    return tuple(Span(same[0].start, same[-1].end, value) for value, same in groups)


def _sections(bars: tuple[Bar, ...]) -> tuple[Section, ...]:
    starts = [bar for bar in bars if bar.position == 0]
    ends = [*(bar.start for bar in starts[1:]), bars[-1].end]
    return tuple(
        Section(bar.section, bar.start, end) for bar, end in zip(starts, ends, strict=True)
    )


def _produce(seed: int, clarity: float) -> Production:
    """Return the mix settings: room, noise and lead level follow clarity, tone and level do not."""
    rng = stream(seed, "production")
    mud = 1.0 - clarity
    centroid = float(np.exp(rng.uniform(*np.log(CENTROID_HZ))))
    return Production(
        reverb_seconds=float(rng.uniform(0.6, 1.2)) * (1.0 + 2.5 * mud),
        wet=0.1 + 0.38 * mud,
        noise_db=-50.0 + 33.0 * mud,
        lead_db=1.5 - 5.0 * mud,
        rms_db=float(rng.uniform(*RMS_DB)),
        centroid_hz=centroid,
        crossing_rate=centroid * float(rng.uniform(*CROSSINGS_PER_CENTROID)),
    )


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
    """Compose a song.

    The seed decides everything that the other arguments leave open, each aspect from a stream of
    its own: two songs with the same seed that differ in one quality differ in nothing else.

    Args:
        seed: Any integer >= 0.
        seconds: Exact duration, at least 4.
        qualities: Qualities of the song; the best in all five if None.
        generator: Song generator whose styles are used; its offsets act through
            ``sample_qualities``.
        style: A name in ``STYLES``; drawn if None.
        tempo: Quarter notes per minute, kept within a few per cent; drawn if None.
        form: One letter (A, B or C) per section; drawn if None.

    Raises:
        ValueError: If the song is shorter than 4 s, or style or form are unknown.
    """
    if style is None:
        styles = (generator.styles if generator else ()) or tuple(STYLES)
        style = pick(stream(seed, "style"), styles)
    _check(seconds, style, form)
    qualities, chosen = qualities or Qualities(), STYLES[style]
    tempo = tempo or float(stream(seed, "tempo").uniform(*chosen.tempo))
    coherence, musicality = qualities.degree("coherence"), qualities.degree("musicality")
    bars = plan_bars(seed, seconds - TAIL_SECONDS, chosen, tempo, coherence, form)
    chords = harmonize(seed, bars, musicality, chosen.chord_size)
    plan = SongPlan(seed, bars, chords, chosen, qualities)
    line = compose_lead(plan)
    notes = (*perform(plan, line), *accompany(plan), *double_hook(plan, line))
    return Composition(
        seed=seed,
        seconds=seconds,
        style=chosen.name,
        beats_per_bar=chosen.beats,
        qualities=qualities,
        notes=tuple(sorted(notes, key=lambda note: note.onset)),
        sections=_sections(bars),
        keys=_spans(bars, lambda bar: bar.key),
        chords=tuple(
            Span(bar.start, bar.end, chord) for bar, chord in zip(bars, chords, strict=True)
        ),
        tempi=_spans(bars, lambda bar: 60.0 * chosen.beats / bar.seconds),
        takes=_spans(bars, lambda bar: bar.recording),
        performance=performance_of(seed, qualities.degree("naturalness")),
        production=_produce(seed, qualities.degree("clarity")),
    )
