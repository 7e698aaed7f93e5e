"""``--protocol official`` finds what heareval finds: grid point, epochs, scores, predictions.

Both evaluate copies of the same stored embeddings of real recordings, on one thread, side by side.
Where the processor is of the kind that made the stored results, those are found too.
"""

import json
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from hear_aesthetics.evaluation import evaluate_embeddings
from hear_aesthetics.evaluation.embeddings.rows import write_rows

pytestmark = pytest.mark.official_kit

SPOKEN, COMMANDS = "spoken_digit-1.0.9-small", "speech_commands-v0.0.2-small"
POOLED, FSDD = "speech_commands_pooled-1.0.0-small", "fsdd_digit-1.0.0-full"
EVENTS = "digit_command_events-1.0.0-full"
SLOW = pytest.mark.slow
CASES = [
    pytest.param(POOLED, "faster", 8, id="pooled"),
    pytest.param(SPOKEN, "faster", 8, id="spoken"),
    pytest.param(FSDD, "faster", 8, id="fsdd"),
    pytest.param(EVENTS, "faster", 8, id="events"),
    pytest.param(COMMANDS, "faster", 8, marks=SLOW, id="commands"),
    pytest.param(POOLED, "default", 8, marks=SLOW, id="pooled default"),
    pytest.param(SPOKEN, "default", 8, marks=SLOW, id="spoken default"),
    pytest.param(EVENTS, "default", 1, marks=SLOW, id="events default"),
]
UNEQUAL = {"time_in_min", "time_in_min_mean", "time_in_min_std"}
CHOSEN = ("hidden_layers", "hidden_dim", "lr", "patience", "max_epochs", "batch_size")


@pytest.fixture(autouse=True)
def one_thread():
    """The number of threads is part of heareval's result."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def unpacked(stored: Path, task: str, parent: Path) -> Path:
    """The embedding folder of a task, below ``parent``."""
    parent.mkdir(exist_ok=True)
    with tarfile.open(stored / f"{task}.tar.gz") as archive:
        archive.extractall(parent, filter="data")
    return parent / task


def assert_alike(ours: dict, theirs: dict) -> None:
    """Every number of the scores files, and what was chosen."""
    assert {k: ours["hparams"][k] for k in CHOSEN} == {k: theirs["hparams"][k] for k in CHOSEN}
    for key in ("postprocessing", "score_mode"):
        assert ours[key] == theirs[key]
    runs = [key for key, value in theirs.items() if isinstance(value, dict) and key != "hparams"]
    assert runs
    for run in runs:
        assert set(ours[run]) == set(theirs[run])
        for name in set(theirs[run]) - UNEQUAL:
            expected = pytest.approx(theirs[run][name], abs=1e-6, nan_ok=True)
            assert ours[run][name] == expected, f"{run}: {name}"


@pytest.mark.parametrize(("task", "grid", "points"), CASES)
def test_the_same_point_epochs_scores_and_predictions(
    kit, shared: Path, tmp_path: Path, task: str, grid: str, points: int
) -> None:
    stored = shared / "hear/embeddings_melstats"
    folder = unpacked(stored, task, tmp_path / "ours")
    copy = shutil.copytree(folder, tmp_path / "theirs" / task)
    theirs = kit.predict(copy, grid=grid, grid_points=points)
    ours = evaluate_embeddings(folder, protocol="official", grid=grid, grid_points=points).scores
    assert_alike(ours, theirs)
    for path in sorted(copy.glob("*.predictions.pkl")):
        expected, found = (pickle.loads(p.read_bytes()) for p in (path, folder / path.name))
        for name in ("target", "prediction", "prediction_logit"):
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)


def test_d_prime_is_kept_in_float64(kit, scene_task: Path, tmp_path: Path) -> None:
    """It selects and is reported unrounded; the other scores are float32 in heareval's log."""
    (source,) = scene_task.iterdir()
    folder = shutil.copytree(source, tmp_path / "ours" / source.name)
    metadata = json.loads((folder / "task_metadata.json").read_text())
    metadata["evaluation"] = ["d_prime", "aucroc", "mAP"]
    (folder / "task_metadata.json").write_text(json.dumps(metadata))
    labels = ["clicks", "noise", "tone"]
    generator = np.random.default_rng(0)
    for split, rows in {"train": 60, "valid": 40, "test": 40}.items():
        classes = generator.integers(3, size=rows)
        noisy = np.eye(3)[classes] + generator.normal(size=(rows, 3))
        write_rows(folder, split, [noisy], [[labels[index]] for index in classes])
    copy = shutil.copytree(folder, tmp_path / "theirs" / source.name)
    theirs = kit.predict(copy)["test"]
    ours = evaluate_embeddings(folder, protocol="official", grid="faster", grid_points=1).scores
    for name in ("test_d_prime", "test_score", "validation_score"):
        assert theirs[name] != float(np.float32(theirs[name]))
        assert ours["test"][name] == pytest.approx(theirs[name], rel=1e-14, abs=0)
    for name in ("test_aucroc", "test_mAP", "test_loss"):
        assert theirs[name] == float(np.float32(theirs[name]))
        assert ours["test"][name] == theirs[name]


@pytest.mark.parametrize("task", [POOLED, SPOKEN, FSDD, EVENTS, COMMANDS])
def test_the_stored_official_results(kit, shared: Path, tmp_path: Path, task: str) -> None:
    stored = shared / "hear/embeddings_melstats"
    expected = json.loads((stored / f"{task}.faster.json").read_text())
    folder = unpacked(stored, task, tmp_path / "ours")
    ours = evaluate_embeddings(folder, protocol="official", grid="faster").scores
    try:
        assert_alike(ours, expected)
    except AssertionError:
        theirs = kit.predict(
            unpacked(stored, task, tmp_path / "theirs"), grid="faster", grid_points=8
        )
        assert_alike(ours, theirs)
        pytest.skip("another processor made the stored results: heareval here agrees with ours")
