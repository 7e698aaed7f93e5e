"""Score rows: warnings are one text, the same in every format, and the last column."""

import csv
import dataclasses
import io
import json

import pytest

from songeval_task.scoring.head_scorers import load_demo
from songeval_task.scoring.outputs.formats import jsonl_text, rows_csv
from songeval_task.scoring.rows import Scores, error_row, row_columns, score_row
from songeval_task.scoring.scorer import AudioSpan
from songeval_task.scoring.scorer_set import ScorerSet


@pytest.fixture(scope="module")
def columns() -> list[str]:
    return row_columns(ScorerSet({"demo": load_demo()}))


@pytest.fixture
def scores(columns) -> Scores:
    values = dict.fromkeys(columns[4 : columns.index("mean")], 3.0)
    made = {"loudness_lufs": -14.0, "model": "mini", "head": "demo", "demo": True}
    span = {"path": "a.wav", "start": None, "end": None, "duration": 12.0}
    return Scores(values=values, means={"mean": 3.0}, **span, **made)


def test_a_row_without_warnings_says_none(scores, columns) -> None:
    row = score_row(scores, columns)
    assert list(row)[-1] == "warnings"
    assert row["warnings"] is None
    assert json.loads(jsonl_text([row]))["warnings"] is None
    assert rows_csv([row], columns, header=False).rstrip().endswith(",ok,,")


def test_warnings_are_one_text_and_others_can_be_added(scores, columns) -> None:
    one = dataclasses.replace(scores, warnings=(*scores.warnings, "shorter than 10 s (4.2 s)"))
    two = dataclasses.replace(one, warnings=(*one.warnings, "unlike the calibration songs"))
    row = score_row(two, columns)
    text = "shorter than 10 s (4.2 s); unlike the calibration songs"
    assert row["warnings"] == json.loads(jsonl_text([row]))["warnings"] == text
    (read,) = csv.DictReader(io.StringIO(rows_csv([row], columns)))
    assert read["warnings"] == text


def test_a_clip_that_was_not_scored_has_its_error_alone(columns) -> None:
    row = error_row(AudioSpan("a.wav"), "a.wav: no such file", columns)
    assert (row["error"], row["warnings"]) == ("a.wav: no such file", None)
