"""Pool of clips so simple that a tiny encoder learns their labels in seconds.

Even clips are music: a tone per half second, with a click in the middle of its first frame; odd
ones are speech: a tone whose band tells the phoneme.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.pretraining.rendered.labels import NONE, LabelledClip, Labels
from hear_aesthetics.pretraining.rendered.pool import write_chunk

RATE, FRAME = 24_000, 960
FRAMES, PART = 50, 12  # of a clip, and of a note or phoneme
PHONEMES = 3


class MadePool:
    """Clips that are made when they are asked for."""

    def __init__(self, folder: Path, clips: int = 12) -> None:
        self.folder, self.clips = folder, clips
        self.about: dict[str, Any] = {"audio": "made", "clips": clips}
        self.phonemes, self.held_out = PHONEMES, 2

    def __len__(self) -> int:
        return self.clips

    def clip(self, index: int) -> LabelledClip:
        """Return a clip of 2 s."""
        rng = np.random.default_rng(index)
        speech = bool(index % 2)
        wave = 0.01 * rng.standard_normal(FRAMES * FRAME).astype(np.float32)
        pitches, onsets = np.zeros((2, FRAMES, 88), bool)
        presets, drums = np.zeros((FRAMES, 128), bool), np.zeros((FRAMES, 47), bool)
        key, chord, phoneme = np.full((3, FRAMES), NONE, np.int16)
        for start in range(0, FRAMES, PART):
            rows = slice(start, min(start + PART, FRAMES))
            samples = slice(start * FRAME, rows.stop * FRAME)
            time = np.arange(samples.stop - samples.start) / RATE
            if speech:
                phoneme[rows] = chosen = int(rng.integers(PHONEMES))
                wave[samples] += 0.2 * np.sin(2 * np.pi * (300, 1200, 4000)[chosen] * time)
                continue
            pitch = int(rng.integers(30, 60))
            pitches[rows, pitch] = presets[rows, pitch % 4] = onsets[start, pitch] = True
            drums[start, 3] = True
            key[rows], chord[rows] = pitch % 24, pitch % 5
            wave[samples] += 0.2 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 48) / 12) * time)
            wave[samples.start + FRAME // 2] += 0.9
        tempo = np.full(FRAMES, np.nan if speech else 60 * 25 / PART, np.float32)
        labels = (pitches, onsets, presets, drums, key, chord, phoneme, tempo)
        return LabelledClip(wave, Labels(*labels, not speech, speech), "made")


def write_pool(pool: MadePool, per_chunk: int = 5) -> None:
    """Write the clips into the pool's folder, as they are rendered."""
    for number in range(-(-len(pool) // per_chunk)):
        first = number * per_chunk
        clips = [pool.clip(index % len(pool)) for index in range(first, first + per_chunk)]
        write_chunk(pool.folder, number, clips)
    facts = {"phonemes": PHONEMES, "held_out": pool.held_out, "clips_per_chunk": per_chunk}
    (pool.folder / "pool.json").write_text(json.dumps({**pool.about, **facts}))
