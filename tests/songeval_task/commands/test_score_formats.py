"""``score --format``: the released programs' JSON from songs, on disk, on stdout, and resumed."""

import json

import numpy as np
import pytest

from songeval_task.dimensions import TRACKS

FIVE = TRACKS["track2"].names
MINI = ("--model", "mini")


@pytest.fixture
def songs(tmp_path, write_clip):
    for number in range(2):
        write_clip(tmp_path / "songs" / f"{number}.wav", seed=number)
    return tmp_path / "songs"


def test_ear_hear_holds_the_scores_in_full(command, songs, tmp_path, demo_scorer) -> None:
    out = tmp_path / "o.json"
    outcome = command("score", songs / "0.wav", *MINI, "--format", "ear-hear", "--out", out)
    assert (outcome.code, outcome.out) == (0, "")
    song = json.loads(out.read_text())
    assert song.pop("input_audio_path") == str(songs / "0.wav")
    assert song == demo_scorer.score(songs / "0.wav").values
    assert all(value == np.float32(value) for value in song.values())
    printed = command("score", songs / "0.wav", *MINI, "--format", "ear-hear")
    assert printed.out == out.read_text()


def test_a_failed_song_is_absent_and_told(command, songs, tmp_path) -> None:
    (songs / "bad.wav").write_bytes(b"")
    out = tmp_path / "result.json"
    outcome = command("score", songs, *MINI, "--format", "songeval", "--out", out)
    assert (outcome.code, len(outcome.errors)) == (3, 1)
    assert "bad.wav" in outcome.errors[0]
    result = json.loads(out.read_text())
    assert list(result) == ["0", "1"]
    assert tuple(result["0"]) == FIVE
    assert all(value == round(value, 4) for value in result["0"].values())


def test_rows_that_were_rounded_are_not_taken_over(command, songs, tmp_path) -> None:
    out = tmp_path / "o.json"
    words = ("score", songs, *MINI, "--out", out)
    assert command(*words).code == 0
    outcome = command(*words, "--format", "ear-hear")
    assert outcome.code == 2
    assert "format was not recorded, now ear-hear" in outcome.errors[0]
    assert command(*words, "--format", "ear-hear", "--overwrite").code == 0
    before = out.read_text()
    outcome = command(*words, "--format", "ear-hear")
    assert "2 of 2 rows are there already" in outcome.notes
    assert out.read_text() == before


def test_windows_are_tables_beside_it(command, songs, tmp_path) -> None:
    words = ("score", songs / "0.wav", *MINI, "--timeline", "--format", "songeval")
    assert command(*words, "--out", tmp_path / "result.json").code == 0
    assert set(json.loads((tmp_path / "result.json").read_text())) == {"0"}
    assert (tmp_path / "result.json.timeline.csv").is_file()


def test_further_heads_are_refused_before_anything_is_written(
    command, songs, tmp_path, published_heads, tiny_model_directory
) -> None:
    out = tmp_path / "o.json"
    heads = ("--head", published_heads[1], "--head", published_heads[0])
    words = ("score", songs, *heads, "--model", tiny_model_directory, "--format", "songeval")
    outcome = command(*words, "--out", out)
    assert outcome.code == 2
    assert "choose one such head" in outcome.errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["songs"]
