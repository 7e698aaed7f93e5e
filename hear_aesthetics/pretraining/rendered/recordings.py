"""Clips of recorded samples in the public domain, and of noise."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from hear_aesthetics.audio.loading import resample
from hear_aesthetics.pretraining.data.synthetic_clips import (
    at_peak,
    in_room,
    log_uniform,
    noise_bursts,
)
from hear_aesthetics.pretraining.rendered.labels import LabelledClip, LabelSheet
from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis.sound.effects import add_sound

__all__ = ["noise", "samples_at_random"]

# General MIDI percussion keys of the names of Sonic Pi's hits; the first that fits decides.
HITS = {
    "bd_|kick": 36, "snare|^sn_": 38, "cymbal_closed": 42, "cymbal_pedal": 44, "cymbal_open": 46,
    "cymbal": 49, "splash": 55, "tom_hi": 50, "tom_mid": 47, "tom_lo|fuzz_tom": 45, "cowbell": 56,
    "snap": 39, "triangle": 81, "elec_wood": 76, "elec_tick": 37,
}  # fmt: skip
SPEEDS = (0.8, 1.25)


def noise(rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return bursts of noise, in which nothing has a pitch."""
    wave = in_room(noise_bursts(seconds, rng), rng)
    return LabelledClip(at_peak(wave), LabelSheet(seconds).labels(has_music=True), "noise")


def samples_at_random(folder: Path, rng: np.random.Generator, seconds: float) -> LabelledClip:
    """Return hits of percussion, whose keys are known, or other samples, of which nothing is."""
    hits, others = _sorted_names(folder)
    drums = rng.random() < 0.6
    wave, sheet = np.zeros(round(seconds * SAMPLE_RATE), np.float32), LabelSheet(seconds)
    now = float(rng.uniform(0.0, 0.3))
    while now < seconds:
        names = tuple(hits) if drums else others
        name = names[int(rng.integers(len(names)))]
        sound = _faster(_read(folder / name), log_uniform(*SPEEDS, rng))
        add_sound(wave, round(now * SAMPLE_RATE), np.float32(rng.uniform(0.3, 1.0)) * sound)
        if drums:
            sheet.add_hit(now, hits[name])
        now += log_uniform(0.15, 1.0, rng) if drums else len(sound) / SAMPLE_RATE + 0.2
    return LabelledClip(at_peak(in_room(wave, rng)), sheet.labels(has_music=drums), "samples")


def _faster(wave: np.ndarray, speed: float) -> np.ndarray:
    at = np.arange(0, len(wave) - 1, speed)
    return np.interp(at, np.arange(len(wave)), wave).astype(np.float32)


@cache
def _sorted_names(folder: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the files that are hits, with their keys, and the others."""
    names = sorted(path.name for path in folder.glob("*.flac"))
    hits = {
        name: next((key for words, key in HITS.items() if re.search(words, name)), 0)
        for name in names
    }
    return (
        {name: key for name, key in hits.items() if key},
        tuple(name for name, key in hits.items() if not key),
    )


@cache
def _read(path: Path) -> np.ndarray:
    """Return a file's samples at unit peak, at most ten seconds of them."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return at_peak(resample(samples[: 10 * rate].mean(axis=1), rate, SAMPLE_RATE))
