"""Notes played by a sound font, by tinysoundfont."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hear_aesthetics.errors import DataUnavailableError, InputError
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["FontNote", "SoundFont"]

CHANNEL, DRUM_BANK = 0, 128
LAST_KIT = 49  # marching drums follow, on keys of their own
RELEASE_SAMPLES = SAMPLE_RATE // 10  # after "all sounds off": every voice has ended


class FontNote(NamedTuple):
    """Note of a track: seconds, MIDI pitch (or percussion key), velocity 1 to 127."""

    onset: float
    seconds: float
    pitch: int
    velocity: int


class SoundFont:
    """Sound font in memory, which plays one instrument at a time.

    Args:
        path: File in SF2 or SF3.

    Raises:
        DataUnavailableError: If tinysoundfont is not installed.
        InputError: If the file cannot be read.

    Attributes:
        kits: Presets of the bank of percussion.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tinysoundfont import Synth
        except ImportError as error:
            raise DataUnavailableError(
                "tinysoundfont is not installed; pip install --no-deps tinysoundfont"
            ) from error
        self._synth = Synth(samplerate=SAMPLE_RATE)
        try:
            self._font = self._synth.sfload(str(path))
        except Exception as error:
            raise InputError(f"{path}: no sound font that can be read ({error})") from error
        named = self._synth.sfpreset_name
        self.kits = [kit for kit in range(LAST_KIT) if named(self._font, DRUM_BANK, kit)]

    def play(
        self, notes: Sequence[FontNote], preset: int, samples: int, *, drums: bool = False
    ) -> np.ndarray:
        """Return a track; equal arguments give equal samples, whatever was played before.

        Notes start and end at their very sample: audio is rendered from event to event.

        Args:
            notes: Notes of the track.
            preset: General MIDI program, 0 to 127; of ``drums`` the kit.
            samples: Length of the track.
            drums: Play a kit of the bank of percussion.

        Shape:
            - output: ``(samples,)`` float32
        """
        self._synth.program_select(
            CHANNEL, self._font, DRUM_BANK if drums else 0, preset, is_drums=drums
        )
        events = []
        for note in notes:
            first = round(note.onset * SAMPLE_RATE)
            last = max(first + 1, round((note.onset + note.seconds) * SAMPLE_RATE))
            events += [(first, note.velocity, note.pitch), (last, 0, note.pitch)]
        parts, now = [], 0
        for at, velocity, pitch in sorted(events):  # at one sample, ends come before onsets
            if at >= samples:
                break
            parts.append(self._render(at - now))
            now = at
            if velocity:
                self._synth.noteon(CHANNEL, pitch, velocity)
            else:
                self._synth.noteoff(CHANNEL, pitch)
        parts.append(self._render(samples - now))
        self._synth.sounds_off()
        self._render(RELEASE_SAMPLES)
        return np.concatenate(parts)

    def _render(self, samples: int) -> np.ndarray:
        if not samples:
            return np.zeros(0, np.float32)
        stereo = np.frombuffer(self._synth.generate(samples), np.float32).reshape(-1, 2)
        return stereo.mean(axis=1)
