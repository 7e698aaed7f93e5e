"""The metrics agree with scipy, the golden values and, with weights, plain repetition."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy import stats

from hear_aesthetics import metrics

CORRELATIONS = {
    "LCC": (metrics.lcc, stats.pearsonr),
    "SRCC": (metrics.srcc, stats.spearmanr),
    "KTAU": (metrics.ktau, stats.kendalltau),
}
THRESHOLDS = {
    "Coherence": 4.0,
    "Musicality": 4.0,
    "Memorability": 3.75,
    "Clarity": 3.75,
    "Naturalness": 4.0,
}


@pytest.fixture
def scores():
    """Predictions and targets (60, 3) with ties in both."""
    generator = np.random.default_rng(1)
    target = generator.uniform(1, 5, (60, 3)).round(1)
    return (target + generator.normal(0, 0.7, (60, 3))).round(1), target


@pytest.mark.parametrize("name", CORRELATIONS)
def test_correlation_equals_scipy_per_dimension(scores, name):
    ours, scipys = CORRELATIONS[name]
    expected = [scipys(p, t)[0] for p, t in zip(scores[0].T, scores[1].T, strict=True)]
    np.testing.assert_allclose(ours(*scores), expected, atol=1e-12)


@pytest.mark.parametrize("name", CORRELATIONS)
@pytest.mark.parametrize("bad", [3.3, np.nan, np.inf])
def test_constant_or_nonfinite_column_counts_zero_and_leaves_the_others(scores, name, bad):
    ours, _ = CORRELATIONS[name]
    preds = scores[0].copy()
    preds[:, 1] = 3.3  # its mean over 60 is not 3.3 in floating point
    preds[5, 1] = bad
    values = ours(preds, scores[1])
    assert values[1] == 0
    np.testing.assert_allclose(values[[0, 2]], ours(*scores)[[0, 2]], rtol=0, atol=1e-12)


def test_mse_is_the_mean_of_squares(scores):
    np.testing.assert_allclose(metrics.mse(*scores), ((scores[0] - scores[1]) ** 2).mean(0))


def test_top_tier_f1_is_inclusive_and_zero_without_true_positive():
    values = metrics.top_tier_f1(
        [[4.0, 3.0], [3.9, 5.0], [4.2, 1.0]], [[4.0, 5.0], [4.0, 3.0], [3.0, 3.0]], (4.0, 4.0)
    )
    np.testing.assert_allclose(values, [0.5, 0.0])


def test_tensors_of_any_precision_and_single_columns_are_accepted(scores):
    preds, target = (torch.tensor(s).bfloat16().requires_grad_() for s in scores)
    expected = metrics.srcc(preds.detach().double().numpy(), target.detach().double().numpy())
    np.testing.assert_array_equal(metrics.srcc(preds, target), expected)
    np.testing.assert_allclose(
        metrics.srcc(preds[:, 0], target[:, 0]), expected[:1], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("preds", "target", "message"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), r"\(4, 2\) and targets \(4, 3\)"),
        (np.zeros((4, 2)), np.zeros((3, 2)), r"\(4, 2\) and targets \(3, 2\)"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "1 song is not enough"),
    ],
)
@pytest.mark.parametrize("metric", [metrics.lcc, metrics.srcc, metrics.ktau, metrics.mse])
def test_mismatched_or_too_few_songs_are_refused(metric, preds, target, message):
    with pytest.raises(ValueError, match=message):
        metric(preds, target)


def test_number_of_thresholds_must_fit(scores):
    with pytest.raises(ValueError, match="2 top-tier thresholds for 3 dimensions"):
        metrics.top_tier_f1(*scores, (4.0, 3.75))


def test_system_means_tie_whatever_the_order_of_summation():
    values = np.float32([0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 2.0])
    means, names = metrics.system_means(values, ["b", "b", "b", "a", "a", "a", "c"])
    assert names == ["a", "b", "c"]
    assert means[0] == means[1] == 0.2
    with pytest.raises(ValueError, match="7 songs but 1 system"):
        metrics.system_means(values, ["a"])


@pytest.mark.parametrize(
    "metric",
    [
        metrics.lcc,
        metrics.srcc,
        metrics.ktau,
        metrics.mse,
        partial(metrics.top_tier_f1, thresholds=3.5),
    ],
)
def test_weights_equal_repeating_the_drawn_songs(scores, metric):
    counts = np.random.default_rng(2).multinomial(60, [1 / 60] * 60, 20).astype(float)
    counts[0] = 0
    counts[0, 7] = 60  # one song, sixty times: no spread
    expected = metrics.by_resampling(metric)(*scores, weights=counts)
    np.testing.assert_allclose(metric(*scores, weights=counts), expected, atol=1e-12)


@pytest.mark.parity
def test_challenge_metrics_equal_the_golden_values(golden):
    cases = load_file(golden / "metrics/cases.safetensors")
    expected = json.loads((golden / "metrics/expected.json").read_text())
    assert expected
    for name, case in expected.items():
        preds, target = cases[f"{name}.y_pred"], cases[f"{name}.y_true"]
        dimensions = [d for d in case["unrounded"] if d != "mean"]
        thresholds = [THRESHOLDS[d] for d in dimensions]
        ours = {key: metric(preds, target) for key, (metric, _) in CORRELATIONS.items()}
        ours["TTA"] = metrics.top_tier_f1(preds, target, thresholds)
        for key, values in ours.items():
            got = dict(zip(dimensions, values, strict=True), mean=values.mean())
            for dimension, golden_values in case["unrounded"].items():
                want = golden_values[key]
                np.testing.assert_allclose(got[dimension], want, rtol=1e-5, atol=1e-6)
            for dimension, golden_values in case["result"].items():
                assert round(got[dimension], 3) == pytest.approx(golden_values[key], abs=1e-9)


@pytest.mark.parity
def test_mos_metrics_equal_the_golden_values(shared):
    folder = shared / "golden/astar"
    tensors = load_file(folder / "mos_scores.safetensors")
    expected = json.loads((folder / "mos_metrics.json").read_text())
    prefix = "audiomos2025-track1-"
    systems = [name.removeprefix(prefix).split("_")[0] for name in expected["names"]]
    preds, target = (
        np.stack([tensors[f"{side}_overall"], tensors[f"{side}_textual"]], axis=1)
        for side in ("pred", "true")
    )
    system_preds, names = metrics.system_means(preds, systems)
    system_target, _ = metrics.system_means(target, systems)
    assert len(names) == expected["n_systems"]
    levels = {"utt": (preds, target), "sys": (system_preds, system_target)}
    for level, sides in levels.items():
        for name in ("mse", "lcc", "srcc", "ktau"):
            want = [expected["metrics"][f"{level}_{name}_{suffix}"] for suffix in "ot"]
            ours = getattr(metrics, name)(*sides)
            np.testing.assert_allclose(ours, want, rtol=1e-4, atol=1e-5)
