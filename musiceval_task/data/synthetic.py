"""Synthetic data set in MusicEval's layout, for tests and demos only.

Sixteen systems, the demo systems among them, generate a clip for each prompt. A prompt names a
tempo, a style and two instruments. Music impression follows the quality level of the system, which
sets the clarity, musicality, naturalness and memorability of its songs. Text alignment is the share
of the named attributes that the composed clip has, drawn for each clip independently of the system.
Half of the clips have the style of their prompt and half its tempo, so that neither style and tempo
nor the prompt alone predicts the alignment. Only clips in the right style have the named
instruments: most of the alignment depends on the style, the rest on the tempo. (Ridge regression on
the instruments of a clip alone correlates 0.25 with its alignment.)
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
from musiceval_task.data.dataset import DEMO_SYSTEMS, PREFIX, SPLITS, clip_id, system_of
from musiceval_task.scale import HIGH, LOW

__all__ = ["SYSTEMS", "Recipe", "SyntheticClip", "plan", "render_clips", "write_lists"]

SYSTEMS = tuple(sorted(DEMO_SYSTEMS | {f"S{number:03d}" for number in range(1, 14)}))
MIN_PROMPTS = 5
STYLES = {"classical": 1200.0, "folk": 1750.0, "electronic": 2500.0}  # brightness in Hz
TEMPI = {"slow": (60.0, 72.0), "very fast": (134.0, 142.0)}  # quarter notes per minute
INSTRUMENTS = 2  # named by a prompt
SONG_SECONDS = 32.0  # length of a composed song; a clip is its beginning
TRIES = 40  # compositions at most until one has the wanted instruments
LISTENERS = 5
INATTENTION = 0.4  # standard deviation of one rating of a listener, in points
SPREAD = 0.4  # standard deviation of a quality around the level of its system, in points
SHARES = (0.7, 0.8)  # ends of train and of dev among a system's clips


@dataclass(frozen=True)
class Recipe:
    """Size and seed of a set: each system has one clip per prompt.

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
    """Attributes that a prompt names."""

    style: str
    tempo_word: str
    instruments: tuple[str, ...]

    @property
    def text(self) -> str:
        """The prompt in words."""
        return f"A {self.tempo_word} {self.style} piece with {' and '.join(self.instruments)}."

    def met_by(self, clip: Description) -> float:
        """Return the share of the named attributes that a clip has."""
        met = [clip.style == self.style, clip.tempo_word == self.tempo_word]
        met += [name in clip.instruments for name in self.instruments]
        return sum(met) / len(met)


@dataclass(frozen=True)
class SyntheticClip:
    """Composed clip, not yet rendered, with the mean scores of the simulated listeners."""

    name: str
    prompt: Prompt
    split: str
    composition: Composition
    overall: float
    textual: float


def plan(recipe: Recipe) -> list[SyntheticClip]:
    """Compose and rate all clips of a set."""
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
        name = clip_id(clip.name)
        if system_of(name) in DEMO_SYSTEMS:
            demos[name] = clip.prompt.text
        else:
            prompts[name.rpartition("_")[2]] = clip.prompt.text
    for file, table in (("prompt_info.txt", prompts), ("demo_prompt_info.txt", demos)):
        lines = "".join(f"{key}\t{text}\n" for key, text in table.items())
        write_text(out / file, f"id\ttext\n{lines}")


def _prompts(recipe: Recipe, prefix: str = "") -> list[Prompt]:
    """Return prompts that name every style and tempo equally often.

    If one style were more frequent, clips in that style would more often match their prompts, and
    the clip alone would predict its alignment.
    """
    pairs = list(product(STYLES, TEMPI))
    even = np.resize(np.arange(len(pairs)), recipe.prompts)
    order = stream(recipe.seed, f"prompts {prefix}").permutation(even)
    return [
        _prompt(recipe, f"{prefix}P{index + 1:03d}", *pairs[pair])
        for index, pair in enumerate(order)
    ]


def _prompt(recipe: Recipe, name: str, style: str, tempo: str) -> Prompt:
    """Return a prompt with the instruments of a composition, so that it can be met."""
    rng = stream(recipe.seed, f"prompt {name}")
    about = describe(_compose(recipe, rng, style, tempo, Qualities()))
    pitched = [instrument for instrument in about.instruments if instrument != "drums"]
    chosen = rng.choice(pitched, min(INSTRUMENTS, len(pitched)), replace=False)
    return Prompt(style, tempo, tuple(map(str, chosen)))


def _clip(recipe: Recipe, name: str, prompt: Prompt, split: str, level: float) -> SyntheticClip:
    rng = stream(recipe.seed, f"clip {name}")
    heard = np.clip(rng.normal(level, SPREAD, 4), LOW, HIGH)
    qualities = Qualities(HIGH, *map(float, heard))  # coherent: attributes last to the end
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
    """Return the wanted attribute or, equally often, one of the others."""
    others = [name for name in known if name != wanted]
    return wanted if rng.random() < 0.5 else str(rng.choice(others))


def _compose(
    recipe: Recipe, rng: np.random.Generator, style: str, tempo: str, qualities: Qualities
) -> Composition:
    """Compose the beginning of a song, with the brightness of its style."""
    bpm = float(rng.uniform(*TEMPI[tempo]))
    seed = int(rng.integers(2**31))
    song = compose(seed, SONG_SECONDS, qualities, style=style, tempo=bpm, form="A")
    bright = replace(song.production, centroid_hz=STYLES[style], crossing_rate=STYLES[style])
    notes = tuple(note for note in song.notes if note.onset < recipe.seconds)
    return replace(song, seconds=recipe.seconds, notes=notes, production=bright)


def _rated(rng: np.random.Generator, heard: float) -> float:
    """Return the mean rating of listeners who rate in half points, with random error."""
    ratings = heard + rng.normal(0.0, INATTENTION, LISTENERS)
    return float(np.clip(np.rint(2 * ratings) / 2, LOW, HIGH).mean())


def _splits(recipe: Recipe, system: str) -> list[str]:
    """Return the split of each of a system's clips; every system is in every split."""
    edges = [round(share * recipe.prompts) for share in SHARES]
    splits = np.repeat(SPLITS, np.diff([0, *edges, recipe.prompts]))
    stream(recipe.seed, f"splits {system}").shuffle(splits)
    return [str(split) for split in splits]


def _render(out: Path, clip: SyntheticClip) -> None:
    waveform = render(clip.composition, SAMPLE_RATE)
    write_audio(out / "wav" / clip.name, waveform, SAMPLE_RATE, subtype="PCM_16")
