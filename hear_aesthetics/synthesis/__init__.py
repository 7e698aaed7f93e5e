"""Composer and renderer of seeded music with known properties; numpy and scipy only.

>>> from hear_aesthetics.synthesis import compose, render
>>> render(compose(seed=1, seconds=8.0)).shape
(192000,)
"""

from hear_aesthetics.synthesis.composer import compose
from hear_aesthetics.synthesis.demo import demo_song
from hear_aesthetics.synthesis.description import Description, describe
from hear_aesthetics.synthesis.drums import DRUMS, render_drum
from hear_aesthetics.synthesis.effects import reverb, tilt
from hear_aesthetics.synthesis.formants import LEADS
from hear_aesthetics.synthesis.instruments import render_note
from hear_aesthetics.synthesis.noise import band_noise, coloured_noise
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
from hear_aesthetics.synthesis.timbres import INSTRUMENTS

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
    "band_noise",
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
