"""``hear-aesthetics calibrate`` and the intervals that ``score`` then gives."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from songeval_task.scoring.head_scorers import BUNDLED
from songeval_task.uncertainty.calibration import read_calibration

NAMES = ["Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"]
SONGS = 52
MINI = ("--model", "mini")


@pytest.fixture(scope="module")
def rated(tmp_path_factory, write_clip) -> Path:
    """A table of rated songs, of which one has no rating and one no audio."""
    folder = tmp_path_factory.mktemp("rated")
    rng = np.random.default_rng(0)
    lines = [["path", *NAMES, "system"]]
    for number in range(SONGS + 1):
        write_clip(folder / f"{number}.wav", seed=number)
        lines.append([f"{number}.wav", *rng.uniform(1, 5, 5).round(2), f"S{number % 3}"])
    lines.append(["silent.wav", *[""] * 5, "S0"])
    (folder / f"{SONGS}.wav").write_bytes(b"")
    with (folder / "ratings.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder / "ratings.csv"


@pytest.fixture(scope="module")
def calibration(rated, tmp_path_factory) -> Path:
    """The demo head's, made by a process of its own."""
    path = tmp_path_factory.mktemp("calibrated") / "demo.json"
    line = [sys.executable, "-m", "hear_aesthetics", "calibrate", rated, *MINI, "--out", path]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 3, "two songs were left out"
    assert "silent.wav has no rating" in done.stderr
    assert f"{SONGS}.wav: an empty file" in done.stderr
    assert [p.name for p in path.parent.iterdir()] == ["demo.json"]
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_calibration_is_of_the_scores_that_score_gives(command, calibration, rated) -> None:
    found = read_calibration(calibration)
    assert len(found.preds) == SONGS
    assert set(found.systems) == {"S0", "S1", "S2"}
    row = rows_of(command("score", rated.with_name("0.wav"), *MINI).out)[0]
    expected = [float(row[name]) for name in [*NAMES, "mean"]]
    np.testing.assert_allclose(found.preds[0], expected, atol=2e-3)  # bfloat16 or batches
    with rated.open() as file:
        ratings = [float(next(csv.DictReader(file))[name]) for name in NAMES[:1]]
    assert found.target[0, 0] == ratings[0]


def test_calibrated_scores_have_intervals_and_others_none(command, calibration, rated) -> None:
    song = rated.with_name("3.wav")
    plain = command("score", song, *MINI)
    assert not [name for name in rows_of(plain.out)[0] if name.endswith(("_low", "_high"))]
    assert any("no intervals" in n and "hear-aesthetics calibrate" in n for n in plain.notes)
    outcome = command("score", song, *MINI, "--calibration", calibration)
    assert not any("no intervals" in note for note in outcome.notes)
    (row,) = rows_of(outcome.out)
    for name in [*NAMES, "mean"]:
        low, score, high = (float(row[name + end]) for end in ("_low", "", "_high"))
        assert 1 <= low < score < high <= 5
    assert 0 <= float(row["novelty"]) <= 100
    narrow = rows_of(
        command("score", song, *MINI, "--calibration", calibration, "--coverage", 0.5).out
    )[0]
    assert float(narrow["mean_high"]) < float(row["mean_high"])


def test_too_high_a_coverage_for_the_songs_leaves_intervals_empty(
    command, calibration, rated
) -> None:
    outcome = command(
        *("score", rated.with_name("3.wav"), *MINI, "--json"),
        *("--calibration", calibration, "--coverage", 0.99),
    )
    assert any(
        "52 calibration songs promise no coverage of 0.99, which takes 99" in n
        for n in outcome.notes
    )
    (row,) = json.loads(outcome.out)
    assert row["Clarity_low"] is None
    assert row["Clarity_high"] is None


def test_scores_of_another_calibration_are_not_mixed_in(
    command, calibration, rated, tmp_path
) -> None:
    out = tmp_path / "o.csv"
    song = rated.with_name("1.wav")
    assert command("score", song, *MINI, "--out", out).code == 0
    outcome = command("score", song, *MINI, "--out", out, "--calibration", calibration)
    assert outcome.code == 2
    assert "calibrations" in outcome.errors[-1]
    again = ("score", song, *MINI, "--out", out, "--calibration", calibration, "--overwrite")
    assert command(*again).code == 0
    other = command(*again[:-1], "--coverage", 0.8)
    assert "coverage was 0.9, now 0.8" in other.errors[-1]


