"""Clips of music whose every note is known: notes, bands, percussion, our own instruments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hear_aesthetics.pretraining.data.synthetic_clips import at_peak, in_room, log_uniform
from hear_aesthetics.pretraining.rendered.labels import LabelledClip, LabelSheet, chord_class
from hear_aesthetics.pretraining.rendered.orchestra import MELODIC, Orchestra
from hear_aesthetics.pretraining.rendered.sound_font import FontNote
from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis import DRUMS, INSTRUMENTS, compose, render, render_drum, render_note
from hear_aesthetics.synthesis.composition.qualities import pick
from hear_aesthetics.synthesis.composition.records import Composition, Note, Span
from hear_aesthetics.synthesis.composition.theory import MODES
from hear_aesthetics.synthesis.sound.effects import add_sound
from hear_aesthetics.synthesis.sound.renderer import LEVELS
from hear_aesthetics.synthesis.sound.timbres import vary

__all__ = ["band", "notes", "own_notes", "own_song", "percussion"]

LOWEST, HIGHEST = 33, 96  # MIDI pitches of single notes
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8), (0, 5, 7), (0, 4, 7, 10), (0, 3, 7, 10))
CHORD_SHARE = 0.3  # of the clips of notes
SONG_SECONDS = (12.0, 20.0)
LAYER_SHARE = 0.7  # of the layers of a song, so that not all bands are full
TRANSPOSED = (-5, 7)
SHORTEST_REST = 0.1  # seconds of a note left when a part begins in it: less is not played
JITTER_DB = 6.0  # of a track's level
PERCUSSION_KEYS = range(35, 82)
COMMON_KEYS = (35, 36, 38, 40, 37, 39, 42, 44, 46, 49, 51, 55, 41, 45, 47, 50, 56, 54, 70)
# General MIDI programs that play a part, and those nearest to our own instruments.
PARTS: dict[str, Sequence[int]] = {
    "lead": [*range(32), *range(40, 112)],
    "hook": [*range(32), *range(40, 112)],
    "chords": [*range(32), *range(40, 56), *range(80, 96)],
    "bass": [*range(32, 44), 57, 58, 70, 87],
    "pad": [*range(16, 24), *range(48, 56), *range(88, 96)],
    "arpeggio": [*range(16), *range(24, 32), 45, 46, *range(104, 112)],
}
OWN_PROGRAMS = {
    **{"guitar": 24, "harp": 46, "banjo": 105, "piano": 0, "electric piano": 4, "marimba": 12},
    **{"bell": 9, "flute": 73, "whistle": 78, "clarinet": 71, "brass": 61, "violin": 40},
    **{"cello": 42, "string pad": 48, "warm pad": 89, "organ": 19, "bass guitar": 33},
    **{"double bass": 32, "synth bass": 38, "female voice": 53, "male voice": 53},
    **{"solo violin": 40, "solo flute": 73, "solo saxophone": 65},
}
OWN_DRUMS = {
    **{"kick": 36, "snare": 38, "closed hat": 42, "open hat": 46, "tom": 45, "shaker": 70},
    **{"rim": 37, "crash": 49},
}


@dataclass(frozen=True)
class _Phrase:
    """Notes of one instrument, and the chord of each if they are one."""

    notes: list[FontNote]
    chords: list[Span[int]]


def notes(orchestra: Orchestra, rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return notes or chords of one instrument, after each other."""
    instrument = orchestra.instrument(rng, MELODIC)
    phrase = _phrase(rng, seconds)
    wave = orchestra.play(instrument, phrase.notes, round(seconds * SAMPLE_RATE))
    return _clip(in_room(wave, rng), _sheet(phrase, instrument[1], seconds), "notes")


