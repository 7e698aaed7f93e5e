"""Comparisons: intervals that hold, pairs that help, and words that claim no more than that."""

import numpy as np
import pytest

from songeval_task.scoring.comparison import compare_takes

COLUMNS = ["Clarity", "mean"]


def rows(clarity, loudness=-14.0) -> list[dict]:
    loudness = np.broadcast_to(loudness, len(clarity))
    return [
        {"Clarity": c, "mean": 3.0, "loudness_lufs": None if np.isnan(lufs) else lufs}
        for c, lufs in zip(clarity, loudness, strict=True)
    ]


def songs(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 0.5, count)


def excludes_zero(difference) -> bool:
    return difference.low > 0 or difference.high < 0


def test_pairs_show_what_the_luck_of_the_songs_hides() -> None:
    base = songs(30)
    better = base + 0.1 + np.random.default_rng(1).normal(0, 0.05, 30)
    paired = compare_takes(rows(base), rows(better), COLUMNS, paired=True).differences[0]
    apart = compare_takes(rows(base), rows(better), COLUMNS, paired=False).differences[0]
    assert paired.difference == pytest.approx(apart.difference) == pytest.approx(0.1, abs=0.03)
    assert excludes_zero(paired)
    assert not excludes_zero(apart)
    assert paired.high - paired.low < (apart.high - apart.low) / 4


def test_intervals_have_the_width_of_theory() -> None:
    a, b = songs(200), songs(100, seed=5)
    found = compare_takes(rows(a), rows(b), COLUMNS, paired=False).differences[0]
    error = np.sqrt(a.var() / len(a) + b.var() / len(b))
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.1 * error)


def test_no_difference_is_called_chance() -> None:
    result = compare_takes(rows(songs(20)), rows(songs(20, 1)), COLUMNS, paired=True)
    assert result.sentence == "Over 20 pairs, this cannot tell which is better."


def test_a_clear_difference_is_named_and_the_others_too() -> None:
    base = songs(20)
    lower = base - np.random.default_rng(2).uniform(0.1, 0.3, 20)
    result = compare_takes(rows(base), rows(lower), COLUMNS, paired=True)
    assert result.sentence == (
        "Over 20 pairs, B scores clearly lower in Clarity; cannot tell in the mean."
    )


def test_a_difference_without_spread_is_told_and_not_called_clear() -> None:
    base = songs(20)
    result = compare_takes(rows(base), rows(base - 0.2), COLUMNS[:1], paired=True)
    assert result.differences[0].low is None
    assert result.sentence == (
        "In Clarity the difference is the same over 20 pairs: without spread nothing tells how "
        "sure it is."
    )
    both = compare_takes(rows(base), rows(base - 0.2), COLUMNS, paired=True).sentence
    assert both.startswith("Over 20 pairs, this cannot tell in the mean. In Cl")


def test_intervals_of_three_pairs_hold_what_they_claim() -> None:
    draws = np.random.default_rng(3).normal(0, 0.5, (400, 3))
    found = [compare_takes(rows([3.0] * 3), rows(3 + d), COLUMNS, paired=True) for d in draws]
    assert 0.92 < 1 - np.mean([excludes_zero(f.differences[0]) for f in found]) < 0.98


def test_single_takes_have_no_interval_and_say_so() -> None:
    result = compare_takes(rows([3.0]), rows([3.5]), COLUMNS, paired=False)
    assert result.differences[0].low is None
    assert result.sentence == (
        "B scores higher in Clarity. Nothing tells how sure that is: --calibration FILE does, made "
        "by `hear-aesthetics calibrate`."
    )
    others = compare_takes(rows([3.0]), rows([3.5]), COLUMNS, paired=False, may_be_calibrated=False)
    assert others.sentence.endswith("how sure that is: folders of several takes do.")
    against_many = compare_takes(rows([3.0]), rows(songs(5)), COLUMNS, paired=False)
    assert against_many.differences[0].low is None
    assert against_many.sentence.startswith("Over 1 takes against 5, B scores")


def test_few_takes_are_called_few() -> None:
    result = compare_takes(rows(songs(4)), rows(songs(9)), COLUMNS, paired=False)
    assert "With 4 on a side intervals and probabilities are rough" in result.sentence


