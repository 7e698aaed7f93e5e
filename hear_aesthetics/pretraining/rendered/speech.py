"""Clips of read words and phrases with the phoneme of every frame, by espeak-ng.

espeak-ng (package espeakng-loader 0.2.4, GPL-3.0-or-later) runs when a pool is rendered and is no
part of this package; only the audio that it puts out is kept. What it reads is our own
(``texts.toml``).
"""

import math
import re
import tomllib
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hear_aesthetics.audio.loading import resample
from hear_aesthetics.pretraining.rendered.espeak import (
    Phoneme,
    SpeechCrashError,
    Utterance,
    speak,
)
from hear_aesthetics.pretraining.rendered.labels import (
    FRAME_SECONDS,
    NONE,
    LabelledClip,
    Labels,
    LabelSheet,
)
from hear_aesthetics.pretraining.rendered.phonemes import INVENTORY, PAUSE
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["HELD_OUT_VARIANTS", "VARIANTS", "Texts", "speech_clips", "texts", "voices"]

# Variants of espeak-ng that sound like people; its others whisper, croak or sound like machines.
VARIANTS = (
    *("Alex", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Henrique", "Hugo", "Jacky", "Lee"),
    *("Marco", "Mario", "Michael", "Mike", "Nguyen", "Storm", "anika", "antonio", "aunty", "boris"),
    *("ed", "f1", "f3", "f4", "f5", "grandpa", "gustave", "john", "linda", "m1"),
    *("m2", "m3", "m6", "m7", "m8", "marcelo", "max", "michel", "miguel", "norbert"),
    *("pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "steph2"),
    *("steph3", "travis", "victor", "zac"),
)
# Heard in held-out clips alone; what differs from one of them by little is among them.
HELD_OUT_VARIANTS = (
    *("Alicia", "Gene", "Gene2", "belinda", "f2", "grandma", "iven", "iven2", "iven3", "iven4"),
    *("m4", "m5"),
)
RATES, PITCHES = (110, 230), (20, 80)  # words per minute; espeak's scale from 0 to 99
PAUSES = (0.2, 0.6)  # seconds
# Rates at which espeak's 22,050 samples a second are played: vocal tracts of other lengths. What is
# played faster is spoken slower.
PLAYED = (18_900, 19_600, 21_000, 22_050, 24_000, 25_200, 26_250)
ESPEAK_RATE = 22_050
WORD_SECONDS, PHRASE_SECONDS = 0.7, 2.0  # with its pause, less than usual: clips are full
INVENTED = 0.25  # of the words
LEVEL = 10 ** (-20 / 20)  # root mean square of what is spoken
ATTEMPTS = 5
FRAME = round(FRAME_SECONDS * SAMPLE_RATE)
CLASSES = {name: index for index, name in enumerate(INVENTORY)}


class Texts(NamedTuple):
    """What is read in a language, and its vowels."""

    words: tuple[str, ...]
    phrases: tuple[str, ...]
    vowels: str

    def invent(self, first: str, second: str) -> str:
        """Return a word of one word up to its first vowels, and all of another.

        >>> texts()["en-us"].invent("garden", "pencil")
        'gapencil'
        """
        beginning = re.match(f"[^{self.vowels}]*[{self.vowels}]+", first.lower())
        assert beginning, f"{first}: no vowel"
        return beginning[0] + second.lower()


class _Script(NamedTuple):
    """What one voice reads in a clip, the seconds of the pauses before each text, and its rate."""

    utterances: list[Utterance]
    pauses: np.ndarray
    played: int


@lru_cache(1)
def texts() -> dict[str, Texts]:
    """Return the texts by espeak's name of their language."""
    content = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))
    return {
        language: Texts(tuple(about["words"].split()), tuple(about["phrases"]), about["vowels"])
        for language, about in content.items()
    }


def voices(held_out: bool) -> list[str]:
    """Return espeak's names of the voices of training, or of those that are held out."""
    variants = HELD_OUT_VARIANTS if held_out else VARIANTS
    return [f"{language}+{variant}" for language in texts() for variant in variants]


def speech_clips(
    seed: int, first: int, count: int, seconds: float, held_out: bool
) -> list[LabelledClip]:
    """Return clips: the even ones of single words, the odd ones of phrases, one voice in each.

    What a clip says, and how, follows from ``seed`` and its index alone; what a voice adds to
    itself (flutter, breath) depends on the whole call too.

    Args:
        seed: Random seed.
        first: Index of the first clip.
        count: Number of clips.
        seconds: Length of every clip, 45 at most: the words of one are all different.
        held_out: Take the voices that are held out.

    Raises:
        DataUnavailableError: If espeakng-loader is not installed.
        SpeechCrashError: If espeak-ng crashes at every attempt.
    """
    scripts = [_script(seed, first + i, seconds, held_out) for i in range(count)]
    utterances = [utterance for script in scripts for utterance in script.utterances]
    rate, spoken = _speak(utterances, seed + first)
    assert rate == ESPEAK_RATE
    parts = iter(spoken)
    return [_clip(s, list(islice(parts, len(s.pauses))), seconds) for s in scripts]


