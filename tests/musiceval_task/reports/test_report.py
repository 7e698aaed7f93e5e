"""The report: tables with intervals, what predicted intervals are worth, pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import image

from hear_aesthetics.plotting.style import WIDTH
from musiceval_task.predictions import ClipPredictions
from musiceval_task.reports.report import write_report
from musiceval_task.training.objective import as_distribution


def run(seed: int, noise: float, distributions: bool = True) -> ClipPredictions:
    rng = np.random.default_rng(0)
    names = tuple(f"S{index % 6:03d}_P{index}" for index in range(60))
    truth = 1 + 4 * rng.random((60, 2))
    noisy = truth + np.random.default_rng(seed).normal(0, noise, truth.shape)
    scores = np.clip(noisy, 1, 5)
    dist = as_distribution(torch.from_numpy(scores)).double().numpy() if distributions else None
    return ClipPredictions(names, tuple(n[:4] for n in names), ("test",) * 60, scores, truth, dist)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "new"
    write_report(
        folder, {"good": run(1, 0.2), "bad": run(2, 1.5, distributions=False)}, data="test"
    )
    return folder


def test_the_tables_hold_every_run_with_its_intervals(report: Path) -> None:
    text = (report / "report.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| good |")]
    assert len(rows) == 5  # two scores at two levels, and the intervals
    missing = [row.count(" (interval not estimable)") for row in rows[:4]]
    assert [row.count(" to ") + none for row, none in zip(rows, missing, strict=False)] == [4] * 4
    assert sum(missing) < 4  # at most rank correlations of 1
    assert "System level (6):" in text
    assert "Utterance level (60):" in text


def test_predicted_intervals_are_compared_with_the_truth(report: Path) -> None:
    section = (report / "report.md").read_text().split("## Predicted uncertainty")[1]
    (row,) = [line for line in section.splitlines() if line.startswith("| good |")]
    assert float(row.split("|")[2]) > 0.85  # the truth lies 0.2 off, the Gaussians are 0.35 wide
    assert "| bad |" not in section


def test_figures_are_there_for_programs_too(report: Path) -> None:
    figures = json.loads((report / "metrics.json").read_text())
    assert set(figures) == {"good", "bad"}
    assert len(figures["good"]) == 16


def test_pictures_fit_a_column_and_no_text_covers_another(
    tmp_path: Path, saved_figures, check_layout
) -> None:
    write_report(tmp_path, {"good": run(1, 0.2), "bad": run(2, 1.5)}, data="test")
    assert len(saved_figures) == 3
    for figure in saved_figures:
        assert figure.get_figwidth() <= WIDTH
        check_layout(figure)


@pytest.mark.parametrize("name", ["good", "bad", "runs"])
def test_pictures_show_something(report: Path, name: str) -> None:
    pixels = image.imread(report / f"{name}.png")
    assert min(pixels.shape[:2]) > 300
    assert pixels[..., :3].std() > 0.03
    assert f"({name}.png)" in (report / "report.md").read_text()
