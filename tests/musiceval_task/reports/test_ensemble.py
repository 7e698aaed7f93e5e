"""Ensembles: the released stacking number by number, and means that are means."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hear_aesthetics.errors import InputError
from musiceval_task.predictions import ClipPredictions
from musiceval_task.reports.answer import answer_text
from musiceval_task.reports.ensemble import combine, distributions_of, ridge_stacking
from musiceval_task.scale import TARGETS
from musiceval_task.training.loop import INNER
from musiceval_task.training.objective import as_distribution, centers

CENTERS = centers().double().numpy()
PARTS = ("val", "test")


def run(seed: int, clips: int = 30, ordinal: bool = False) -> ClipPredictions:
    """Predictions that follow the truth more or less; the first third is the inner split."""
    truth = 1 + 4 * np.random.default_rng(9).random((clips, 2))
    noise = 0.7 * np.random.default_rng(seed).standard_normal((clips, 2))
    dist = as_distribution(torch.from_numpy(np.clip(truth + noise, 1, 5))).double().numpy()
    names = tuple(f"S{index % 5:03d}_P{index:03d}" for index in range(clips))
    splits = tuple(INNER if index < clips // 3 else "test" for index in range(clips))
    systems = tuple(name[:4] for name in names)
    scores = dist @ CENTERS
    return ClipPredictions(names, systems, splits, scores, truth, None if ordinal else dist)


def dev_runs() -> list[ClipPredictions]:
    """Two runs whose first third is the dev list."""
    runs = [run(1, 90), run(2, 90)]
    splits = tuple("dev" if split == INNER else split for split in runs[0].splits)
    return [replace(one, splits=splits) for one in runs]


@pytest.mark.parity
def test_ridge_stacking_is_the_released_one_and_so_is_the_answer_file(shared: Path) -> None:
    folder = shared / "golden" / "astar"
    tensors = load_file(folder / "ensemble.safetensors")
    about = json.loads((folder / "ensemble.json").read_text())
    scores = {}
    for target in TARGETS:

        def tables(split: str, target: str = target) -> list[np.ndarray]:
            found = []
            for model in about["models"]:
                name = f"{split}.{model['id']}.{target}"
                if model["type"] == "dist":
                    found.append(tensors[f"{name}_dist"])
                else:
                    plain = torch.from_numpy(tensors[f"{name}_score"])
                    found.append(as_distribution(plain).numpy())
            return found

        if target == "overall":
            np.testing.assert_allclose(
                np.concatenate(tables("val"), axis=1), tensors["val.meta_overall"], atol=1e-5
            )
        scores[target] = ridge_stacking(
            tables("val"), tensors[f"val.true_{target}"], tables("test")
        )
        np.testing.assert_allclose(scores[target], tensors[f"test.pred_{target}"], atol=1e-5)

    released = np.stack([tensors[f"test.pred_{target}"] for target in TARGETS], axis=1)
    names = tuple(f"{name}.wav" for name in about["test_ids"])
    empty = ("",) * len(names)
    answer = ClipPredictions(names, empty, empty, released.astype(float), 0 * released)
    assert answer_text(answer).encode() == (folder / "ensemble_answer.txt").read_bytes()


@pytest.mark.parity
def test_the_released_method_fits_the_golden_dev_list(shared: Path) -> None:
    """From prediction sets to scores, by `combine`."""
    folder = shared / "golden" / "astar"
    tensors = load_file(folder / "ensemble.safetensors")
    about = json.loads((folder / "ensemble.json").read_text())
    truth = np.stack([tensors[f"val.true_{target}"] for target in TARGETS], axis=1)
    names = [f"{name}.wav" for name in (*about["val_ids"], *about["test_ids"])]
    tested = len(about["test_ids"])
    splits = ["dev"] * len(truth) + ["test"] * tested
    runs = []
    for model in about["models"]:

        def both(kind: str, name: str = model["id"]) -> np.ndarray:
            parts = [
                np.concatenate([tensors[f"{part}.{name}.{target}_{kind}"] for part in PARTS])
                for target in TARGETS
            ]
            return np.stack(parts, axis=1).astype(np.float64)

        dist = both("dist") if model["type"] == "dist" else None
        scores = both("score") if dist is None else dist @ CENTERS
        known = np.concatenate([truth, np.full((tested, 2), np.nan)])
        systems = tuple("S" for _ in names)
        runs.append(ClipPredictions(tuple(names), systems, tuple(splits), scores, known, dist))
    found = combine(runs, "released").of_split("test").scores
    expected = np.stack([tensors[f"test.pred_{target}"] for target in TARGETS], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_lightgbm_is_the_released_regressor() -> None:
    """Against its scikit-learn interface with the released arguments."""
    lightgbm = pytest.importorskip("lightgbm", reason="needs the extra boost")
    runs = dev_runs()
    known, tables = runs[0].of_split("dev"), [distributions_of(r)[:, 0] for r in runs]
    features = np.concatenate(tables, axis=1).astype(np.float32)
    there = np.array(runs[0].splits) == "dev"
    released = lightgbm.LGBMRegressor(random_state=42)
    released.fit(features[there], known.truth[:, 0].astype(np.float32))
    expected = np.clip(released.booster_.predict(features), 1, 5)
    found = combine(runs, "released", "lightgbm").scores[:, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_lightgbm_is_fitted_on_dev_with_the_released_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in that answers beyond the scale records what it is given."""
    given: list[tuple] = []

    class Booster:
        def predict(self, features: np.ndarray) -> np.ndarray:
            return np.linspace(0, 6, len(features))

    def train(options: dict, data: tuple, num_boost_round: int) -> Booster:
        given.append((options, *data, num_boost_round))
        return Booster()

    fake = SimpleNamespace(Dataset=lambda features, truth: (features, truth), train=train)
    monkeypatch.setitem(sys.modules, "lightgbm", fake)
    runs = dev_runs()
    scores = combine(runs, "released", "lightgbm").scores
    assert (scores.min(), scores.max()) == (1, 5)
    known = runs[0].of_split("dev").truth
    for column, (options, features, truth, rounds) in enumerate(given):
        assert (options["seed"], options["objective"], rounds) == (42, "regression", 100)
        assert features.dtype == truth.dtype == np.float32
        assert features.shape == (len(known), 2 * 20)
        np.testing.assert_allclose(truth, known[:, column])


