"""Sound fonts side by side, and which of their instruments no encoder trains on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hear_aesthetics.pretraining.rendered.sound_font import FontNote, SoundFont
from hear_aesthetics.synthesis.composition.qualities import pick

__all__ = ["MELODIC", "Orchestra"]

MELODIC = range(112)  # General MIDI programs; percussion and effects follow
# Of eight programs in a row each font keeps one for the held-out clips, another one than the other
# font: every program trains in at least one of the two.
HELD_OUT = {"fluid": 3, "musescore": 6}
FAMILY = 8
QUIETEST = 1e-4  # of a track's peak: what is below is no part of its level


class Orchestra:
    """Instruments of two sound fonts, those to train on or the held-out ones.

    Args:
        fonts: Files by the names of ``sources.toml``.
        held_out: Take the held-out instruments instead of all others.
    """

    def __init__(self, fonts: dict[str, Path], held_out: bool) -> None:
        self.held_out = held_out
        self._fonts = {name: SoundFont(path) for name, path in fonts.items()}

    def instrument(self, rng: np.random.Generator, programs: Sequence[int]) -> tuple[str, int]:
        """Draw a font and one of some programs, a held-out one near them where none of them is."""
        name = pick(rng, tuple(self._fonts))
        held = HELD_OUT[name]
        fit = [p for p in programs if (p % FAMILY == held) == self.held_out]
        program = int(rng.choice(fit or programs))
        if not fit:
            program = program // FAMILY * FAMILY + held
        return name, program

    def kit(self, rng: np.random.Generator) -> tuple[str, int]:
        """Draw a font and a percussion kit: they share most sounds, and none is held out."""
        name = pick(rng, tuple(self._fonts))
        return name, int(rng.choice(self._fonts[name].kits))

    def play(
        self,
        instrument: tuple[str, int],
        notes: Sequence[FontNote],
        samples: int,
        *,
        drums: bool = False,
    ) -> np.ndarray:
        """Return a track at unit RMS where it sounds: fonts differ in level by 30 dB.

        Shape:
            - output: ``(samples,)`` float32
        """
        name, program = instrument
        track = self._fonts[name].play(notes, program, samples, drums=drums)
        loud = np.abs(track) > QUIETEST * np.abs(track).max(initial=0.0)
        if not loud.any():
            return track
        return track / np.sqrt(np.square(track[loud]).mean())
