"""The figures are the published ones, over clips and over systems."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import system_of
from musiceval_task.predictions import ClipPredictions
from musiceval_task.protocol import compute_metrics
from musiceval_task.scale import TARGETS


def predictions(clips: int = 40, systems: int = 4) -> ClipPredictions:
    rng = np.random.default_rng(0)
    names = tuple(f"S{index % systems}_P{index}" for index in range(clips))
    truth = 1 + 4 * rng.random((clips, 2))
    scores = truth + rng.normal(0, 0.5, truth.shape)
    return ClipPredictions(names, tuple(n[:2] for n in names), ("test",) * clips, scores, truth)


@pytest.mark.parity
def test_figures_equal_the_published_ones(shared: Path) -> None:
    folder = shared / "golden" / "astar"
    expected = json.loads((folder / "mos_metrics.json").read_text())
    tensors = load_file(folder / "mos_scores.safetensors")
    names = tuple(expected["names"])
    columns = [
        np.stack([tensors[f"{side}_{target}"] for target in TARGETS], axis=1).astype(float)
        for side in ("pred", "true")
    ]
    run = ClipPredictions(names, tuple(map(system_of, names)), ("test",) * len(names), *columns)
    measures = compute_metrics(run)
    figures = expected["metrics"]
    compared = 0
    for target, suffix in (("overall", "o"), ("textual", "t")):
        for level, prefix in (("utterance", "utt"), ("system", "sys")):
            for metric in ("MSE", "LCC", "SRCC", "KTAU"):
                value = figures[f"{prefix}_{metric.lower()}_{suffix}"]
                found = measures[target, level, metric].value
                assert found == pytest.approx(value, rel=1e-4, abs=1e-5)
                compared += 1
    assert compared == 16


def test_every_figure_has_an_interval_around_it() -> None:
    measures = compute_metrics(predictions())
    assert len(measures) == 2 * 2 * 4
    found = measures.values()
    assert all(m.low <= m.value <= m.high for m in found if m.level == "utterance")
    assert {m.count for m in found if m.level == "system"} == {4}


def test_one_system_has_no_system_level() -> None:
    assert {key[1] for key in compute_metrics(predictions(systems=1))} == {"utterance"}


def test_clips_without_truth_are_left_out() -> None:
    run = predictions()
    run.truth[::2] = np.nan
    assert compute_metrics(run)["overall", "utterance", "LCC"].count == 20


def test_without_truth_there_is_nothing_to_compare() -> None:
    run = predictions()
    run.truth[1:] = np.nan
    with pytest.raises(InputError, match="true scores of 1 clips are known"):
        compute_metrics(run)
