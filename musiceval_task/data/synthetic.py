"""A data set in MusicEval's exact layout that the program composes itself.

Sixteen systems, the demo systems among them, answer to prompts that name tempo, style and two
instruments. A system has a level, heard in what it does to a song (clarity, musicality,
naturalness, memorability): listeners' music impression follows it. Whether a clip follows its
prompt is drawn for each clip, whatever the system: text alignment counts how many of the named
attributes the composed clip really has. Half of the clips are in the style that was asked for, and
half have the tempo, so that neither a clip's style and tempo nor its prompt tells anything alone.
The named instruments are composed into the clips in the right style alone: style tells most of the
alignment, tempo the rest, and the instruments that many prompts name a little without any prompt
(ridge regression on a clip's instruments alone correlates 0.25 with its alignment).

It is a test set: what a model learns from it says nothing about music that people make.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.engine.workers import in_processes
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import write_text
from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis import Composition, Description, Qualities, compose, describe, render
from hear_aesthetics.synthesis.composition.qualities import stream
from musiceval_task.data.dataset import DEMO_SYSTEMS, PREFIX, SPLITS
from musiceval_task.scale import HIGH, LOW

__all__ = ["SYSTEMS", "Recipe", "SyntheticClip", "plan", "render_clips", "write_lists"]

SYSTEMS = tuple(sorted(DEMO_SYSTEMS | {f"S{number:03d}" for number in range(1, 14)}))
MIN_PROMPTS = 5
STYLES = {"classical": 1200.0, "folk": 1750.0, "electronic": 2500.0}  # and their brightness in Hz
TEMPI = {"slow": (60.0, 72.0), "very fast": (134.0, 142.0)}  # quarter notes per minute
INSTRUMENTS = 2  # named by a prompt
SONG_SECONDS = 32.0  # composed, so that any tempo has room; a clip is its beginning
TRIES = 40  # compositions from which one with the wanted attributes is taken
LISTENERS = 5
INATTENTION = 0.4  # standard deviation of one rating of a listener, in points
SPREAD = 0.4  # standard deviation of a quality around the level of its system, in points
SHARES = (0.7, 0.8)  # of a system's clips, where train ends and where dev ends


@dataclass(frozen=True)
class Recipe:
    """What a set follows from.

    Attributes:
        prompts: How many; every system answers to as many.
        seconds: Length of a clip.
        seed: Of everything random.

    Raises:
        InputError: If there are too few prompts to split, or clips are too short or too long.
    """

    prompts: int = 60
    seconds: float = 6.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.prompts < MIN_PROMPTS:
            raise InputError(f"{self.prompts} prompts cannot be split; take {MIN_PROMPTS} or more")
        if not 2 <= self.seconds <= SONG_SECONDS:
            raise InputError(f"clips of {self.seconds:g} s: take 2 to {SONG_SECONDS:g} s")


@dataclass(frozen=True)
class Prompt:
    """What is asked for."""

    style: str
    tempo_word: str
    instruments: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words."""
        return f"A {self.tempo_word} {self.style} piece with {' and '.join(self.instruments)}."

    def met_by(self, clip: Description) -> float:
        """Share of the named attributes that a clip has."""
        met = [clip.style == self.style, clip.tempo_word == self.tempo_word]
        met += [name in clip.instruments for name in self.instruments]
        return sum(met) / len(met)


@dataclass(frozen=True)
class SyntheticClip:
    """One clip before it is rendered.

    Attributes:
        name: File name.
        prompt: What was asked for.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        composition: What it plays.
        overall: Music impression, mean of the listeners.
        textual: Text alignment, mean of the listeners.
    """

    name: str
    prompt: Prompt
    split: str
    composition: Composition
    overall: float
    textual: float


def plan(recipe: Recipe) -> list[SyntheticClip]:
    """All clips of a set: composed and rated, not yet rendered."""
    shared = _prompts(recipe)
    levels = np.linspace(LOW + 0.3, HIGH - 0.3, len(SYSTEMS))
    stream(recipe.seed, "levels").shuffle(levels)
    clips = []
    for system, level in zip(SYSTEMS, levels, strict=True):
        prompts = _prompts(recipe, f"{system}_") if system in DEMO_SYSTEMS else shared
        splits = _splits(recipe, system)
        for index, (prompt, split) in enumerate(zip(prompts, splits, strict=True)):
            name = f"{system}_P{index + 1:03d}"
            clips.append(_clip(recipe, name, prompt, split, float(level)))
    return clips


def render_clips(
    clips: Sequence[SyntheticClip], out: Path, workers: int = 1
) -> Iterator[SyntheticClip]:
    """Render the clips that are not there yet, in worker processes; each as it is done.

    Raises:
        OSError: If a clip cannot be written.
        HearAestheticsError: If a worker process was killed.
    """
    todo = [clip for clip in clips if not (out / "wav" / clip.name).is_file()]
    for clip, _ in in_processes(partial(_render, out), todo, workers):
        yield clip