def _script(seed: int, index: int, seconds: float, held_out: bool) -> _Script:
    rng = np.random.default_rng((seed, index, held_out))
    voice = str(rng.choice(voices(held_out)))
    said = texts()[voice.split("+")[0]]
    if index % 2:
        phrases = rng.choice(said.phrases, math.ceil(seconds / PHRASE_SECONDS))
        lines = [str(p).format(*rng.choice(said.words, 2, replace=False)) for p in phrases]
    else:
        shape = 2, math.ceil(seconds / WORD_SECONDS)
        lines = [
            said.invent(other, word) if rng.random() < INVENTED else str(word)
            for word, other in rng.choice(said.words, shape, replace=False).T
        ]
    rate, pitch = (int(rng.integers(low, high + 1)) for low, high in (RATES, PITCHES))
    played = int(rng.choice(PLAYED))
    rate = round(rate * ESPEAK_RATE / played)
    utterances = [Utterance(line, voice, rate, pitch) for line in lines]
    return _Script(utterances, rng.uniform(*PAUSES, size=len(lines)), played)


def _speak(
    utterances: list[Utterance], seed: int
) -> tuple[int, list[tuple[np.ndarray, list[Phoneme]]]]:
    """Speak, with another seed after a crash."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return speak(utterances, seed + attempt)
        except SpeechCrashError:
            continue
    return speak(utterances, seed + ATTEMPTS - 1)


def _clip(
    script: _Script, spoken: list[tuple[np.ndarray, list[Phoneme]]], seconds: float
) -> LabelledClip:
    """Join what was spoken; what does not fit is cut."""
    rate, slower = script.played, ESPEAK_RATE / script.played
    parts: list[np.ndarray] = []
    phonemes, end = [Phoneme("", 0.0)], 0
    for pause, (samples, names) in zip(script.pauses, spoken, strict=True):
        silence = np.zeros(round(pause * rate), np.float32)
        parts += [silence, samples]
        start = end + len(silence)
        end = start + len(samples)
        phonemes += [Phoneme(name, start / rate + at * slower) for name, at in names]
        phonemes.append(Phoneme("", end / rate))
    size = round(seconds * rate)
    joined = np.pad(np.concatenate(parts), (0, max(0, size - end)))[:size]
    samples = resample(joined, rate, SAMPLE_RATE)[: round(seconds * SAMPLE_RATE)]
    phoneme = _phoneme_of_frames(phonemes, end / rate, len(samples) // FRAME)
    voice = script.utterances[0].voice
    if not np.any(phoneme > PAUSE):
        raise SpeechCrashError(
            f"{voice}: espeak-ng spoke no phoneme of ours; take it out of VARIANTS"
        )
    return LabelledClip(_level(samples, phoneme), _labels_of_speech(phoneme), f"speech {voice}")


def _phoneme_of_frames(phonemes: list[Phoneme], end: float, frames: int) -> np.ndarray:
    """Return the class at the centre of every frame, NONE after ``end`` and where it has none."""
    # Names such as "(en)" tell of another language's pronunciation.
    heard = [phoneme for phoneme in phonemes if not phoneme.name.startswith("(")]
    classes = np.array([CLASSES.get(phoneme.name, NONE) for phoneme in heard], np.int16)
    centres = (np.arange(frames) + 0.5) * FRAME_SECONDS
    last = np.searchsorted([phoneme.start for phoneme in heard], centres, side="right") - 1
    return np.where(centres < end, classes[last], NONE).astype(np.int16)


def _level(samples: np.ndarray, phoneme: np.ndarray) -> np.ndarray:
    """Return samples whose speech is at LEVEL, or lower where they would exceed full scale."""
    frames = samples[: len(phoneme) * FRAME].reshape(-1, FRAME)
    speech = frames[phoneme > PAUSE]
    return samples * min(LEVEL / np.sqrt(np.mean(speech**2)), 1 / np.abs(samples).max())


def _labels_of_speech(phoneme: np.ndarray) -> Labels:
    sheet = LabelSheet(len(phoneme) * FRAME_SECONDS)
    return replace(sheet.labels(has_music=False, has_speech=True), phoneme=phoneme)
