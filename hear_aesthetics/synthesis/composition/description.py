"""Description of a composition in words, for prompts and captions."""

from collections import defaultdict
from dataclasses import dataclass

from hear_aesthetics.synthesis.composition.records import Composition
from hear_aesthetics.synthesis.sound.formants import LEADS
from hear_aesthetics.synthesis.sound.timbres import INSTRUMENTS

__all__ = ["Description", "describe"]

TEMPO_WORDS = ((76, "slow"), (108, "moderate"), (132, "fast"), (float("inf"), "very fast"))


@dataclass(frozen=True)
class Description:
    """Attributes that a prompt can name; ``key`` is the one in force longest."""

    style: str
    tempo_bpm: int
    tempo_word: str
    key: str
    beats_per_bar: int
    instruments: tuple[str, ...]


def describe(song: Composition) -> Description:
    """Return style, tempo, key and instruments of a song."""
    total: dict[str, float] = defaultdict(float)
    for span in song.keys:
        total[span.value.name] = total[span.value.name] + span.end - span.start
    bars = len(song.chords)
    sounding = song.chords[-1].end - song.chords[0].start
    bpm = 60.0 * bars * song.beats_per_bar / sounding
    names = {key: timbre.name for key, timbre in INSTRUMENTS.items()}
    names |= {key: timbre.name for key, timbre in LEADS.items()}
    played = dict.fromkeys(names.get(note.instrument, "drums") for note in song.notes)
    return Description(
        style=song.style,
        tempo_bpm=round(bpm),
        tempo_word=next(word for limit, word in TEMPO_WORDS if bpm < limit),
        key=max(total, key=total.__getitem__),
        beats_per_bar=song.beats_per_bar,
        instruments=tuple(played),
    )
