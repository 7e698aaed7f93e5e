import numpy as np
import pytest

from hear_aesthetics.synthesis.composition.qualities import (
    QUALITIES,
    Generator,
    Qualities,
    even_draws,
    make_generators,
    sample_qualities,
    stream,
)


def _population(count: int, generator: Generator | None = None) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([sample_qualities(rng, generator).as_array() for _ in range(count)])


def test_the_order_is_that_of_the_published_dimensions() -> None:
    assert QUALITIES == ("coherence", "musicality", "memorability", "clarity", "naturalness")


def test_degree_maps_one_to_five_onto_zero_to_one() -> None:
    qualities = Qualities(1.0, 2.0, 3.0, 4.0, 5.0)
    assert [qualities.degree(name) for name in QUALITIES] == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("value", [0.99, 5.01, float("nan")])
def test_a_quality_outside_its_range_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=r"clarity is .*, expected a value between 1 and 5"):
        Qualities(clarity=value)


def test_sampled_qualities_are_uniform_and_partly_correlated() -> None:
    values = _population(4000)
    assert values.mean(axis=0) == pytest.approx(3.0, abs=0.1)
    assert values.std(axis=0) == pytest.approx(4 / np.sqrt(12), abs=0.05)
    pairs = np.corrcoef(values.T)[np.triu_indices(5, 1)]
    assert pairs.min() > 0.4
    assert pairs.max() < 0.6


def test_a_generator_shifts_what_it_is_good_or_bad_at() -> None:
    shift = _population(800, Generator("S001", (1.0, 0, 0, 0, -1.0))) - _population(800)
    means = shift.mean(axis=0)
    assert means[0] > 0.5
    assert means[4] < -0.5
    assert means[1:4] == pytest.approx(0.0, abs=1e-9)


def test_generators_are_reproducible_and_differ() -> None:
    generators = make_generators(8, seed=1)
    assert generators == make_generators(8, seed=1)
    assert len({generator.offsets for generator in generators}) == 8
    assert [generator.name for generator in generators][:2] == ["S001", "S002"]


def test_even_draws_hit_every_share_almost_exactly() -> None:
    draws = even_draws(np.random.default_rng(0), 20)
    for share in (0.1, 0.45, 0.8):
        assert np.mean(draws < share) == pytest.approx(share, abs=1 / 20)


def test_streams_of_one_seed_are_independent_of_each_other() -> None:
    first = stream(3, "hook A").random(4)
    assert np.array_equal(first, stream(3, "hook A").random(4))
    assert not np.array_equal(first, stream(3, "hook B").random(4))
    assert not np.array_equal(first, stream(4, "hook A").random(4))
