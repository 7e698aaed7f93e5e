import numpy as np
import pytest

from hear_aesthetics.synthesis.composition.form import SongPlan, plan_bars
from hear_aesthetics.synthesis.composition.harmony import harmonize
from hear_aesthetics.synthesis.composition.melody import LeadNote, compose_lead, hook, wander
from hear_aesthetics.synthesis.composition.qualities import Qualities
from hear_aesthetics.synthesis.composition.styles import STYLES

SEEDS = range(6)


def _plan(seed: int, **qualities: float) -> SongPlan:
    bars = plan_bars(seed, 90.0, STYLES["pop"], 110.0, 1.0)
    return SongPlan(seed, bars, harmonize(seed, bars, 1.0), STYLES["pop"], Qualities(**qualities))


def _repeated_units(notes: tuple[LeadNote, ...]) -> float:
    """Share of the units whose rhythm another unit has too."""
    rhythms: dict[int, tuple[float, ...]] = {}
    for note in notes:
        rhythms[note.unit] = (*rhythms.get(note.unit, ()), note.beat, note.length)
    rows = list(rhythms.values())
    return float(np.mean([rows.count(row) > 1 for row in rows]))


@pytest.mark.parametrize("beats", [3, 4])
@pytest.mark.parametrize("make", [hook, wander])
def test_a_motif_fills_its_two_bars_within_range(make, beats: int) -> None:
    for seed in range(30):
        motif = make(np.random.default_rng(seed), beats)
        assert motif.beats[0] == 0.0
        assert motif.beats[1:] == pytest.approx(np.cumsum(motif.lengths)[:-1])
        assert motif.beats[-1] < 2 * beats
        assert motif.beats[-1] + motif.lengths[-1] <= 2 * beats + 1e-9
        assert motif.degrees.min() >= -3
        assert motif.degrees.max() <= 9


def test_a_hook_repeats_its_rhythm_from_bar_to_bar() -> None:
    motif = hook(np.random.default_rng(1), 4)
    first = [beat for beat in motif.beats if beat < 2]
    assert [beat - 4 for beat in motif.beats if 4 <= beat < 6] == first


def test_memorability_decides_how_much_returns() -> None:
    shares = {}
    for memorability in (1, 3, 5):
        songs = [compose_lead(_plan(seed, memorability=memorability)) for seed in SEEDS]
        shares[memorability] = np.mean([_repeated_units(notes) for notes in songs])
    assert shares[1] < 0.1
    assert shares[1] + 0.2 < shares[3] < shares[5] - 0.2
    assert shares[5] == 1.0


def test_musicality_decides_how_many_notes_belong_to_the_key() -> None:
    shares = {}
    for musicality in (1, 3, 5):
        fits = []
        for seed in SEEDS:
            plan = _plan(seed, musicality=musicality)
            key = plan.bars[0].key.pitch_classes
            fits += [note.pitch % 12 in key for note in compose_lead(plan)]
        shares[musicality] = np.mean(fits)
    assert shares[1] + 0.1 < shares[3] < shares[5] - 0.1
    assert shares[5] == 1.0


def test_wrong_notes_return_with_their_motif() -> None:
    assert _repeated_units(compose_lead(_plan(0, musicality=1))) == 1.0


def test_every_phrase_leaves_room_to_breathe() -> None:
    for memorability in (1, 5):
        plan = _plan(0, memorability=memorability)
        notes = compose_lead(plan)
        assert max(note.beat + note.length for note in notes) <= 8 - 0.75
        assert sum(note.ends_phrase for note in notes) == len(plan.bars) // 2
