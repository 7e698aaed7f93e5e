"""C-Mixup: the partner distribution, the draws, and the mixing."""

import pytest
import torch
from safetensors.torch import load_file

from heads.objectives.cmixup import CMixupSampler, mix, mix_factor

DRAWS = 20_000


@pytest.fixture
def augmented_songs():
    """Three copies each of 20 songs, and one song whose labels are far from all others."""
    generator = torch.Generator().manual_seed(0)
    labels = 1 + 4 * torch.rand(21, 2, generator=generator)
    labels[20] = 12.0
    return labels.repeat_interleave(3, 0), torch.arange(21).repeat_interleave(3)


def empirical(sampler, row, draws=DRAWS):
    generator = torch.Generator().manual_seed(row)
    drawn = sampler.draw(torch.full((draws,), row), generator)
    return torch.bincount(drawn, minlength=len(sampler)).double() / draws


@pytest.mark.parity
@pytest.mark.parametrize("case", ["two_labels", "one_label", "single_group"])
def test_probabilities_match_the_published_matrix(shared, case):
    cases = load_file(shared / "golden" / "cmixup" / "cases.safetensors")
    sampler = CMixupSampler(cases[f"{case}.labels"], cases[f"{case}.group"])
    rows = torch.stack([sampler.probabilities(i) for i in range(len(sampler))])
    expected = cases[f"{case}.probabilities"].double()
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-7)


def test_probabilities_are_the_closed_form(augmented_songs):
    labels, groups = augmented_songs
    sampler = CMixupSampler(labels, groups, bandwidth=0.5)
    kernel = torch.exp(-(labels - labels[4]).double().square().sum(1) / (2 * 0.5**2))
    kernel[groups == groups[4]] = 0
    torch.testing.assert_close(sampler.probabilities(4), kernel / kernel.sum())


@pytest.mark.parametrize("row", [0, 17, 62])  # the last is the outlier: no proposal is accepted
def test_draws_follow_the_probabilities(augmented_songs, row):
    sampler = CMixupSampler(*augmented_songs)
    expected = sampler.probabilities(row)
    frequency = empirical(sampler, row)
    standard_error = (expected * (1 - expected) / DRAWS).sqrt()
    assert ((frequency - expected).abs() <= 5 * standard_error + 1e-12).all()


def test_partners_are_never_the_same_song(augmented_songs):
    labels, groups = augmented_songs
    for bandwidth in (0.01, 1.0):  # at 0.01 nearly every row takes the exact route
        sampler = CMixupSampler(labels, groups, bandwidth)
        rows = torch.arange(len(groups)).repeat(50)
        assert (groups[sampler.draw(rows)] != groups[rows]).all()


def test_same_seed_gives_the_same_partners(augmented_songs):
    sampler = CMixupSampler(*augmented_songs)
    rows = torch.arange(len(sampler))
    first, again, other = (
        sampler.draw(rows, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_underflow_falls_back_to_all_other_songs():
    labels = torch.tensor([[1.0], [1.0], [1e3], [2e3]])
    sampler = CMixupSampler(labels, ["a", "a", "b", "c"])
    assert sampler.probabilities(2).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    assert sampler.probabilities(0).tolist() == [0, 0, 0.5, 0.5]


def test_a_single_song_falls_back_to_every_row():
    sampler = CMixupSampler(torch.tensor([[1.0], [5.0]]), ["song", "song"])
    assert sampler.probabilities(0).tolist() == [0.5, 0.5]
    assert set(sampler.draw(torch.zeros(64, dtype=torch.long)).tolist()) == {0, 1}


def test_partners_keep_the_shape_of_the_indices(augmented_songs):
    sampler = CMixupSampler(*augmented_songs)
    assert sampler.draw(torch.zeros(2, 3, dtype=torch.long)).shape == (2, 3)
    assert sampler.draw(torch.zeros(0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize(
    ("labels", "groups", "bandwidth", "message"),
    [
        (torch.zeros(3, 2), [0, 1], 1.0, r"shape \(3, 2\) and 2 groups"),
        (torch.zeros(3), [0, 1, 2], 1.0, "labels must be"),
        (torch.tensor([[float("nan")]]), [0], 1.0, "NaN"),
        (torch.zeros(2, 1), [0, 1], 0.0, "bandwidth must be positive"),
    ],
)
def test_unusable_labels_are_refused(labels, groups, bandwidth, message):
    with pytest.raises(ValueError, match=message):
        CMixupSampler(labels, groups, bandwidth)


@pytest.mark.parametrize("alpha", [1, 2, 5])
def test_mix_factor_follows_the_beta_distribution(alpha):
    generator = torch.Generator().manual_seed(0)
    factors = mix_factor(100_000, generator, alpha=alpha, per_sample=True)
    variance = 1 / (4 * (2 * alpha + 1))
    assert factors.mean().item() == pytest.approx(0.5, abs=5 * (variance / 1e5) ** 0.5)
    assert factors.var().item() == pytest.approx(variance, rel=0.03)
    assert factors.min() >= 0
    assert factors.max() <= 1


def test_one_factor_serves_the_batch_unless_asked_otherwise():
    generator = torch.Generator().manual_seed(3)
    assert len(mix_factor(16, generator).unique()) == 1
    assert len(mix_factor(16, generator, per_sample=True).unique()) == 16


def test_mix_weighs_each_pair_by_its_factor():
    first, second = torch.ones(2, 3), torch.zeros(2, 3)
    mixed = mix(first, second, torch.tensor([0.3, 1.0]))
    torch.testing.assert_close(mixed, torch.tensor([[0.3] * 3, [1.0] * 3]))


def test_mixing_refuses_what_does_not_pair():
    with pytest.raises(ValueError, match="one factor per pair"):
        mix(torch.ones(2, 3), torch.ones(2, 3), torch.tensor([0.3]))
    with pytest.raises(ValueError, match="alpha must be a positive integer"):
        mix_factor(4, alpha=0)
