"""``hear-aesthetics score`` on files of features: no model is looked for, rows are as of audio."""

import csv
import io

import numpy as np
import pytest

import hear_aesthetics.model


@pytest.fixture
def arrays(tmp_path, monkeypatch, published_heads):
    """Features of three songs for the track 2 head, on a machine that has no model."""
    rng = np.random.default_rng(0)
    (tmp_path / "npy").mkdir()
    for name, frames in (("a", 40), ("b", 55), ("c", 40)):
        features = rng.standard_normal((1, frames, 128)).astype("f4")
        np.save(tmp_path / "npy" / f"{name}.npy", features)

    def missing(*_, **__):
        raise AssertionError("no model is needed")

    monkeypatch.setattr(hear_aesthetics.model, "load_model", missing)
    monkeypatch.setattr("songeval_task.scoring.scorer.load_model", missing)
    monkeypatch.setattr("songeval_task.scoring.scorer.locate_model", missing)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "npy"


@pytest.fixture
def head(published_heads):
    return ("--head", published_heads[1])


def test_a_folder_of_features_is_scored_and_only_new_ones_the_next_time(
    command, arrays, head, tmp_path
) -> None:
    out = tmp_path / "o.csv"
    outcome = command("score", arrays, *head, "--out", out)
    assert (outcome.code, outcome.errors) == (0, [])
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["path"] for row in rows] == [str(arrays / f"{name}.npy") for name in "abc"]
    assert [row["duration"] for row in rows] == ["1.6", "2.2", "1.6"]
    assert {(row["model"], row["loudness_lufs"], row["demo"]) for row in rows} == {
        ("", "", "false")
    }
    assert len({row["Clarity"] for row in rows}) == 3
    np.save(arrays / "d.npy", np.load(arrays / "a.npy") + 1)
    again = command("score", arrays, *head, "--out", out)
    assert (again.code, again.notes[-1]) == (0, "4 files scored")
    assert "3 of 4 rows are there already" in again.notes


def test_a_released_list_and_single_files_are_taken(command, arrays, head, tmp_path) -> None:
    lines = "".join(f"songs/{name}.mp3\t{arrays / name}.npy\n" for name in "ab")
    (tmp_path / "test_embedding.txt").write_text(lines)
    outcome = command("score", tmp_path / "test_embedding.txt", arrays / "c.npy", *head)
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [row["path"] for row in rows] == [str(arrays / f"{name}.npy") for name in "abc"]


def test_one_of_another_width_is_one_error_row(command, arrays, head) -> None:
    np.save(arrays / "wide.npy", np.zeros((1, 30, 72), "f4"))
    outcome = command("score", arrays, *head)
    assert outcome.code == 3
    (line,) = outcome.errors
    assert "wide.npy: features 72 wide, head track2.model takes fused 128 wide" in line


def test_options_that_features_do_not_have_are_one_line(
    command, arrays, published_heads, head
) -> None:
    outcome = command("score", arrays, *head, "--loudness", -14)
    assert (outcome.code, len(outcome.errors)) == (2, 1)
    assert "--loudness needs audio" in outcome.errors[0]
    outcome = command("score", arrays, *head, "--head", published_heads[2])
    assert (outcome.code, len(outcome.errors)) == (2, 1)
    assert "the heads read fused, muq_06" in outcome.errors[0]


def test_the_demo_head_says_that_it_is_one(command, arrays) -> None:
    outcome = command("score", arrays / "a.npy", "--model", "mini")
    assert any("demo scores: head demo never learned" in note for note in outcome.notes)
    assert "features 128 wide, head demo takes" in outcome.errors[0]


def test_only_heads_that_learned_nothing_are_called_demo(command, arrays, head) -> None:
    outcome = command("score", arrays / "a.npy", *head, "--head", "demo")
    assert any("demo scores: head demo never learned" in note for note in outcome.notes)


def test_scores_of_features_can_be_drawn(command, arrays, head, tmp_path) -> None:
    outcome = command("score", arrays, *head, "--plot", tmp_path / "r.png", "--top", 2)
    assert outcome.code == 0
    assert (tmp_path / "r.png").stat().st_size > 0


def test_written_features_score_as_their_audio(command, write_clip, tmp_path) -> None:
    for seed in range(2):
        write_clip(tmp_path / "songs" / f"{seed}.wav", seconds=1.0, seed=seed)
    words = ("--kind", "features", "--format", "npy", "--out", tmp_path / "npy", "--model", "mini")
    assert command("embed", tmp_path / "songs", *words).code == 0
    tables = [
        list(csv.DictReader(io.StringIO(command("score", source, "--model", "mini").out)))
        for source in (tmp_path / "songs", tmp_path / "npy", tmp_path / "npy.txt")
    ]
    for table in tables[1:]:
        for audio, features in zip(tables[0], table, strict=True):
            assert float(features["Clarity"]) == pytest.approx(float(audio["Clarity"]), abs=1e-4)
            assert features["head"] == audio["head"] == "demo"
