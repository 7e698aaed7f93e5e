"""Pages: names that are markup or no text, and numbers that are missing."""

import csv
import json
from pathlib import Path

from songeval_task.audit.effects import Effect
from songeval_task.audit.pages import signed, write_pages

MADE = Effect("demo", "mean", "gain", "gain", 2, 0.1234, None, None, 0.1234, "=a|b*.wav", -0.2)
MISSING = Effect("demo", "mean", "AAC", "aac", 0, note="av is not installed")


def write(out: Path, *effects: Effect, failed=()) -> str:
    known = {"provenance": {"model": "mini"}, "demo": False}
    write_pages(out, effects, songs=["a"], failed=failed, **known)
    return (out / "audit.md").read_text()


def test_names_of_songs_cannot_break_the_table(tmp_path) -> None:
    page = write(tmp_path, MADE, failed=["<b>.wav: an empty file"])
    assert r"| =a\|b\*.wav | -0.200 |" in page
    assert r"\<b\>.wav: an empty file" in page
    (row,) = csv.DictReader((tmp_path / "audit.csv").read_text().splitlines())
    assert row["worst_song"] == "'=a|b*.wav"  # no formula for a spreadsheet


def test_names_that_are_not_utf_8_are_escaped(tmp_path) -> None:
    odd = Effect("demo", "mean", "gain", "gain", 1, 0.0, worst_song="\udcff.wav", worst_change=0.0)
    assert r"\udcff.wav" in write(tmp_path, odd)
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["effects"][0]["worst_song"] == "\udcff.wav"


def test_what_was_not_measured_is_a_row_and_a_reason(tmp_path) -> None:
    page = write(tmp_path, MADE, MISSING)
    assert "| AAC | 0 | - | - | - | - | - | - | - |" in page
    assert "- AAC: av is not installed" in page
    assert "1 of 1 variants moves" in page


def test_intervals_of_a_calibration_are_explained_where_there_is_one(tmp_path) -> None:
    calibrated = Effect("demo", "mean", "gain", "gain", 1, 0.1, absolute=0.1, interval_share=0.25)
    assert "| 25% |" in write(tmp_path, calibrated)
    assert "*Of interval*" in write(tmp_path, calibrated)
    assert "*Of interval*" not in write(tmp_path, MADE)


def test_zero_has_no_sign() -> None:
    assert [signed(value) for value in (0.0, -0.0001, 0.0001)] == ["0.000"] * 3
    assert [signed(value) for value in (0.05, -0.05, None)] == ["+0.050", "-0.050", "-"]
