"""Effects: changes with their signs and intervals, ranks, and what cannot be told."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from songeval_task.audit.effects import Effect, describe, effects_of
from songeval_task.audit.variants import VARIANTS

GAIN, REPEAT = VARIANTS[0], VARIANTS[-1]


def scored(value, loudness=-20.0, error=None):
    status = "ok" if error is None else "error"
    return {"mean": value, "loudness_lufs": loudness, "status": status, "error": error}


def table(changes, scores=None):
    """Songs whose score is their number, and moves by these changes under GAIN."""
    scores = range(len(changes)) if scores is None else scores
    return {
        f"{n}.wav": {
            "original": scored(float(score)),
            GAIN.name: scored(score + change, loudness=-32.0),
            REPEAT.name: scored(float(score)),
        }
        for n, (score, change) in enumerate(zip(scores, changes, strict=True))
    }


def effect(rows, variant=GAIN, **options) -> Effect:
    (found,) = effects_of(rows, [variant], {"demo": ["mean"]}, **options)
    return found


def test_changes_have_the_interval_of_a_mean_over_songs() -> None:
    changes = np.array([0.1, -0.4, 0.2, 0.5, -0.1])
    found = effect(table(changes))
    reach = t.ppf(0.975, 4) * changes.std(ddof=1) / np.sqrt(5)
    assert found.songs == 5
    assert found.change == pytest.approx(0.06)
    assert found.absolute == pytest.approx(0.26)
    assert (found.low, found.high) == pytest.approx((0.06 - reach, 0.06 + reach))
    assert (found.worst_song, found.worst_change) == ("3.wav", pytest.approx(0.5))
    assert found.loudness == pytest.approx(-12)


def test_the_largest_change_downwards_is_the_worst_too() -> None:
    found = effect(table([0.1, -0.4, 0.2]))
    assert (found.worst_song, found.worst_change) == ("1.wav", pytest.approx(-0.4))


def test_what_does_not_vary_has_no_interval() -> None:
    found = effect(table([0.1, 0.2, 0.3]), REPEAT)
    assert (found.change, found.absolute, found.low, found.high) == (0, 0, None, None)


@pytest.mark.parametrize("songs", [1, 2])
def test_one_or_two_songs_have_no_interval(songs) -> None:
    found = effect(table([0.1, 0.3][:songs]))
    assert found.change is not None
    assert (found.low, found.high) == (None, None)


def test_ranks_need_more_than_six_songs() -> None:
    assert effect(table([10.0] + [0.0] * 5)).rank_share is None
    first_to_last = [10.0] + [0.0] * 6  # six places for one song, one for the others
    assert effect(table(first_to_last)).rank_share == pytest.approx(1 / 7)
    assert effect(table([100.0] * 7)).rank_share == 0  # all move: no rank does
    assert effect(table([5.5] + [0.0] * 6)).rank_share == 0  # five places


def test_calibrated_changes_are_shares_of_each_songs_interval() -> None:
    rows = table([0.2, -0.4, 0.0])
    found = effect(rows, half_widths={"mean": np.array([0.4, 0.2, 1.0])})
    assert found.interval_share == pytest.approx((0.5 + 2.0 + 0.0) / 3)


def test_songs_that_failed_in_a_variant_are_counted_and_left_out() -> None:
    rows = table([0.1, 0.3])
    rows["0.wav"][GAIN.name] = scored(None, error="0.wav: leaves 0.00 s")
    found = effect(rows, half_widths={"mean": np.array([9.0, 0.3])})
    assert (found.songs, found.change) == (1, pytest.approx(0.3))
    assert found.interval_share == pytest.approx(1.0)
    assert found.note == "not measured for 1 of 2 songs: 0.wav: leaves 0.00 s"


def test_a_variant_that_cannot_be_made_says_why() -> None:
    rows = {"0.wav": {"original": scored(1.0)}}
    variant = replace(GAIN, name="AAC", needs="no_such_package")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("songeval_task.audit.variants.EXTRAS", {"no_such_package": "av"})
        found = effect(rows, variant)
    assert (found.songs, found.change) == (0, None)
    assert found.note is not None
    assert "no_such_package is not installed" in found.note


def test_silence_has_no_change_of_loudness() -> None:
    rows = table([0.1])
    rows["0.wav"]["original"]["loudness_lufs"] = None
    assert effect(rows).loudness is None


def made(variant, column, absolute, share=None) -> Effect:
    known = {"change": absolute, "absolute": absolute, "interval_share": share}
    return Effect("demo", column, variant, "gain", songs=20, **known)


def test_the_sentence_names_what_moves_a_score_the_largest_first() -> None:
    effects = [made("a", "Clarity", 0.11), made("a", "mean", 0.05), made("b", "mean", 0.3)]
    effects += [made("c", "Clarity", 0.09), Effect("demo", "Clarity", "not made", "gain", songs=0)]
    assert describe(effects) == (
        "2 of 3 variants move a score by more than 0.1 points on average over 20 songs: "
        "b (mean by 0.30), a (Clarity by 0.11)."
    )
    assert describe(effects[3:]) == (
        "No variant moves a score by more than 0.1 points on average over 20 songs."
    )


def test_columns_of_a_further_head_are_named_without_it() -> None:
    effect = replace(made("a", "track2:Clarity", 0.2), head="track2")
    assert describe([effect]).endswith("a (Clarity by 0.20).")


def test_with_a_calibration_the_interval_is_the_measure() -> None:
    effects = [made("a", "mean", 0.5, share=0.8), made("b", "mean", 0.05, share=1.2)]
    assert describe(effects) == (
        "1 of 2 variants moves a score by more than half of its calibrated interval on average "
        "over 20 songs: b (mean by 0.05)."
    )
