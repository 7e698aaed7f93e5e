"""Melody of the lead: motifs and their return; memorability and musicality act here.

A *motif* fills one unit of two bars. At full memorability each section has a hook, a short figure
whose rhythm repeats within the unit, and every unit states it or answers it. At low memorability
every unit is new: nothing returns, neither rhythm nor contour, nor the instrument that doubles the
hooks. Wrong notes belong to the motif and return with it.
"""

from dataclasses import dataclass, replace

import numpy as np

from hear_aesthetics.synthesis.composition.form import BARS_PER_UNIT, Bar, SongPlan
from hear_aesthetics.synthesis.composition.qualities import even_draws, pick, stream
from hear_aesthetics.synthesis.composition.theory import OCTAVE, Chord, nearest_pitch
from hear_aesthetics.synthesis.sound.formants import LEADS

__all__ = ["LeadNote", "Motif", "compose_lead", "hook", "wander"]

# One bar of rhythm in beats, for four quarters; bars of three drop what begins after the third
CELLS = (
    (1.0, 0.5, 0.5, 1.0, 1.0),
    (0.5, 0.5, 1.0, 0.5, 0.5, 1.0),
    (1.5, 0.5, 1.0, 1.0),
    (1.0, 1.0, 0.5, 0.5, 1.0),
    (0.5, 1.0, 0.5, 1.0, 1.0),
    (1.5, 1.5, 1.0),
)
LENGTHS = (0.5, 0.75, 1.0, 1.25, 1.5)  # of wandering lines, in beats
LENGTH_ODDS = (0.3, 0.15, 0.25, 0.15, 0.15)
STEPS = (-2, -1, -1, 1, 1, 2)  # of a hook, in scale degrees, before its one leap
WRONG_NOTE, WILD_LEAP = 0.6, 0.3  # shares at the lowest musicality
RANGE = (-3, 9)  # degrees above the tonic that the lead may use
MIN_REST = 0.75  # beats left free at the end of a unit, for the breath
SYLLABLES = 1000  # different ones; the voice maps them to vowels and consonants
ORNAMENT = 0.25  # share of a returning hook's units that are varied by one note


@dataclass(frozen=True)
class Motif:
    """Two bars of melody, relative to the key.

    Attributes:
        beats: Onset of each note within the unit, in beats.
        lengths: In beats.
        degrees: Scale degree of each note above the tonic.
        wrong: Uniform draws in [0, 1): a note is wrong where its draw is below the share of flaws.
        leaping: The same for leaps.
        shifts: Semitones by which a wrong note misses.
        syllables: The text: a motif that returns brings its words along.
    """

    beats: np.ndarray
    lengths: np.ndarray
    degrees: np.ndarray
    wrong: np.ndarray
    leaping: np.ndarray
    shifts: np.ndarray
    syllables: np.ndarray


@dataclass(frozen=True, slots=True)
class LeadNote:
    """Note of the lead before its performance; ``hook`` is True in a motif that returns."""

    unit: int
    beat: float
    length: float
    pitch: int
    syllable: int
    ends_phrase: bool
    hook: bool


def _motif(lengths: list[float], degrees: np.ndarray, rng: np.random.Generator) -> Motif:
    count = len(lengths)
    onsets = np.concatenate([[0.0], np.cumsum(lengths)])[:-1]
    return Motif(
        onsets,
        np.array(lengths),
        np.clip(degrees, *RANGE),
        even_draws(rng, count),
        even_draws(rng, count),
        rng.choice([-1, 1, -1, 1, 6], count),
        rng.integers(SYLLABLES, size=count),
    )


def _trim(lengths: list[float], beats: float) -> list[float]:
    """Cut a row of lengths to ``beats``, shortening the note that would reach beyond."""
    kept: list[float] = []
    for length in lengths:
        room = beats - sum(kept)
        if room < 0.25:
            break
        kept.append(min(length, room))
    return kept


