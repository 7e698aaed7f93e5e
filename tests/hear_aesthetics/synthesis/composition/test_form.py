from itertools import pairwise

import pytest

from hear_aesthetics.synthesis.composition.form import Bar, SongPlan, plan_bars
from hear_aesthetics.synthesis.composition.qualities import Qualities
from hear_aesthetics.synthesis.composition.records import Recording
from hear_aesthetics.synthesis.composition.styles import STYLES

COHERENCE = (0.0, 0.5, 1.0)


def _plan(coherence: float, style: str = "pop", form: str | None = None) -> tuple[Bar, ...]:
    return plan_bars(7, 95.0, STYLES[style], 110.0, coherence, form)


@pytest.mark.parametrize("coherence", COHERENCE)
@pytest.mark.parametrize("style", ["pop", "waltz"])
def test_bars_fill_the_time_without_gaps(coherence: float, style: str) -> None:
    bars = _plan(coherence, style)
    assert bars[0].start == 0.0
    for bar, following in pairwise(bars):
        assert bar.start + bar.seconds == pytest.approx(following.start)
    assert bars[-1].start + bars[-1].seconds == pytest.approx(95.0)
    assert [bar.last for bar in bars].count(True) == 1


def test_at_full_coherence_key_tempo_and_band_stay() -> None:
    bars = _plan(1.0)
    assert len({bar.key for bar in bars}) == 1
    assert len({bar.band for bar in bars}) == 1
    assert {bar.recording for bar in bars} == {Recording()}
    assert max(bar.seconds for bar in bars) == pytest.approx(min(bar.seconds for bar in bars))


def test_less_coherence_digresses_more_often_in_every_aspect() -> None:
    home = _plan(1.0)[0]
    share = {
        coherence: (
            sum(bar.key != home.key for bar in _plan(coherence)),
            sum(bar.band != home.band for bar in _plan(coherence)),
            len({round(bar.seconds, 6) for bar in _plan(coherence)}),
            sum(bar.recording != home.recording for bar in _plan(coherence)),
        )
        for coherence in COHERENCE
    }
    for aspect in range(4):
        assert share[0.0][aspect] > share[0.5][aspect] > share[1.0][aspect]


def test_coherence_does_not_change_the_mean_tempo_or_the_form() -> None:
    loose, tight = _plan(0.0), _plan(1.0)
    assert len(loose) == len(tight)
    assert [bar.section for bar in loose] == [bar.section for bar in tight]


def test_a_given_form_is_followed_in_whole_units() -> None:
    bars = _plan(1.0, form="ABA")
    changes = [bar for bar in bars if bar.position == 0]
    assert [bar.section for bar in changes] == ["A", "B", "A"]
    assert all(bars.index(bar) % 2 == 0 for bar in changes)


def test_beats_fall_where_the_bars_are() -> None:
    bars = _plan(0.0)
    plan = SongPlan(7, bars, (), STYLES["jazz"], Qualities())
    assert plan.beat_time(1, 0.0) == bars[2].start
    assert plan.beat_time(1, 4.0) == bars[3].start
    assert plan.beat_time(0, 2.0) == pytest.approx(bars[0].seconds / 2)
    late = plan.beat_time(0, 0.5) - plan.beat_time(0, 0.5, swung=False)
    assert late == pytest.approx(STYLES["jazz"].swing * bars[0].seconds / 4)
    assert plan.beat_time(10**6, 0.0) == pytest.approx(95.0)