@pytest.mark.parametrize(("shift", "word"), [(2.3, "2.3 LU louder"), (-1.0, "1.0 LU quieter")])
def test_a_difference_in_loudness_is_named(shift, word) -> None:
    base = songs(20)
    result = compare_takes(rows(base, -14.0), rows(base, -14.0 + shift), COLUMNS, paired=True)
    assert f"B is {word}" in result.sentence
    assert "--loudness" in result.sentence
    levelled = compare_takes(
        rows(base, -14.0),
        rows(base, -14.0 + shift),
        COLUMNS,
        paired=True,
        loudness_normalized_to=-16.0,
    )
    assert word not in levelled.sentence
    assert "brought to -16 LUFS" in levelled.sentence
    assert levelled.loudness.difference == pytest.approx(shift)


def test_silent_takes_have_no_loudness_to_compare() -> None:
    half = compare_takes(rows([3, 4], [-14, np.nan]), rows([3, 4]), COLUMNS, paired=True)
    assert half.loudness.a == -14.0
    assert compare_takes(rows([3], np.nan), rows([3]), COLUMNS, paired=False).loudness is None


def test_demo_scores_are_called_meaningless() -> None:
    result = compare_takes(rows(songs(12)), rows(songs(12)), COLUMNS, paired=True, demo=True)
    assert "demo scores" in result.sentence


@pytest.mark.parametrize(("a", "b", "paired"), [(0, 2, False), (2, 0, False), (2, 3, True)])
def test_sides_that_do_not_fit_are_refused(a, b, paired) -> None:
    with pytest.raises(ValueError, match=f"{a} takes of A and {b} of B"):
        compare_takes(rows(songs(a)), rows(songs(b)), COLUMNS, paired=paired)


def labelled(side: list[dict], prompts: int, takes: int) -> list[dict]:
    """The rows with the prompt that each was made of."""
    names = [f"prompt {n}" for n in range(prompts) for _ in range(takes)]
    return [{**row, "prompt": name} for row, name in zip(side, names, strict=True)]


def test_prompts_are_the_observations_where_they_are_known() -> None:
    """Six prompts of ten takes: B is lucky with its prompts, which takes alone cannot know."""
    rng = np.random.default_rng(7)
    a, b = (np.repeat(rng.normal(3, 0.3, 6), 10) + rng.normal(0, 0.05, 60) for _ in "ab")
    a, b = rows(a - a.mean()), rows(b - b.mean() + 0.2)
    plain = compare_takes(a, b, COLUMNS[:1], paired=False)
    shifted = [{**row, "prompt": f"b {row['prompt']}"} for row in labelled(b, 6, 10)]
    known = compare_takes(labelled(a, 6, 10), shifted, COLUMNS[:1], paired=False)
    assert plain.differences[0].probability > 0.99
    assert 0.7 < known.differences[0].probability < 0.95
    assert not excludes_zero(known.differences[0])
    assert known.clusters == 6
    assert known.sentence == (
        "Over 60 takes against 60, this cannot tell which is better. With 6 prompts or systems on "
        "a side intervals and probabilities are rough."
    )
    half = compare_takes(labelled(a, 6, 10), b, COLUMNS[:1], paired=False)
    assert half.clusters is None, "takes without a prompt cannot be resampled by it"


def test_a_side_against_itself_is_even_and_cannot_be_told() -> None:
    base = rows(songs(20))
    paired = compare_takes(base, base, COLUMNS, paired=True)
    assert [d.probability for d in paired.differences] == [0.5, 0.5]
    assert "cannot tell" in paired.sentence
    apart = compare_takes(base, base, COLUMNS, paired=False)
    assert apart.differences[0].probability == pytest.approx(0.5, abs=0.03)
    assert "cannot tell" in apart.sentence
    assert apart.as_json()["differences"][0]["probability"] == apart.differences[0].probability


def test_ratings_of_two_songs_are_as_probable_as_the_calibration_says() -> None:
    told = compare_takes(rows([3.0]), rows([3.5]), COLUMNS, paired=False, probabilities=[0.97, 0.6])
    assert [d.probability for d in told.differences] == [0.97, 0.6]
    assert told.sentence == (
        "B scores clearly higher in Clarity; cannot tell in the mean. A single take has no "
        "interval: this holds for these files and no others."
    )
