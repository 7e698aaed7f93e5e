"""``hear-aesthetics compare``: pairs where names agree, means where they do not, plain words."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

MINI = ("--model", "mini")


@pytest.fixture
def takes(tmp_path, write_clip) -> tuple[Path, Path]:
    """Two folders of the same three takes; those of B are twice as loud, and FLAC."""
    for number in range(3):
        path = write_clip(tmp_path / "a" / f"{number}.wav", seed=number)
        samples, rate = soundfile.read(path)
        (tmp_path / "b").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "b" / f"{number}.flac", 0.5 * samples, rate)
        soundfile.write(path, 0.25 * samples, rate)
    return tmp_path / "a", tmp_path / "b"


def test_folders_of_the_same_names_are_compared_pair_by_pair(command, takes) -> None:
    outcome = command("compare", *takes, *MINI, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert (found["paired"], found["a_takes"], found["b_takes"]) == (True, 3, 3)
    assert found["loudness"]["difference"] == pytest.approx(6.0, abs=0.1)
    assert "B is 6.0 LU louder" in found["sentence"]
    assert found["demo"] is True
    assert found["provenance"]["heads"][0]["head"] == "demo"
    for difference in found["differences"]:
        assert difference["low"] <= difference["difference"] <= difference["high"]


def test_pairs_go_by_name_not_by_order(command, takes, demo_scorer) -> None:
    (takes[1] / "0.flac").rename(takes[1] / "9.flac")
    (takes[0] / "0.wav").rename(takes[0] / "9.wav")
    clarity = [
        demo_scorer.score(b).values["Clarity"] - demo_scorer.score(a).values["Clarity"]
        for a, b in [(takes[0] / f"{n}.wav", takes[1] / f"{n}.flac") for n in (1, 2, 9)]
    ]
    found = json.loads(command("compare", *takes, *MINI, "--json").out)
    difference = {d["name"]: d for d in found["differences"]}["Clarity"]
    assert difference["difference"] == pytest.approx(sum(clarity) / 3, abs=1e-4)
    reach = 4.303 * np.std(clarity, ddof=1) / np.sqrt(3)  # Student's t of two degrees of freedom
    assert difference["low"] == pytest.approx(difference["difference"] - reach, abs=1e-3)
    assert difference["high"] == pytest.approx(difference["difference"] + reach, abs=1e-3)


def test_folders_of_other_names_are_compared_by_their_means(command, takes) -> None:
    (takes[1] / "0.flac").rename(takes[1] / "other.flac")
    found = json.loads(command("compare", *takes, *MINI, "--json").out)
    assert found["paired"] is False


def test_equal_loudness_leaves_what_is_not_loudness(command, takes) -> None:
    outcome = command("compare", *takes, *MINI, "--loudness", "-20", "--json")
    found = json.loads(outcome.out)
    # the quieter files lose a bit or two to their 16 bit samples
    assert all(abs(d["difference"]) < 5e-3 for d in found["differences"])
    assert "brought to -20 LUFS" in found["sentence"]


def test_two_files_get_a_table_and_a_sentence(command, takes) -> None:
    outcome = command("compare", takes[0] / "0.wav", takes[1] / "1.flac", *MINI)
    table, sentence = outcome.out.split("\n\n")
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        *("Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"),
        *("mean", "loudness_lufs"),
    ]
    assert {line.split()[-1] for line in lines[1:]} == {"-"}, "nothing tells how sure it is"
    assert "--calibration FILE" in sentence
    assert "demo scores" in sentence


def test_a_pair_that_lost_a_take_is_left_out(command, takes) -> None:
    (takes[1] / "1.flac").write_bytes(b"")
    outcome = command("compare", *takes, *MINI, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 3
    assert (found["paired"], found["a_takes"]) == (True, 2)
    assert "1.flac: an empty file" in outcome.errors[0]


def test_a_side_without_takes_is_a_failure(command, takes, tmp_path) -> None:
    outcome = command("compare", takes[0], tmp_path / "absent", *MINI)
    assert outcome.code == 1
    assert outcome.out == ""
    assert "absent: no such file or folder" in outcome.errors[0]


@pytest.fixture
def calibration(tmp_path, calibrate_demo) -> Path:
    """Of the demo head: its scores miss ratings by a twentieth of a point."""
    return calibrate_demo(tmp_path / "calibration.json", 0.05)


def test_a_calibration_says_how_sure_the_ratings_of_two_songs_are(
    command, takes, calibration
) -> None:
    words = ("compare", takes[0] / "0.wav", takes[1] / "1.flac", *MINI)
    found = json.loads(command(*words, "--calibration", calibration, "--json").out)
    for difference in found["differences"]:
        gap = difference["difference"] / (0.05 * np.sqrt(2))
        if abs(gap) > 3:
            assert difference["probability"] == pytest.approx(float(gap > 0), abs=0.02)
        assert (difference["probability"] > 0.5) == (gap > 0)
    same = command(
        "compare", takes[0] / "0.wav", takes[0] / "0.wav", *MINI, "--calibration", calibration
    )
    assert "this cannot tell which is better" in same.out
    assert "0.50" in same.out
    assert "--calibration FILE" not in same.out


def test_a_calibration_of_another_head_is_refused_in_words(command, takes, calibration) -> None:
    text = calibration.read_text().replace('"sha256": "', '"sha256": "0')
    calibration.write_text(text)
    outcome = command("compare", *takes, *MINI, "--calibration", calibration)
    assert outcome.code == 2
    assert "of another model or head" in outcome.errors[0]


def test_a_folder_against_itself_cannot_be_told(command, takes) -> None:
    outcome = command("compare", takes[0], takes[0], *MINI, "--json")
    found = json.loads(outcome.out)
    assert {d["probability"] for d in found["differences"]} == {0.5}
    assert "cannot tell" in found["sentence"]


def test_prompts_and_systems_of_rows_are_resampled(command, takes, tmp_path) -> None:
    for side, folder in zip("ab", takes, strict=True):
        rows = [
            {"path": str(path), "prompt": f"song {number % 2}", "system": side}
            for number, path in enumerate(sorted(folder.iterdir()))
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{side}.jsonl").write_text(text)
    outcome = command("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", *MINI, "--json")
    found = json.loads(outcome.out)
    assert found["clusters"] == 2, "each side has one system, which cannot be resampled"
    assert "With 2 prompts or systems on a side" in found["sentence"]