def test_without_lightgbm_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(InputError, match=r"pip install 'hear-aesthetics\[boost\]'"):
        combine(dev_runs(), "released", "lightgbm")


def test_the_released_method_needs_scores_of_the_dev_list() -> None:
    with pytest.raises(InputError, match=r"fitted on the dev list, .* --dev and --truth"):
        combine([run(1), run(2)], "released")


def test_mean_of_scores_is_one() -> None:
    runs = [run(1), run(2), run(3, ordinal=True)]
    combined = combine(runs, "scores")
    np.testing.assert_allclose(combined.scores, np.mean([r.scores for r in runs], axis=0))


def test_mean_of_distributions_is_one_and_scores_are_its_mean() -> None:
    runs = [run(1), run(2), run(3, ordinal=True)]
    combined = combine(runs, "distributions")
    expected = np.mean([distributions_of(r) for r in runs], axis=0)
    np.testing.assert_allclose(combined.distributions, expected)
    np.testing.assert_allclose(combined.scores, expected @ CENTERS)


def test_a_run_without_distributions_stands_in_with_a_gaussian() -> None:
    plain = run(3, ordinal=True)
    expected = as_distribution(torch.from_numpy(plain.scores)).double().numpy()
    np.testing.assert_allclose(distributions_of(plain), expected)


def test_stacking_is_fitted_on_the_inner_split_alone() -> None:
    runs = [run(1), run(2)]
    spoilt = []
    for one in runs:
        truth = one.truth.copy()
        truth[10:] = 1.0  # of the test clips: must not be looked at
        spoilt.append(ClipPredictions(**{**vars(one), "truth": truth}))
    np.testing.assert_array_equal(combine(runs, "ridge").scores, combine(spoilt, "ridge").scores)
    scores = combine(runs, "ridge").scores
    assert scores.min() >= 1
    assert scores.max() <= 5


def test_runs_may_list_their_clips_in_any_order() -> None:
    first, second = run(1), run(2)
    turned = second.aligned_with(second.clips[::-1])
    np.testing.assert_allclose(
        combine([first, turned], "scores").scores, combine([first, second], "scores").scores
    )


def test_runs_of_different_clips_are_an_error_and_never_filled_in() -> None:
    with pytest.raises(InputError, match="run 2: 10 clips differ"):
        combine([run(1, 30), run(2, 20)])


def test_without_an_inner_split_there_is_nothing_to_fit_on() -> None:
    with pytest.raises(InputError, match="fitted on the inner split"):
        combine([run(1).of_split("test")], "ridge")


def test_wrong_usage_is_one_message() -> None:
    with pytest.raises(InputError, match="choose one of: scores, distributions, ridge"):
        combine([run(1)], "median")
    with pytest.raises(
        InputError, match="unknown regressor 'tree'; choose one of: ridge, lightgbm"
    ):
        combine([run(1)], "released", "tree")
    with pytest.raises(InputError, match="method ridge takes no regressor lightgbm"):
        combine([run(1)], "ridge", "lightgbm")
    with pytest.raises(InputError, match="no runs"):
        combine([])
