"""Composer and renderer of seeded music with known properties; numpy and scipy only.

>>> from hear_aesthetics.synthesis import compose, render
>>> render(compose(seed=1, seconds=8.0)).shape
(192000,)
"""

from hear_aesthetics.synthesis.composer import compose, demo_song
from hear_aesthetics.synthesis.drums import DRUMS, render_drum
from hear_aesthetics.synthesis.effects import reverb
from hear_aesthetics.synthesis.instruments import INSTRUMENTS, render_note
from hear_aesthetics.synthesis.qualities import (
    QUALITIES,
    Generator,
    Qualities,
    make_generators,
    sample_qualities,
)
from hear_aesthetics.synthesis.renderer import render
from hear_aesthetics.synthesis.score import Note, Score

__all__ = [
    "DRUMS",
    "INSTRUMENTS",
    "QUALITIES",
    "Generator",
    "Note",
    "Qualities",
    "Score",
    "compose",
    "demo_song",
    "make_generators",
    "render",
    "render_drum",
    "render_note",
    "reverb",
    "sample_qualities",
]
