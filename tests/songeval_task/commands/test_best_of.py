"""``score --best-of``: the best take of each group, and what its score is worth."""

import csv
import json
from pathlib import Path

import pytest

MINI = ("--model", "mini")


@pytest.fixture
def takes(tmp_path, write_clip) -> Path:
    """A list of two prompts with three takes each, and a take of none."""
    rows = []
    for number in range(7):
        folder = "ab"[number % 2]
        path = write_clip(tmp_path / folder / f"{number}.wav", seed=number)
        rows.append({"path": str(path), "prompt": f"song {folder}", "batch": number // 4})
    rows[6] = {"path": rows[6]["path"]}
    (tmp_path / "takes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "takes.jsonl"


@pytest.fixture
def calibration(tmp_path, calibrate_demo) -> Path:
    """Of the demo head; its scores are near the ratings."""
    return calibrate_demo(tmp_path / "calibration.json", 0.01)


def best_by_hand(rows: list[dict], label) -> dict[str, str]:
    groups: dict[str, dict] = {}
    for row in rows:
        if label(row) is not None:
            best = groups.setdefault(label(row), row)
            groups[label(row)] = max(best, row, key=lambda r: r["mean"])
    return {name: row["path"] for name, row in groups.items()}


def test_each_group_has_its_best_take_and_its_expected_rating(
    command, takes, calibration, tmp_path
) -> None:
    out = tmp_path / "o.csv"
    words = ("score", takes, *MINI, "--best-of", "prompt", "--calibration", calibration)
    outcome = command(*words, "--out", out, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert len(found["rows"]) == 7
    prompts = {row["path"]: f"song {Path(row['path']).parent.name}" for row in found["rows"][:6]}
    by_hand = best_by_hand(found["rows"], lambda row: prompts.get(row["path"]))
    assert {r["group"]: r["path"] for r in found["best_of"]} == by_hand
    for record in found["best_of"]:
        assert record["takes"] == 3
        assert 0.5 < record["probability"] <= 1
        assert record["mean_expected"] == pytest.approx(record["mean"], abs=0.05)
        assert record["lead"] > 0
    assert any("1 of 7 inputs have no prompt" in note for note in outcome.notes)
    assert any("6 takes in 2 groups hardly tell" in note for note in outcome.notes)
    with (tmp_path / "o.csv.best.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [r["path"] for r in written] == [r["path"] for r in found["best_of"]]
    assert float(written[0]["mean_expected"]) == found["best_of"][0]["mean_expected"]
    assert len(written[0]["mean_expected"].partition(".")[2]) <= 6, "as precise as the scores"
    with out.open() as file:
        assert len(list(csv.DictReader(file))) == 7, "OUT holds the rows as ever"


def test_without_a_calibration_takes_are_ranked_and_one_line_says_what_is_missing(
    command, takes
) -> None:
    outcome = command("score", takes.parent / "a", takes.parent / "b", *MINI, "--best-of", "folder")
    heading, *lines = outcome.out.splitlines()
    assert heading.split() == [
        *("group", "takes", "path", "mean", "mean_expected", "lead", "probability"),
    ]
    assert [line.split()[1] for line in lines] == ["4", "3"]
    assert {line.split()[-1] for line in lines} == {"-"}
    assert sum("how much of a lead is luck" in note for note in outcome.notes) == 1


def test_any_key_of_the_rows_makes_groups(command, takes) -> None:
    found = json.loads(command("score", takes, *MINI, "--best-of", "batch", "--json").out)
    assert {r["group"]: r["takes"] for r in found["best_of"]} == {"0": 4, "1": 2}


def test_a_take_that_fails_costs_only_itself(command, takes) -> None:
    (takes.parent / "a" / "0.wav").write_bytes(b"")
    outcome = command("score", takes, *MINI, "--best-of", "prompt", "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 3
    assert {r["group"]: r["takes"] for r in found["best_of"]} == {"song a": 2, "song b": 3}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--best-of", "takes"), "--best-of takes: no input has it; name a key of .jsonl rows"),
        (("--best-of", "prompt", "--top", "2"), "leave out --top"),
        (("--best-of", "prompt", "--format", "songeval"), "give --format an --out"),
    ],
)
def test_wrong_usage_is_one_line(command, takes, words, message) -> None:
    outcome = command("score", takes, *MINI, *words)
    assert outcome.code == 2
    assert message in outcome.errors[0]


def test_a_group_that_is_no_text_is_named(command, takes) -> None:
    takes.write_text('{"path": "a/0.wav", "song": ["x"]}\n')
    outcome = command("score", takes, *MINI, "--best-of", "song")
    assert outcome.code == 2
    assert "takes.jsonl:1: song is ['x']; write text or a number" in outcome.errors[0]
