"""Composer and renderer of seeded music with known properties; numpy and scipy only.

>>> from hear_aesthetics.synthesis import compose, render
>>> render(compose(seed=1, seconds=8.0)).shape
(192000,)
"""

from hear_aesthetics.synthesis.composer import Description, compose, demo_song, describe
from hear_aesthetics.synthesis.drums import DRUMS, render_drum
from hear_aesthetics.synthesis.effects import coloured_noise, reverb, tilt
from hear_aesthetics.synthesis.instruments import INSTRUMENTS, render_note
from hear_aesthetics.synthesis.qualities import (
    QUALITIES,
    Generator,
    Qualities,
    make_generators,
    sample_qualities,
)
from hear_aesthetics.synthesis.renderer import render, render_layers
from hear_aesthetics.synthesis.score import Note, Score
from hear_aesthetics.synthesis.speech import speech_like
from hear_aesthetics.synthesis.styles import STYLES
from hear_aesthetics.synthesis.voice import LEADS

__all__ = [
    "DRUMS",
    "INSTRUMENTS",
    "LEADS",
    "QUALITIES",
    "STYLES",
    "Description",
    "Generator",
    "Note",
    "Qualities",
    "Score",
    "coloured_noise",
    "compose",
    "demo_song",
    "describe",
    "make_generators",
    "render",
    "render_drum",
    "render_layers",
    "render_note",
    "reverb",
    "sample_qualities",
    "speech_like",
    "tilt",
]