def write_lists(out: Path, clips: Sequence[SyntheticClip]) -> None:
    """Write the three lists and the two tables of prompts, in MusicEval's layout."""
    (out / "sets").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rows = [c for c in clips if c.split == split]
        text = "".join(f"{c.name},{c.overall:g},{c.textual:g}\n" for c in rows)
        write_text(out / "sets" / f"{split}_mos_list.txt", text)
    prompts: dict[str, str] = {}
    demos: dict[str, str] = {}
    for clip in clips:
        name = clip.name.removesuffix(".wav")
        system, _, prompt = name.removeprefix(PREFIX).partition("_")
        if system in DEMO_SYSTEMS:
            demos[name] = clip.prompt.text
        else:
            prompts[prompt] = clip.prompt.text
    for file, table in (("prompt_info.txt", prompts), ("demo_prompt_info.txt", demos)):
        lines = "".join(f"{key}\t{text}\n" for key, text in table.items())
        write_text(out / file, f"id\ttext\n{lines}")


def _prompts(recipe: Recipe, prefix: str = "") -> list[Prompt]:
    """Prompts that ask for every style and tempo equally often.

    If one style were asked for more often, a clip in that style would more often be what was asked
    for, and the clip alone would tell something of its alignment.
    """
    pairs = list(product(STYLES, TEMPI))
    even = np.resize(np.arange(len(pairs)), recipe.prompts)
    order = stream(recipe.seed, f"prompts {prefix}").permutation(even)
    return [
        _prompt(recipe, f"{prefix}P{index + 1:03d}", *pairs[pair])
        for index, pair in enumerate(order)
    ]


def _prompt(recipe: Recipe, name: str, style: str, tempo: str) -> Prompt:
    """A prompt that a composition can meet: it is read off one."""
    rng = stream(recipe.seed, f"prompt {name}")
    about = describe(_compose(recipe, rng, style, tempo, Qualities()))
    pitched = [instrument for instrument in about.instruments if instrument != "drums"]
    chosen = rng.choice(pitched, min(INSTRUMENTS, len(pitched)), replace=False)
    return Prompt(style, tempo, tuple(map(str, chosen)))


def _clip(recipe: Recipe, name: str, prompt: Prompt, split: str, level: float) -> SyntheticClip:
    rng = stream(recipe.seed, f"clip {name}")
    heard = np.clip(rng.normal(level, SPREAD, 4), LOW, HIGH)
    qualities = Qualities(HIGH, *map(float, heard))  # coherent: attributes hold to the end
    style = _follow(rng, prompt.style, STYLES)
    tempo = _follow(rng, prompt.tempo_word, TEMPI)
    wanted = len(prompt.instruments) if style == prompt.style else 0
    for _ in range(TRIES):
        song = _compose(recipe, rng, style, tempo, qualities)
        about = describe(song)
        if sum(name in about.instruments for name in prompt.instruments) == wanted:
            break
    textual = LOW + (HIGH - LOW) * prompt.met_by(about)
    overall = float(heard.mean())
    return SyntheticClip(
        f"{PREFIX}{name}.wav", prompt, split, song, _rated(rng, overall), _rated(rng, textual)
    )


def _follow(rng: np.random.Generator, wanted: str, known: Sequence[str] | dict) -> str:
    """What was asked for, or as often one of the others."""
    others = [name for name in known if name != wanted]
    return wanted if rng.random() < 0.5 else str(rng.choice(others))


def _compose(
    recipe: Recipe, rng: np.random.Generator, style: str, tempo: str, qualities: Qualities
) -> Composition:
    """The beginning of a song, as bright as its style is."""
    bpm = float(rng.uniform(*TEMPI[tempo]))
    seed = int(rng.integers(2**31))
    song = compose(seed, SONG_SECONDS, qualities, style=style, tempo=bpm, form="A")
    bright = replace(song.production, centroid_hz=STYLES[style], crossing_rate=STYLES[style])
    notes = tuple(note for note in song.notes if note.onset < recipe.seconds)
    return replace(song, seconds=recipe.seconds, notes=notes, production=bright)


def _rated(rng: np.random.Generator, heard: float) -> float:
    """Mean of the listeners, each a whole point or half a point off what is there."""
    ratings = heard + rng.normal(0.0, INATTENTION, LISTENERS)
    return float(np.clip(np.rint(2 * ratings) / 2, LOW, HIGH).mean())


def _splits(recipe: Recipe, system: str) -> list[str]:
    """Split of each of a system's clips: every system is in every split."""
    edges = [round(share * recipe.prompts) for share in SHARES]
    splits = np.repeat(SPLITS, np.diff([0, *edges, recipe.prompts]))
    stream(recipe.seed, f"splits {system}").shuffle(splits)
    return [str(split) for split in splits]


def _render(out: Path, clip: SyntheticClip) -> None:
    waveform = render(clip.composition, SAMPLE_RATE)
    write_audio(out / "wav" / clip.name, waveform, SAMPLE_RATE, subtype="PCM_16")