@pytest.mark.parametrize(
    ("head", "message"),
    [("other", "of another model or head"), ("two", "name one with --head")],
)
def test_a_calibration_is_of_one_head(command, calibration, rated, tmp_path, head, message) -> None:
    other = tmp_path / "other"
    shutil.copytree(BUNDLED / "demo", other)
    _change(other / "model.safetensors")
    song = rated.with_name("3.wav")
    if head == "other":
        outcome = command("score", song, *MINI, "--head", other, "--calibration", calibration)
    else:
        heads = ("--head", other, "--head", "demo")
        outcome = command("calibrate", rated, *MINI, *heads, "--out", tmp_path / "c.json")
    assert outcome.code == 2
    assert message in outcome.errors[-1]
    both = command(
        *("score", song, *MINI, "--head", other, "--head", "demo"), "--calibration", calibration
    )
    names = rows_of(both.out)[0]
    assert "demo:Clarity_low" in names
    assert "Clarity_low" not in names


def _change(file: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    tensors["output.bias"] += 1
    save_file(tensors, file, metadata=metadata)


def test_a_head_beside_its_calibration_has_it(command, calibration, rated, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(BUNDLED / "demo", run)
    shutil.copy(calibration, run / "calibration.json")
    outcome = command("score", rated.with_name("3.wav"), *MINI, "--head", run)
    assert "Clarity_low" in rows_of(outcome.out)[0]
    (run / "calibration.json").write_text("{")
    outcome = command("score", rated.with_name("3.wav"), *MINI, "--head", run)
    assert outcome.code == 2
    assert "calibration.json" in outcome.errors[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:30], "29 rated songs calibrate nothing; give 50 or more"),
        (lambda rows: [row[:3] for row in rows], "has no column 'Memorability'"),
        (lambda rows: [rows[0], [*rows[1][:1], "7", *rows[1][2:]], *rows[2:]], "outside 1 to 5"),
        (lambda rows: [*rows, rows[1]], "is rated twice"),
        (
            lambda rows: [rows[0], *([r[0], *["3"] * 5, ""] for r in rows[1:-2])],
            "has the Coherence rating",
        ),
    ],
)
def test_ratings_that_calibrate_nothing_are_one_line(
    command, rated, tmp_path, change, message
) -> None:
    with rated.open() as file:
        rows = list(csv.reader(file))
    table = rated.with_name(f"{tmp_path.name}.csv")
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(change(rows))
    outcome = command("calibrate", table, *MINI, "--out", tmp_path / "c.json")
    assert outcome.code == 2
    assert message in outcome.errors[-1]
    assert table.name in outcome.errors[-1]
    assert not list(tmp_path.iterdir()), "no song was heard"


def test_an_interrupted_calibration_goes_on(command, rated, calibration, tmp_path, monkeypatch):
    """What was heard is kept; a song that changed since is heard again."""
    import songeval_task.scoring.calibrate as module

    out, heard = tmp_path / "c.json", []
    original = module.run

    def stopped(items, *args, **kwargs):
        for number, result in enumerate(original(items, *args, **kwargs)):
            if number == 20:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(module, "run", stopped)
    command("calibrate", rated, *MINI, "--out", out)
    assert not out.exists()

    def counted(items, *args, **kwargs):
        heard.extend(items)
        return original(items, *args, **kwargs)

    monkeypatch.setattr(module, "run", counted)
    assert command("calibrate", rated, *MINI, "--out", out).code == 3
    assert len(heard) == SONGS + 1 - 20
    found, whole = read_calibration(out), read_calibration(calibration)
    np.testing.assert_allclose(found.preds, whole.preds, atol=2e-3)


def test_a_calibration_of_the_dimensions_in_another_order_is_refused(
    command, calibration, rated, tmp_path
) -> None:
    document = json.loads(calibration.read_text())
    document["dimensions"].reverse()
    (tmp_path / "turned.json").write_text(json.dumps(document))
    song = rated.with_name("1.wav")
    outcome = command("score", song, *MINI, "--calibration", tmp_path / "turned.json")
    assert outcome.code == 2
    assert "turned.json: calibrates Naturalness" in outcome.errors[-1]
