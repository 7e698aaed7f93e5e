"""Renderer of compositions: notes from a bank per song, the lead, the room, tone and level."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from hear_aesthetics.synthesis.composition.composer import compose
from hear_aesthetics.synthesis.composition.qualities import stream
from hear_aesthetics.synthesis.composition.records import Composition, Note, Recording, Span
from hear_aesthetics.synthesis.sound import effects
from hear_aesthetics.synthesis.sound.drums import DRUMS, render_drum
from hear_aesthetics.synthesis.sound.formants import LEADS, another_singer
from hear_aesthetics.synthesis.sound.instruments import render_note
from hear_aesthetics.synthesis.sound.noise import coloured_noise
from hear_aesthetics.synthesis.sound.timbres import INSTRUMENTS, Timbre, vary
from hear_aesthetics.synthesis.sound.voice import render_lead

__all__ = ["LEVELS", "demo_song", "render", "render_layers"]

# Linear gain of each layer; notes are rendered at about unit RMS
LEVELS = {
    "lead": 0.55,
    "hook": 0.55,
    "chords": 0.2,
    "bass": 0.42,
    "pad": 0.13,
    "arpeggio": 0.17,
    "drums": 0.4,
}
SHORTEST_BUCKET = 0.25  # seconds; durations are rounded up to this times a power of two
LEAD_TAIL = 0.1  # seconds that a passage of the lead may sound beyond its last note
BREATH_ROOM = 0.4  # seconds before its first note, for the breath
CUT_SECONDS = 0.01  # in which one take gives way to the next
NOISE_EXPONENT = 1.2  # of the noise bed: a little darker than pink


class _NoteBank:
    """Notes of a song, each (instrument, pitch, duration bucket) rendered once."""

    def __init__(self, seed: int, sample_rate: int) -> None:
        rng = stream(seed, "timbres")
        self._timbres: dict[str, Timbre] = {
            name: vary(timbre, rng) for name, timbre in INSTRUMENTS.items()
        }
        self._rng = stream(seed, "note noise")
        self._sample_rate = sample_rate
        self._notes: dict[tuple[str, float, float], np.ndarray] = {}

    def _render(self, instrument: str, pitch: float, seconds: float) -> np.ndarray:
        key = (instrument, pitch, seconds)
        if key not in self._notes:
            how = 1.0, self._sample_rate, self._rng
            self._notes[key] = (
                render_drum(instrument, *how)
                if instrument in DRUMS
                else render_note(self._timbres[instrument], pitch, seconds, *how)
            )
        return self._notes[key]

    def play(self, note: Note, gain: float) -> np.ndarray:
        """Return the samples of a note, cut to its length with the instrument's release."""
        loudness = np.float32(gain * note.velocity)
        if note.instrument in DRUMS:
            return loudness * self._render(note.instrument, 0.0, 0.0)
        release = self._timbres[note.instrument].release
        octaves = max(0.0, np.ceil(np.log2(note.seconds / SHORTEST_BUCKET)))
        samples = self._render(note.instrument, note.pitch, SHORTEST_BUCKET * 2.0**octaves)
        played = loudness * samples[: round((note.seconds + release) * self._sample_rate)]
        fade = min(len(played), round(release * self._sample_rate))
        played[len(played) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return played


def _render_band(
    notes: Sequence[Note], song: Composition, samples: int, sample_rate: int
) -> dict[str, np.ndarray]:
    bank = _NoteBank(song.seed, sample_rate)
    layers = {name: np.zeros(samples, np.float32) for name in dict.fromkeys(n.layer for n in notes)}
    for note in notes:
        played = bank.play(note, LEVELS[note.layer])
        effects.add_sound(layers[note.layer], round(note.onset * sample_rate), played)
    return layers


def _render_leads(
    notes: Sequence[Note], song: Composition, samples: int, sample_rate: int
) -> np.ndarray:
    """Render each passage of one lead on its own and joins them."""
    joined = np.zeros(samples, np.float32)
    rng = stream(song.seed, "lead")
    singers = {name: another_singer(timbre, rng) for name, timbre in LEADS.items()}
    gain = np.float32(LEVELS["lead"] * 10 ** (song.production.lead_db / 20))
    for name, group in groupby(notes, key=lambda note: note.instrument):
        passage = list(group)
        start = round(max(0.0, passage[0].onset - BREATH_ROOM) * sample_rate)
        end = max(note.onset + note.seconds for note in passage) + LEAD_TAIL
        length = min(samples, round(end * sample_rate)) - start
        if length <= 0:
            continue
        shifted = [replace(note, onset=note.onset - start / sample_rate) for note in passage]
        rendered = render_lead(singers[name], shifted, length, song.performance, sample_rate, rng)
        joined[start : start + length] += gain * rendered
    return joined


def _splice(mix: np.ndarray, takes: Sequence[Span[Recording]], sample_rate: int) -> np.ndarray:
    """Give each take its own tone and level; its reverberation is cut with it, as in an edit."""
    joined = mix.copy()
    fade = np.linspace(0.0, 1.0, round(CUT_SECONDS * sample_rate), dtype=np.float32)
    for take in takes:
        if take.value != Recording():
            stretch = slice(round(take.start * sample_rate), round(take.end * sample_rate))
            foreign = effects.tilt(mix[stretch], take.value.tilt_db, sample_rate)
            foreign *= np.float32(10 ** (take.value.level_db / 20))
            foreign[: len(fade)] *= fade
            foreign[len(foreign) - len(fade) :] *= fade[::-1]
            joined[stretch] = foreign
    return joined


def render_layers(song: Composition, sample_rate: int = 24_000) -> dict[str, np.ndarray]:
    """Render the layers of a song without room, noise or tone control.

    Shape:
        - each layer: ``(round(song.seconds * sample_rate),)`` float32, all at mixing level
    """
    samples = round(song.seconds * sample_rate)
    lead = song.layer("lead")
    band = [note for note in song.notes if note.layer != "lead"]
    layers = _render_band(band, song, samples, sample_rate)
    if lead:
        layers["lead"] = _render_leads(lead, song, samples, sample_rate)
    return layers


def render(song: Composition, sample_rate: int = 24_000) -> np.ndarray:
    """Render a composition.

    The same song gives the same samples; no global random state is read or changed.

    Shape:
        - output: ``(round(song.seconds * sample_rate),)`` float32 in [-1, 1]
    """
    production = song.production
    mix = np.zeros(round(song.seconds * sample_rate), np.float32)
    for layer in render_layers(song, sample_rate).values():
        mix += layer
    room = stream(song.seed, "room")
    mix = effects.reverb(mix, production.reverb_seconds, production.wet, sample_rate, room)
    noise_db = effects.rms_db(mix) + production.noise_db
    noise = coloured_noise(len(mix), NOISE_EXPONENT, sample_rate, stream(song.seed, "noise"))
    mix += np.float32(10 ** (noise_db / 20)) * noise
    mix = _splice(mix, song.takes, sample_rate)
    target = effects.Brightness(production.centroid_hz, production.crossing_rate)
    return effects.normalize(effects.equalize(mix, target, sample_rate), production.rms_db)


def demo_song(seconds: float = 30.0, seed: int = 0, sample_rate: int = 48_000) -> np.ndarray:
    """Return a short song with clear sections A B A, ``(samples,)`` float32."""
    return render(compose(seed, seconds, style="pop", form="ABA"), sample_rate)
