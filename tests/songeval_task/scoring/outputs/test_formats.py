"""Formats: the same rows in each, the challenge's lines to the letter, whole files only."""

import csv
import json
import math
from pathlib import Path

import pandas as pd
import pytest

from hear_aesthetics.errors import InputError
from songeval_task.scoring.outputs.formats import (
    check_out,
    check_scp_scores,
    check_utterances,
    write_rows,
)

SCORES = ["Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"]
COLUMNS = ["path", "start", *SCORES, "mean", "demo", "status", "error"]


def row(path: str, **changes) -> dict:
    scores = {name: 3 + index / 7 for index, name in enumerate(SCORES)}
    fixed = {"start": None, "mean": 3.2857142857, "demo": False, "status": "ok", "error": None}
    return {"path": path, **scores, **fixed, **changes}


FAILED = {**dict.fromkeys(COLUMNS), "path": "bad.wav", "demo": True, "status": "error"}
FAILED["error"] = 'bad.wav: no audio, "really"'
ROWS = [row("a/take.wav"), row("b/tüte, 2.wav", start=1.5), FAILED]


def write(path: Path, rows=ROWS, scores=SCORES) -> list[str]:
    return [p.name for p in write_rows(path, rows, COLUMNS, scores, {"model": "mini"})]


def test_json_and_jsonl_hold_the_rows(tmp_path) -> None:
    write(tmp_path / "o.json")
    write(tmp_path / "o.jsonl")
    assert json.loads((tmp_path / "o.json").read_text()) == ROWS
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert "tüte" in lines[1]


def test_csv_holds_the_rows_with_empty_cells_for_none(tmp_path) -> None:
    write(tmp_path / "o.csv")
    with (tmp_path / "o.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert [r["path"] for r in rows] == [r["path"] for r in ROWS]
    assert [r["demo"] for r in rows] == ["false", "false", "true"]
    assert rows[0]["start"] == rows[2]["mean"] == ""
    assert rows[2]["error"] == FAILED["error"]
    table = pd.read_csv(tmp_path / "o.csv")
    assert table["Clarity"][0] == ROWS[0]["Clarity"]
    assert table["demo"].tolist() == [False, False, True]


def test_scp_is_what_the_challenge_takes(tmp_path) -> None:
    rows = [row("a/take.wav"), row("b/x.1.mp3"), FAILED]
    write(tmp_path / "track2.scp", rows)
    assert (tmp_path / "track2.scp").read_text() == (
        "take 3.000000 3.142857 3.285714 3.428571 3.571429\n"
        "x.1 3.000000 3.142857 3.285714 3.428571 3.571429\n"
    )
    write(tmp_path / "track1.scp", rows, scores=["Musicality"])
    assert (tmp_path / "track1.scp").read_text() == "take 3.142857\nx.1 3.142857\n"


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a/take.wav", "b/take.mp3"], "b/take.mp3: has the utterance id 'take' of a/take.wav"),
        (["my take.wav"], "a space in the utterance id 'my take'"),
    ],
)
def test_utterances_that_cannot_be_told_apart_are_refused(paths, message) -> None:
    with pytest.raises(InputError, match=message):
        check_utterances(paths)


def test_utterances_of_other_names_pass() -> None:
    check_utterances(["a/take.1.wav", Path("b/take.2.wav")])


@pytest.mark.parametrize("count", [2, 6, 7])
def test_scp_takes_one_score_or_five(count) -> None:
    with pytest.raises(InputError, match=rf"\(track 1\) or five \(track 2\), not {count}"):
        check_scp_scores(["x"] * count)
    check_scp_scores(["x"])
    check_scp_scores(["x"] * 5)


def test_unknown_formats_and_folders_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"must end with \.csv or \.jsonl or \.json or \.scp"):
        check_out(tmp_path / "o.xlsx")
    with pytest.raises(InputError, match=r"there is no folder .*absent; make it first"):
        check_out(tmp_path / "absent" / "o.csv")
    check_out(tmp_path / "O.CSV")


def test_windows_are_in_the_rows_or_in_tables_beside_them(tmp_path) -> None:
    window = {"start": 0.0, "end": 30.0, "Clarity": 3.0}
    rows = [row("a.wav", timeline=[window], explain=[window | {"attention": 0.5}]), FAILED]
    assert write(tmp_path / "o.json", rows) == ["o.json", "o.json.meta.json"]
    assert json.loads((tmp_path / "o.json").read_text())[0]["timeline"] == [window]
    names = write(tmp_path / "o.csv", rows)
    assert set(names) == {
        "o.csv",
        "o.csv.timeline.csv",
        "o.csv.explain.csv",
        "o.csv.meta.json",
    }
    assert (tmp_path / "o.csv.timeline.csv").read_text() == (
        "path,start,end,Clarity\na.wav,0.0,30.0,3.0\n"
    )
    header = (tmp_path / "o.csv.explain.csv").read_text().splitlines()[0]
    assert header == "path,start,end,Clarity,attention"


def test_what_made_the_rows_lies_beside_them(tmp_path) -> None:
    write(tmp_path / "o.scp", [row("a.wav")])
    assert json.loads((tmp_path / "o.scp.meta.json").read_text()) == {"model": "mini"}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch) -> None:
    out = tmp_path / "o.csv"
    out.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write(out)
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["o.csv"]


def test_names_that_are_not_utf_8_can_be_written(tmp_path) -> None:
    rows = [row("\udcff.wav")]
    for suffix in ("csv", "json", "jsonl", "scp"):
        write(tmp_path / f"o.{suffix}", rows)
    assert json.loads((tmp_path / "o.json").read_text())[0]["path"] == "\udcff.wav"


@pytest.mark.parametrize("path", ["=1+1.wav", "+a.wav", "-a.wav", "@a.wav", "\ta.wav"])
def test_csv_holds_no_formulas(tmp_path, path) -> None:
    write(tmp_path / "o.csv", [row(path, mean=-0.5)])
    with (tmp_path / "o.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["path"] == f"'{path}"
    assert line["mean"] == "-0.5"  # a number stays one


def test_a_folder_of_the_name_is_refused(tmp_path) -> None:
    (tmp_path / "o.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_out(tmp_path / "o.csv")


def test_no_number_is_written_that_json_does_not_know(tmp_path) -> None:
    rows = [{"path": "a.wav", "mean": math.nan, "status": "ok"}]
    write_rows(tmp_path / "o.json", rows, ["path", "mean"], ["mean"], {"figures": [math.inf, 1.0]})
    assert json.loads((tmp_path / "o.json").read_text())[0]["mean"] is None
    assert json.loads((tmp_path / "o.json.meta.json").read_text()) == {"figures": [None, 1.0]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_rows(tmp_path / "o.jsonl", rows, ["path", "mean"], ["mean"], {})
