"""Chords, bass, pad, arpeggio and drums; clarity (arrangement) and musicality (tuning) act here.

At full clarity sections differ in who plays, and every layer has a register of its own. At low
clarity everybody plays all the time and the registers move into that of the lead. At low
musicality the band is out of tune: two players or strings of one pitch are apart, and beat.
"""

from collections.abc import Iterator, Set
from typing import NamedTuple

import numpy as np

from hear_aesthetics.synthesis.composition.form import BARS_PER_UNIT, Band, Bar, beat_time
from hear_aesthetics.synthesis.composition.harmony import voice_chords
from hear_aesthetics.synthesis.composition.qualities import stream
from hear_aesthetics.synthesis.composition.records import Note
from hear_aesthetics.synthesis.composition.styles import (
    BASS_PATTERNS,
    CHORD_PATTERNS,
    DRUM_PATTERNS,
)
from hear_aesthetics.synthesis.composition.theory import OCTAVE, Chord, nearest_pitch

__all__ = ["LAYERS", "SECTION_NAMES", "accompany", "playing_layers"]

LAYERS = ("chords", "bass", "pad", "arpeggio", "drums")
# Who plays in each section when sections are kept apart; two ways, of which a song takes one
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
# Semitones by which the two strings or players of a pitch are apart at the lowest musicality, and
# by which ratio that varies from pitch to pitch
MISTUNING, UNEVENNESS = 0.7, 1.5
IN_TUNE = 0.02  # semitones below which two players are one


class _Event(NamedTuple):
    """A note of the accompaniment in beats from the start of its bar."""

    beat: float
    length: float
    pitch: int
    instrument: str
    layer: str
    velocity: float


def playing_layers(seed: int, letters: Set[str], clarity: float) -> dict[str, frozenset[str]]:
    """Returns the layers of each section: its own at full clarity, all of them at none."""
    rng = stream(seed, "contrast")
    own = CONTRASTS[int(rng.integers(len(CONTRASTS)))]
    playing = {}
    for letter in sorted(letters):
        draws = dict(zip(LAYERS, rng.random(len(LAYERS)), strict=True))
        joining = {layer for layer in LAYERS if draws[layer] > clarity}
        playing[letter] = frozenset(own[letter]) | joining
    return playing


def _steps(pattern: str, per_beat: int, beats: int) -> Iterator[tuple[float, float, str]]:
    """Yields (beat, length until the next event, symbol) of a pattern cut to the bar."""
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
    root = low + (chord.root - low) % OCTAVE
    third, fifth = chord.pitch_classes[1], chord.pitch_classes[2]
    pitches = {
        "r": root,
        "o": root + OCTAVE,
        "t": nearest_pitch(root + 4, (third,)),
        "f": nearest_pitch(root + 7, (fifth,)),
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
    """Returns how far apart, in semitones, each pitch of each layer is played, ``(128,)`` each."""
    rng = stream(seed, "tuning")
    apart = MISTUNING * (1.0 - musicality)
    ratio = UNEVENNESS ** rng.uniform(-1.0, 1.0, (len(LAYERS), PITCHES))
    return dict(zip(LAYERS, apart * ratio, strict=True)) | {"drums": np.zeros(PITCHES)}


def _players(event: _Event, apart: float) -> tuple[tuple[float, float], ...]:
    """Returns pitch and share of the amplitude of those who play a note, at equal total power."""
    if apart < IN_TUNE:
        return ((float(event.pitch), 1.0),)
    return tuple((event.pitch + side * apart / 2, float(np.sqrt(0.5))) for side in (-1, 1))


def _to_notes(
    events: list[tuple[int, _Event]],
    seed: int,
    bars: tuple[Bar, ...],
    tuning: dict[str, np.ndarray],
    beats: int,
    swing: float,
) -> tuple[Note, ...]:
    """Places events in time, a few milliseconds off, as hands do."""
    hands = {layer: stream(seed, f"hands {layer}") for layer in LAYERS}
    notes: list[Note] = []
    for index, event in events:
        late, louder = hands[event.layer].standard_normal(2).tolist()
        unit, of_unit = divmod(index, BARS_PER_UNIT)
        beat = of_unit * beats + event.beat
        start = beat_time(bars, unit, beat, beats, swing)
        end = beat_time(bars, unit, beat + event.length, beats, swing)
        accent = 0.08 if event.beat == 0.0 else 0.0
        velocity = min(1.0, max(0.1, event.velocity + accent + 0.04 * louder))
        notes += (
            Note(
                onset=max(0.0, start + HUMAN_SECONDS * late),
                seconds=max(0.05, 0.97 * (end - start)),
                pitch=pitch,
                velocity=share * velocity,
                instrument=event.instrument,
                layer=event.layer,
            )
            for pitch, share in _players(event, float(tuning[event.layer][event.pitch]))
        )
    return tuple(notes)


def accompany(
    seed: int,
    bars: tuple[Bar, ...],
    chords: tuple[Chord, ...],
    musicality: float,
    clarity: float,
    beats: int,
    swing: float,
    lead_octave: int,
) -> tuple[Note, ...]:
    """Returns all notes and hits of the accompaniment.

    Args:
        seed: Seed of the song.
        bars: The plan; each bar knows its band.
        chords: One per bar.
        musicality: In [0, 1]: how well the voices are led and the instruments tuned.
        clarity: In [0, 1]: how well layers and sections are kept apart.
        beats: Quarter notes per bar.
        swing: Delay of the off-beat eighths in beats.
        lead_octave: Octave of the lead's tonic, which the other layers keep clear of.
    """
    registers = REGISTERS[lead_octave].items()
    low = {name: round(base + shift * (1.0 - clarity)) for name, (base, shift) in registers}
    voicings = {
        layer: voice_chords(seed, chords, musicality, low[layer])
        for layer in ("chords", "pad", "arpeggio")
    }
    playing = playing_layers(seed, {bar.section for bar in bars}, clarity)
    events: list[tuple[int, _Event]] = []
    for index, bar in enumerate(bars):
        written = {
            "chords": _chords(bar.band, voicings["chords"][index], beats),
            "bass": _bass(bar.band, chords[index], low["bass"], beats),
            "pad": _pad(bar.band, voicings["pad"][index], beats),
            "arpeggio": _arpeggio(bar.band, voicings["arpeggio"][index], beats),
            "drums": _drums(bar.band, bar.position, beats),
        }
        for layer in LAYERS:
            if layer in playing[bar.section]:
                events += ((index, event) for event in written[layer])
    return _to_notes(events, seed, bars, _tuning(seed, musicality), beats, swing)
