"""Predictions survive their files; a file that is something else is one message."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import PREFIX, MusicEvalClip
from musiceval_task.predictions import ClipPredictions, read_predictions, write_predictions
from musiceval_task.scale import TARGETS

NAN = float("nan")
RELEASED_FIELDS = ["wavname_with_ext"]
RELEASED_FIELDS += [f"{target}_{kind}" for target in TARGETS for kind in ("score", "dist")]
NAMES = tuple(f"{PREFIX}S00{system}_P001.wav" for system in (1, 2, 3))


def predictions(distributions: bool = True) -> ClipPredictions:
    rng = np.random.default_rng(0)
    truth = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.5]])
    dist = rng.dirichlet(np.ones(20), (3, 2)) if distributions else None
    systems, splits = ("S001", "S002", "S003"), ("inner", "test", "dev")
    return ClipPredictions(NAMES, systems, splits, 1 + 4 * rng.random((3, 2)), truth, dist)


def assert_equal(found: ClipPredictions, expected: ClipPredictions, tolerance: float = 0.0) -> None:
    assert (found.clips, found.systems) == (expected.clips, expected.systems)
    np.testing.assert_allclose(found.scores, expected.scores, atol=tolerance)
    assert (found.distributions is None) == (expected.distributions is None)
    if expected.distributions is not None:
        np.testing.assert_allclose(found.distributions, expected.distributions, atol=tolerance)


@pytest.mark.parametrize("distributions", [True, False])
def test_parquet_keeps_everything(tmp_path: Path, distributions: bool) -> None:
    expected = predictions(distributions)
    write_predictions(tmp_path / "run" / "predictions.parquet", expected)
    found = read_predictions(tmp_path / "run")
    assert_equal(found, expected)
    assert found.splits == expected.splits
    np.testing.assert_array_equal(found.truth, expected.truth)


@pytest.mark.parametrize("distributions", [True, False])
def test_the_released_format_goes_both_ways(tmp_path: Path, distributions: bool) -> None:
    expected = predictions(distributions)
    write_predictions(tmp_path / "run.pt", expected)
    rows = torch.load(tmp_path / "run.pt", weights_only=True)
    assert list(rows) == [name.removesuffix(".wav") for name in NAMES]
    for name, row in zip(NAMES, rows.values(), strict=True):
        assert list(row) == RELEASED_FIELDS
        assert row["wavname_with_ext"] == name
        assert (row["overall_dist"] is not None) == distributions
    assert_equal(read_predictions(tmp_path / "run.pt"), expected, tolerance=1e-7)


@pytest.mark.parametrize("former", [False, True])
def test_released_files_may_hold_arrays(tmp_path: Path, former: bool) -> None:
    """A dict by id is what the released code writes, a list what earlier versions wrote."""
    dist = np.full(20, 0.05, np.float32)
    rows: list | dict = [
        {
            "wavname_with_ext": NAMES[0],
            "overall_score": np.float32(3.5),
            "textual_score": torch.tensor(2.5),
            "overall_dist": dist,
            "textual_dist": dist.tolist(),
        }
    ]
    torch.save(rows if former else {"a clip": rows[0]}, tmp_path / "released.pt")
    found = read_predictions(tmp_path / "released.pt")
    assert found.scores.tolist() == [[3.5, 2.5]]
    np.testing.assert_allclose(found.distributions, 0.05, atol=1e-7)


class Bomb:
    """A pickle that would write a file where it is loaded by a trusting loader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, plain: bool) -> None:
    hit = tmp_path / "hit"
    if plain:
        (tmp_path / "bad.pt").write_bytes(pickle.dumps([Bomb(hit)], protocol=2))
    else:
        torch.save([Bomb(hit)], tmp_path / "bad.pt")
    with pytest.raises(InputError, match="not predictions in plain numbers"):
        read_predictions(tmp_path / "bad.pt")
    assert not hit.exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": 1}, "not released predictions"),
        (7, "not released predictions"),
        ({"a": {"wavname_with_ext": "a", "overall_score": None, "textual_score": 1.0}}, "released"),
        ([{"overall_score": 1.0, "textual_score": 1.0}], "wavname_with_ext"),
        ([{"wavname_with_ext": "a", "overall_score": 1.0}], "textual_score"),
        (
            [{"wavname_with_ext": "a", "overall_score": float("nan"), "textual_score": 1.0}],
            "finite",
        ),
        (2 * [{"wavname_with_ext": "a", "overall_score": 2.0, "textual_score": 1.0}], "come twice"),
    ],
)
def test_other_contents_are_one_message(tmp_path: Path, rows: object, message: str) -> None:
    torch.save(rows, tmp_path / "odd.pt")
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / "odd.pt")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("run.parquet", "scores"),
        ("run.parquet", "truth"),
        ("run.parquet", "distributions"),
        ("run.pt", "scores"),
        ("run.pt", "distributions"),
    ],
)
def test_a_number_that_is_not_finite_is_named_by_row(tmp_path: Path, field: str, name: str) -> None:
    bad = predictions()
    getattr(bad, field)[2, 1] = np.inf
    write_predictions(tmp_path / name, bad)
    with pytest.raises(
        InputError, match=rf"{name}: row 3, {NAMES[2]}: the textual .* not a finite"
    ):
        read_predictions(tmp_path / name)


def test_a_missing_or_foreign_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no predictions here"):
        read_predictions(tmp_path)
    (tmp_path / "predictions.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not predictions of this program"):
        read_predictions(tmp_path)


def test_aligning_reorders_and_never_fills_in() -> None:
    run = predictions()
    turned = run.aligned_with(run.clips[::-1])
    assert turned.clips == run.clips[::-1]
    np.testing.assert_array_equal(turned.scores, run.scores[::-1])
    with pytest.raises(InputError, match=f"1 clips differ .*{NAMES[2]}"):
        run.aligned_with(run.clips[:2])


def test_truth_can_come_from_the_data_set() -> None:
    run = predictions()
    clips = [MusicEvalClip(NAMES[1], Path("x"), "p", "B", "dev", 2.0, 3.0)]
    found = run.with_truth(clips)
    assert (found.clips, found.systems, found.splits) == ((NAMES[1],), ("B",), ("dev",))
    assert found.truth.tolist() == [[2.0, 3.0]]
    np.testing.assert_array_equal(found.scores, run.scores[1:2])
    with pytest.raises(InputError, match="1 clips were not predicted, such as other"):
        run.with_truth([MusicEvalClip("other", Path("x"), "p")])


def test_clips_of_one_id_are_not_lost_in_the_released_format(tmp_path: Path) -> None:
    found = predictions()
    twins = replace(found, clips=("a.wav", "a", "b.wav"))
    with pytest.raises(InputError, match=r"two clips differ by \.wav alone"):
        write_predictions(tmp_path / "run.pt", twins)
    assert not (tmp_path / "run.pt").exists()
