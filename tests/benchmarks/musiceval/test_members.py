"""The control permutes prompts and nothing else, and a target that is missed is reported so."""

from pathlib import Path

import pytest
import torch

from benchmarks.musiceval.members import ENSEMBLE, HeldOut, main, make_runs, measure, targets
from benchmarks.musiceval.members import QUICK as SIZE
from musiceval_task.training.members import MEMBERS

MEMBER = {"impression LCC": 0.8, "alignment LCC": 0.6, "impression system SRCC": 0.9}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.mark.slow
def test_quick_run_has_a_row_for_each_member_and_the_ensemble(work: Path, capsys) -> None:
    report = measure(True, work)
    assert [row[""] for row in report.rows] == [*MEMBERS, ENSEMBLE]
    assert not capsys.readouterr().out  # the report alone goes to standard output
    assert main("musiceval.members", lambda quick: report, ["--json"]) == 0


@pytest.mark.slow
def test_what_the_folder_holds_is_not_made_again(work: Path) -> None:
    runs = make_runs(work, SIZE)
    made = {run: (run / "model.safetensors").stat().st_mtime_ns for run in runs.values()}
    make_runs(work, SIZE)
    assert made == {run: (run / "model.safetensors").stat().st_mtime_ns for run in runs.values()}


@pytest.mark.slow
def test_the_control_permutes_prompts_and_nothing_else(work: Path) -> None:
    held_out = HeldOut(work, make_runs(work, SIZE))
    permuted = held_out.permuted(0)
    for before, after in zip(held_out.examples, permuted, strict=True):
        assert torch.equal(after.audio, before.audio)
        assert after.scores == before.scores

    def key(text: torch.Tensor) -> bytes:
        return text.numpy().tobytes()

    texts, moved = ([key(e.text) for e in part] for part in (held_out.examples, permuted))
    assert texts != moved
    assert sorted(texts) == sorted(moved)


@pytest.mark.parametrize(
    ("ensemble", "control", "missed"),
    [
        ({}, 0.0, 0),
        ({"impression system SRCC": 0.84}, 0.0, 1),
        ({"alignment LCC": 0.49}, 0.0, 2),  # also below the median member
        ({"impression LCC": 0.79}, 0.0, 1),
        ({}, 0.11, 1),
        ({}, -0.11, 1),
    ],
)
def test_a_missed_target_says_so(ensemble: dict, control: float, missed: int) -> None:
    figures = dict.fromkeys(MEMBERS, MEMBER) | {ENSEMBLE: MEMBER | ensemble}
    reached = targets(figures, {ENSEMBLE: control})
    assert list(reached.values()).count(False) == missed