def hook(rng: np.random.Generator, beats_per_bar: int) -> Motif:
    """Return a catchy figure: one rhythm twice, small steps, one leap, a long last note."""
    cell = _trim(list(pick(rng, CELLS)), beats_per_bar)
    second = _trim(cell, beats_per_bar - 2.0)
    lengths = [*cell, *second, 2.0]
    half = rng.choice(STEPS, len(cell) - 1)
    half[rng.integers(len(half))] = rng.choice([-4, 4, 3])
    contour = np.concatenate([[0], np.cumsum(half)])
    answer = contour[: len(second)] + rng.choice([-1, 1])
    degrees = np.concatenate([contour, answer, [rng.choice([0, 2, 4])]]) + rng.choice([0, 2, 4])
    return _motif(lengths, degrees, rng)


def wander(rng: np.random.Generator, beats_per_bar: int) -> Motif:
    """Return a line without a figure: any lengths, steps and leaps without a plan."""
    total = BARS_PER_UNIT * beats_per_bar
    lengths = _trim([float(x) for x in rng.choice(LENGTHS, 4 * total, p=LENGTH_ODDS)], total)
    degrees = rng.integers(0, 7) + np.cumsum(rng.choice([-3, -2, -1, 1, 2, 3], len(lengths)))
    folded = np.abs((degrees + 3) % 22 - 11) - 2  # reflected at the ends of the range
    return _motif(lengths, folded, rng)


def _vary(motif: Motif, answer: bool, ornament: float, rng: np.random.Generator) -> Motif:
    """Return the motif with another ending (the answer) or with one note displaced."""
    degrees = motif.degrees.copy()
    if answer:
        degrees[-2:] += rng.choice([-2, -1, 1, 2], 2)
    if ornament < ORNAMENT:
        degrees[rng.integers(1, len(degrees))] += rng.choice([-1, 1])
    return replace(motif, degrees=np.clip(degrees, *RANGE))


def _motifs(plan: SongPlan) -> list[tuple[Motif, bool]]:
    """Return the motif of each unit, and whether it is one that returns."""
    seed, beats = plan.seed, plan.style.beats
    memorability = plan.qualities.degree("memorability")
    letters = {bar.section for bar in plan.bars}
    hooks = {letter: hook(stream(seed, f"hook {letter}"), beats) for letter in letters}
    rng = stream(seed, "units")
    starts = plan.bars[::BARS_PER_UNIT]
    motifs = []
    for bar, returns in zip(starts, even_draws(rng, len(starts)), strict=True):
        answer = bar.position // BARS_PER_UNIT % 2 == 1
        varied = _vary(
            hooks[bar.section], answer, rng.random(), stream(seed, f"answer {bar.section}")
        )
        fresh = wander(rng, beats)
        known = bool(returns < memorability)
        motifs.append((varied if known else fresh, known))
    return motifs


def _pitch(motif: Motif, index: int, bar: Bar, chord: Chord, octave: int, musicality: float) -> int:
    """Return the pitch of one note: chord tones where it weighs, and the motif's flaws."""
    flaw = 1.0 - musicality
    pitch = bar.key.pitch(int(motif.degrees[index]), octave)
    weighs = motif.beats[index] % 1.0 == 0.0 or motif.lengths[index] >= 1.0
    if motif.wrong[index] < WRONG_NOTE * flaw:
        pitch += int(motif.shifts[index])
        if pitch % OCTAVE in chord:  # it would have been right by accident
            pitch += 1
    elif weighs:
        pitch = nearest_pitch(pitch, chord)
    if motif.leaping[index] < WILD_LEAP * flaw:
        pitch += 11 if motif.degrees[index] < sum(RANGE) / 2 else -11
    return pitch


def compose_lead(plan: SongPlan) -> tuple[LeadNote, ...]:
    """Return the lead of the whole song, in beats."""
    musicality, beats = plan.qualities.degree("musicality"), plan.style.beats
    octave = LEADS[plan.bars[0].band.lead].octave
    end = BARS_PER_UNIT * beats - MIN_REST
    notes = []
    for unit, (motif, known) in enumerate(_motifs(plan)):
        for index, (beat, length) in enumerate(zip(motif.beats, motif.lengths, strict=True)):
            if beat >= end:
                continue
            bar = unit * BARS_PER_UNIT + int(beat // beats)
            pitch = _pitch(motif, index, plan.bars[bar], plan.chords[bar], octave, musicality)
            last = beat + length >= end
            kept = end - beat if last else length
            notes.append(
                LeadNote(
                    unit, float(beat), float(kept), pitch, int(motif.syllables[index]), last, known
                )
            )
    return tuple(notes)
