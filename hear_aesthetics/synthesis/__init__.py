"""Composer and renderer of seeded music with known properties; numpy and scipy only.

>>> from hear_aesthetics.synthesis import compose, render
>>> render(compose(seed=1, seconds=8.0)).shape
(192000,)
"""

from hear_aesthetics.synthesis.composition.composer import compose
from hear_aesthetics.synthesis.composition.description import Description, describe
from hear_aesthetics.synthesis.composition.qualities import (
    QUALITIES,
    Generator,
    Qualities,
    make_generators,
    sample_qualities,
)
from hear_aesthetics.synthesis.composition.records import Composition, Note
from hear_aesthetics.synthesis.composition.styles import STYLES
from hear_aesthetics.synthesis.sound.drums import DRUMS, render_drum
from hear_aesthetics.synthesis.sound.effects import reverb, tilt
from hear_aesthetics.synthesis.sound.formants import LEADS
from hear_aesthetics.synthesis.sound.instruments import render_note
from hear_aesthetics.synthesis.sound.noise import band_noise, coloured_noise
from hear_aesthetics.synthesis.sound.renderer import demo_song, render, render_layers
from hear_aesthetics.synthesis.sound.speech import speech_like
from hear_aesthetics.synthesis.sound.timbres import INSTRUMENTS

__all__ = [
    "DRUMS",
    "INSTRUMENTS",
    "LEADS",
    "QUALITIES",
    "STYLES",
    "Composition",
    "Description",
    "Generator",
    "Note",
    "Qualities",
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
