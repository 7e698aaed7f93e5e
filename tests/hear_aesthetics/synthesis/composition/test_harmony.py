import numpy as np

from hear_aesthetics.synthesis.composition.form import Bar, plan_bars
from hear_aesthetics.synthesis.composition.harmony import harmonize, voice_chords
from hear_aesthetics.synthesis.composition.styles import STYLES


def _bars(seed: int) -> tuple[Bar, ...]:
    return plan_bars(seed, 60.0, STYLES["pop"], 110.0, 1.0, "ABA")


def _in_key(seed: int, musicality: float) -> float:
    bars = _bars(seed)
    chords = harmonize(seed, bars, musicality)
    key = bars[0].key.pitch_classes
    return float(np.mean([set(chord) <= key for chord in chords]))


def test_musicality_decides_how_many_chords_belong_to_the_key() -> None:
    share = {m: np.mean([_in_key(seed, m) for seed in range(8)]) for m in (0.0, 0.5, 1.0)}
    assert share[1.0] == 1.0
    assert share[0.0] + 0.2 < share[0.5] < 0.8


def test_a_musical_song_ends_on_its_tonic() -> None:
    bars = _bars(1)
    assert harmonize(1, bars, 1.0)[-1][0] == bars[0].key.tonic


def test_a_section_that_returns_brings_its_harmony_back_good_or_bad() -> None:
    bars = _bars(2)
    first, last = (
        [i for i, bar in enumerate(bars) if bar.section == "A" and bar.start < 20],
        [i for i, bar in enumerate(bars) if bar.section == "A" and bar.start > 30],
    )
    for musicality in (0.0, 1.0):
        chords = harmonize(2, bars, musicality)
        length = min(len(first), len(last)) - 1  # without the ending
        assert [chords[i] for i in first[:length]] == [chords[i] for i in last[:length]]


def test_voices_move_further_without_musicality() -> None:
    chords = harmonize(3, _bars(3), 1.0)

    def movement(musicality: float) -> float:
        voicings = np.array(voice_chords(3, chords, musicality, 52))
        return float(np.abs(np.diff(voicings, axis=0)).mean())

    assert movement(0.0) > 1.5 * movement(1.0)


def test_voicings_stay_in_their_register() -> None:
    chords = harmonize(3, _bars(3), 0.0)
    for voicing in voice_chords(3, chords, 0.0, 60):
        assert min(voicing) >= 60
        assert max(voicing) <= 60 + 17