def own_notes(orchestra: Orchestra, rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return notes or chords of one instrument of our own, of which every clip has another make."""
    name = pick(rng, sorted(INSTRUMENTS))
    phrase, timbre = _phrase(rng, seconds), vary(INSTRUMENTS[name], rng)
    wave = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for note in phrase.notes:
        loudness = note.velocity / 127
        played = render_note(timbre, note.pitch, note.seconds, loudness, SAMPLE_RATE, rng)
        add_sound(wave, round(note.onset * SAMPLE_RATE), played)
    return _clip(in_room(wave, rng), _sheet(phrase, OWN_PROGRAMS[name], seconds), "own notes")


def band(orchestra: Orchestra, rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return a part of a composed song whose layers are played by instruments drawn for them."""
    song, start = _part(rng, seconds)
    shift = int(rng.integers(*TRANSPOSED))
    sheet, mix = LabelSheet(seconds), np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    layers = [*dict.fromkeys(note.layer for note in song.notes)]
    for layer in [name for name in layers if rng.random() < LAYER_SHARE] or layers:
        played = list(_from(song.layer(layer), start, seconds))
        is_drums = layer == "drums"
        if is_drums:
            instrument = orchestra.kit(rng)
        else:
            instrument = orchestra.instrument(rng, PARTS[layer])
            played = [replace(note, pitch=round(note.pitch) + shift) for note in played]
        track = [
            FontNote(
                note.onset,
                note.seconds,
                OWN_DRUMS[note.instrument] if is_drums else int(note.pitch),
                int(np.clip(127 * note.velocity, 1, 127)),
            )
            for note in played
        ]
        _write(sheet, track, None if is_drums else instrument[1])
        gain = LEVELS[layer] * 10 ** (rng.uniform(-JITTER_DB, JITTER_DB) / 20)
        mix += np.float32(gain) * orchestra.play(instrument, track, len(mix), drums=is_drums)
    _write_harmony(sheet, song, start, seconds, shift)
    return _clip(in_room(mix, rng), sheet, "band")


def own_song(orchestra: Orchestra, rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return a part of a composed song as our own renderer plays it."""
    song, start = _part(rng, seconds)
    first = round(start * SAMPLE_RATE)
    wave = render(song, SAMPLE_RATE)[first : first + round(seconds * SAMPLE_RATE)]
    sheet = LabelSheet(seconds)
    for note in _from(song.notes, start, seconds):
        if note.instrument in OWN_DRUMS:
            sheet.add_hit(note.onset, OWN_DRUMS[note.instrument])
        else:
            program = OWN_PROGRAMS[note.instrument]
            sheet.add_note(note.onset, note.seconds, round(note.pitch), program)
    _write_harmony(sheet, song, start, seconds, 0)
    return _clip(wave, sheet, "own song")


def percussion(orchestra: Orchestra, rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return hits of a kit: alone with rests, or patterns of a few keys on an even grid."""
    samples = round(seconds * SAMPLE_RATE)
    keys = COMMON_KEYS if rng.random() < 0.7 else PERCUSSION_KEYS
    hits: list[tuple[float, int]] = []
    tempo = float("nan")
    if rng.random() < 0.6:
        now = float(rng.uniform(0.0, 0.3))
        while now < seconds:
            hits.append((now, int(rng.choice(keys))))
            now += log_uniform(0.15, 1.0, rng)
    else:
        step = log_uniform(0.09, 0.3, rng)
        tempo = 60 / (4 * step) if step < 0.25 else 60 / (2 * step)
        for key in rng.choice(keys, int(rng.integers(2, 5))):
            density = rng.uniform(0.1, 0.6)
            grid = np.arange(0.0, seconds, step)
            hits += [(float(at), int(key)) for at in grid[rng.random(len(grid)) < density]]
    loud = [int(v) for v in rng.integers(40, 128, len(hits))]
    own = rng.random() < 0.15
    sheet, wave = LabelSheet(seconds), np.zeros(samples, np.float32)
    if own:
        names = {key: name for name, key in OWN_DRUMS.items()}
        for (onset, key), velocity in zip(hits, loud, strict=True):
            name = names.get(key) or pick(rng, sorted(DRUMS))
            hit = render_drum(name, velocity / 127, SAMPLE_RATE, rng)
            add_sound(wave, round(onset * SAMPLE_RATE), hit)
            sheet.add_hit(onset, OWN_DRUMS[name])
    else:
        track = [FontNote(at, 1.0, key, v) for (at, key), v in zip(hits, loud, strict=True)]
        wave = orchestra.play(orchestra.kit(rng), track, samples, drums=True)
        _write(sheet, track, None)
    if np.isfinite(tempo):
        sheet.set_class("tempo", 0.0, seconds, tempo)
    return _clip(in_room(wave, rng), sheet, "percussion")


def _phrase(rng: np.random.Generator, seconds: float) -> _Phrase:
    """Draw notes, or chords struck together or spread: a random walk with leaps."""
    phrase, now = _Phrase([], []), float(rng.uniform(0.0, 0.2))
    chords = rng.random() < CHORD_SHARE
    pitch = int(rng.integers(LOWEST, HIGHEST + 1))
    while now < seconds:
        leap = rng.random() < 0.4
        pitch = int(rng.integers(LOWEST, HIGHEST + 1) if leap else pitch + rng.integers(-7, 8))
        pitch = int(np.clip(pitch, LOWEST, HIGHEST))
        length, velocity = log_uniform(0.1, 2.0, rng), int(rng.integers(35, 128))
        if chords:
            intervals = pick(rng, CHORDS)
            spread = float(rng.choice([0.0, 0.0, 0.02, 0.1]))
            length = max(length, 0.3)
            lower = min(pitch, HIGHEST - 10)
            bass = [lower, lower - 12] if rng.random() < 0.3 and lower >= LOWEST + 12 else [lower]
            tones = [*bass, *(lower + step for step in intervals[1:])]
            for place, tone in enumerate(tones):
                at = now + spread * place
                phrase.notes.append(FontNote(at, length, tone, velocity))
            end = now + spread * len(tones) + length
            phrase.chords.append(Span(now, end, chord_class(lower % 12, {*intervals})))
        else:
            phrase.notes.append(FontNote(now, length, pitch, velocity))
        now += length * float(rng.uniform(0.8, 1.6)) + (0.1 if chords else 0.0)
    return phrase


def _sheet(phrase: _Phrase, program: int, seconds: float) -> LabelSheet:
    sheet = LabelSheet(seconds)
    _write(sheet, phrase.notes, program)
    for chord in phrase.chords:
        sheet.set_class("chord", chord.start, chord.end, chord.value)
    return sheet


def _write(sheet: LabelSheet, track: Iterable[FontNote], program: int | None) -> None:
    """Write the notes of a program, or the hits of a kit."""
    for note in track:
        if program is None:
            sheet.add_hit(note.onset, note.pitch)
        else:
            sheet.add_note(note.onset, note.seconds, note.pitch, program)


def _part(rng: np.random.Generator, seconds: float) -> tuple[Composition, float]:
    """Compose a song, and draw where the part begins."""
    song = compose(int(rng.integers(2**31)), float(rng.uniform(*SONG_SECONDS)))
    return song, float(rng.uniform(0.0, song.seconds - seconds - 1.0))


def _from(song_notes: Iterable[Note], start: float, seconds: float) -> Iterable[Note]:
    """Yield the notes that sound in a part, by its time; those before it begin with it."""
    for note in song_notes:
        onset, end = note.onset - start, note.onset + note.seconds - start
        first = max(0.0, onset)
        if first < seconds and (onset >= 0.0 or end - first >= SHORTEST_REST):
            yield replace(note, onset=first, seconds=max(end - first, SHORTEST_REST))


def _write_harmony(
    sheet: LabelSheet, song: Composition, start: float, seconds: float, shift: int
) -> None:
    """Write chords, keys and tempi of a part."""
    for chord in song.chords:
        root = (chord.value[0] + shift) % 12
        value = chord_class(root, {(tone - chord.value[0]) % 12 for tone in chord.value})
        _write_span(sheet, "chord", chord, start, seconds, value)
    for key in song.keys:
        minor = 3 in MODES[key.value.mode]
        tonic = (key.value.tonic + shift) % 12
        _write_span(sheet, "key", key, start, seconds, 2 * tonic + minor)
    for tempo in song.tempi:
        _write_span(sheet, "tempo", tempo, start, seconds, tempo.value)


def _write_span(
    sheet: LabelSheet, name: str, span: Span, start: float, seconds: float, value: float
) -> None:
    first, last = max(0.0, span.start - start), min(seconds, span.end - start)
    if first < last:
        sheet.set_class(name, first, last, value)


def _clip(wave: np.ndarray, sheet: LabelSheet, source: str) -> LabelledClip:
    return LabelledClip(at_peak(wave), sheet.labels(has_music=True), source)
