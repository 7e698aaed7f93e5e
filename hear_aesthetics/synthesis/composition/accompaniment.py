"""Accompaniment: chords, bass, pad, arpeggio and drums, and one instrument that doubles the hooks.

Clarity acts on the arrangement: at its best sections differ in their instruments and every layer
has a register of its own; at its worst all layers play all the time, in the register of the lead.
Musicality acts on the tuning: at its worst two players or strings of one pitch are apart, and beat.
Memorability acts on the doubling: a listener knows a hook by its sound as much as by its notes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hear_aesthetics.synthesis.composition.form import BARS_PER_UNIT, Band, SongPlan
from hear_aesthetics.synthesis.composition.harmony import voice_chords
from hear_aesthetics.synthesis.composition.melody import LeadNote
from hear_aesthetics.synthesis.composition.qualities import pick, stream
from hear_aesthetics.synthesis.composition.records import Note
from hear_aesthetics.synthesis.composition.styles import (
    BASS_PATTERNS,
    CHORD_PATTERNS,
    DRUM_PATTERNS,
)
from hear_aesthetics.synthesis.composition.theory import OCTAVE, Chord, nearest_pitch
from hear_aesthetics.synthesis.sound.formants import LEADS

__all__ = ["LAYERS", "SECTION_NAMES", "SIGNATURES", "accompany", "double_hook"]

LAYERS = ("chords", "bass", "pad", "arpeggio", "drums")
# Layers of each section when sections are kept apart; two ways, of which a song takes one
CONTRASTS = (
    {
        "A": ("chords", "bass"),
        "B": ("chords", "bass", "pad", "drums", "arpeggio"),
        "C": ("pad", "arpeggio"),
    },
    {
        "A": ("chords", "bass", "drums"),
        "B": ("bass", "pad", "drums", "arpeggio"),
        "C": ("chords", "pad"),
    },
)
# Lowest pitch of each layer at full clarity, and how far mud moves it towards the lead, by the
# octave of the lead: chords and pad lie below a high voice and above a low one
REGISTERS = {
    5: {"bass": (31, 14), "chords": (52, 8), "pad": (50, 10), "arpeggio": (77, -14)},
    4: {"bass": (31, 12), "chords": (63, -9), "pad": (66, -12), "arpeggio": (77, -22)},
}
SECTION_NAMES = frozenset(CONTRASTS[0])
EIGHTHS, SIXTEENTHS = 2, 4  # per beat
HUMAN_SECONDS = 0.004  # onsets scatter by this
PITCHES = 128
# Semitones between the two strings or players of a pitch at the lowest musicality, and the ratio
# by which that varies from pitch to pitch
MISTUNING, UNEVENNESS = 0.7, 1.5
IN_TUNE = 0.02  # semitones below which two players are one
SIGNATURES = ("whistle", "bell")  # instruments that double hooks, and play nothing else
LOWEST_DOUBLED, DOUBLED_VELOCITY = 84, 0.8


class _Event(NamedTuple):
    """A note of the accompaniment in beats from the start of its bar."""

    beat: float
    length: float
    pitch: int
    instrument: str
    layer: str
    velocity: float


def _playing_layers(plan: SongPlan) -> dict[str, set[str]]:
    """Return the layers of each section: its own at full clarity, all of them at none."""
    rng, clarity = stream(plan.seed, "contrast"), plan.qualities.degree("clarity")
    own = pick(rng, CONTRASTS)
    playing = {}
    for letter in sorted({bar.section for bar in plan.bars}):
        draws = zip(LAYERS, rng.random(len(LAYERS)), strict=True)
        playing[letter] = {*own[letter], *(layer for layer, draw in draws if draw > clarity)}
    return playing


def _steps(pattern: str, per_beat: int, beats: int) -> Iterator[tuple[float, float, str]]:
    """Yield (beat, length until the next event, symbol) of a pattern cut to the bar."""
    cut = pattern[: per_beat * beats]
    places = [place for place, symbol in enumerate(cut) if symbol != "."]
    for place, following in zip(places, [*places[1:], len(cut)], strict=True):
        yield place / per_beat, (following - place) / per_beat, cut[place]


def _chords(band: Band, voicing: tuple[int, ...], beats: int) -> Iterator[_Event]:
    for beat, length, symbol in _steps(CHORD_PATTERNS[band.chord_pattern], EIGHTHS, beats):
        voices = voicing if symbol == "x" else (voicing[int(symbol) % len(voicing)],)
        velocity = 0.6 if symbol == "x" else 0.85
        for pitch in voices:
            yield _Event(beat, length, pitch, band.chords, "chords", velocity)


def _arpeggio(band: Band, voicing: tuple[int, ...], beats: int) -> Iterator[_Event]:
    pattern = CHORD_PATTERNS[band.arpeggio_pattern].replace("x", "0")
    for beat, length, symbol in _steps(pattern, EIGHTHS, beats):
        pitch = voicing[int(symbol) % len(voicing)]
        yield _Event(beat, length, pitch, band.arpeggio, "arpeggio", 0.7)


def _pad(band: Band, voicing: tuple[int, ...], beats: int) -> Iterator[_Event]:
    for pitch in voicing:
        yield _Event(0.0, beats, pitch, band.pad, "pad", 0.7)


def _bass(band: Band, chord: Chord, low: int, beats: int) -> Iterator[_Event]:
    root = low + (chord[0] - low) % OCTAVE
    pitches = {
        "r": root,
        "o": root + OCTAVE,
        "t": nearest_pitch(root + 4, chord[1:2]),
        "f": nearest_pitch(root + 7, chord[2:3]),
    }
    for beat, length, symbol in _steps(BASS_PATTERNS[band.bass_pattern], EIGHTHS, beats):
        yield _Event(beat, length, pitches[symbol], band.bass, "bass", 0.8)


def _drums(band: Band, position: int, beats: int) -> Iterator[_Event]:
    if band.drum_pattern is None:
        return
    for drum, pattern in DRUM_PATTERNS[band.drum_pattern].items():
        for beat, length, _ in _steps(pattern, SIXTEENTHS, beats):
            velocity = 0.85 if beat % 1.0 == 0.0 else 0.65
            yield _Event(beat, length, 0, drum, "drums", velocity)
    if position == 0:
        yield _Event(0.0, 1.0, 0, "crash", "drums", 0.6)


def _tuning(seed: int, musicality: float) -> dict[str, np.ndarray]:
    """Return how far apart, in semitones, each pitch of each layer is played, ``(128,)`` each."""
    rng = stream(seed, "tuning")
    apart = MISTUNING * (1.0 - musicality)
    ratio = UNEVENNESS ** rng.uniform(-1.0, 1.0, (len(LAYERS), PITCHES))
    return dict(zip(LAYERS, apart * ratio, strict=True)) | {"drums": np.zeros(PITCHES)}


def _to_notes(plan: SongPlan, events: list[tuple[int, _Event]]) -> tuple[Note, ...]:
    """Place events in time, a few milliseconds off, as hands do."""
    hands = {layer: stream(plan.seed, f"hands {layer}") for layer in LAYERS}
    tuning = _tuning(plan.seed, plan.qualities.degree("musicality"))
    notes: list[Note] = []
    for index, event in events:
        late, louder = hands[event.layer].standard_normal(2).tolist()
        unit, of_unit = divmod(index, BARS_PER_UNIT)
        beat = of_unit * plan.style.beats + event.beat
        start = plan.beat_time(unit, beat)
        end = plan.beat_time(unit, beat + event.length)
        accent = 0.08 if event.beat == 0.0 else 0.0
        velocity = min(1.0, max(0.1, event.velocity + accent + 0.04 * louder))
        apart = float(tuning[event.layer][event.pitch])
        sides, share = ((0,), 1.0) if apart < IN_TUNE else ((-1, 1), float(np.sqrt(0.5)))
        notes += (
            Note(
                onset=max(0.0, start + HUMAN_SECONDS * late),
                seconds=max(0.05, 0.97 * (end - start)),
                pitch=event.pitch + side * apart / 2,
                velocity=share * velocity,  # two players are as loud as one
                instrument=event.instrument,
                layer=event.layer,
            )
            for side in sides
        )
    return tuple(notes)


def accompany(plan: SongPlan) -> tuple[Note, ...]:
    """Return all notes and hits of the accompaniment."""
    beats, mud = plan.style.beats, 1.0 - plan.qualities.degree("clarity")
    musicality = plan.qualities.degree("musicality")
    registers = REGISTERS[LEADS[plan.bars[0].band.lead].octave].items()
    low = {name: round(base + shift * mud) for name, (base, shift) in registers}
    voicings = {
        layer: voice_chords(plan.seed, plan.chords, musicality, low[layer])
        for layer in ("chords", "pad", "arpeggio")
    }
    playing = _playing_layers(plan)
    events: list[tuple[int, _Event]] = []
    for index, bar in enumerate(plan.bars):
        written = {
            "chords": _chords(bar.band, voicings["chords"][index], beats),
            "bass": _bass(bar.band, plan.chords[index], low["bass"], beats),
            "pad": _pad(bar.band, voicings["pad"][index], beats),
            "arpeggio": _arpeggio(bar.band, voicings["arpeggio"][index], beats),
            "drums": _drums(bar.band, bar.position, beats),
        }
        for layer in LAYERS:
            if layer in playing[bar.section]:
                events += ((index, event) for event in written[layer])
    return _to_notes(plan, events)


def double_hook(plan: SongPlan, line: tuple[LeadNote, ...]) -> tuple[Note, ...]:
    """Return the notes of one instrument that double the hooks of the lead, above it."""
    rng = stream(plan.seed, "signature")
    instrument = pick(rng, SIGNATURES)
    late = rng.normal(0.0, HUMAN_SECONDS, len(plan.bars) // BARS_PER_UNIT)
    notes = []
    for note in line:
        if not note.hook:
            continue
        start = plan.beat_time(note.unit, note.beat) + late[note.unit]
        seconds = max(0.05, plan.beat_time(note.unit, note.beat + note.length) - start)
        octaves = max(0, -(-(LOWEST_DOUBLED - note.pitch) // OCTAVE))
        pitch = float(note.pitch + OCTAVE * octaves)
        onset = max(0.0, float(start))
        notes.append(Note(onset, seconds, pitch, DOUBLED_VELOCITY, instrument, "hook"))
    return tuple(notes)
