"""What is shown of rows: ranked, streamed in a pipe, whole numbers on any terminal."""

import json
import re
import sys

import pytest

from songeval_task.commands.listing import Listing, ranked

SCORES = ["Coherence", "Musicality", "Memorability", "Clarity", "Naturalness", "mean"]
COLUMNS = ["path", "start", "end", "duration", *SCORES, "loudness_lufs", "error"]


def shown(capsys) -> list[str]:
    """The lines on stdout, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


def row(path: str, mean: float, **changes) -> dict:
    scores = dict.fromkeys(SCORES, 3.25) | {"mean": mean}
    fixed = {"start": None, "end": None, "duration": 45.0, "loudness_lufs": -18.94, "error": None}
    return {"path": path, **scores, **fixed, **changes}


FAILED = dict.fromkeys(COLUMNS) | {"path": "bad.wav", "error": "bad.wav: no audio"}
ROWS = [row("b.wav", 3.5), FAILED, row("a.wav", 3.5), row("c.wav", 4.0)]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns, as far as rich and we can tell."""

    def pretend(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")

    return pretend


def test_the_best_mean_is_first_and_failures_have_no_rank() -> None:
    assert [r["path"] for r in ranked(ROWS)] == ["c.wav", "a.wav", "b.wav"]


def test_in_a_pipe_each_row_is_written_as_it_comes(capsys) -> None:
    listing = Listing(COLUMNS, SCORES)
    listing.add(ROWS[0])
    assert capsys.readouterr().out.splitlines()[1].startswith("b.wav,")
    listing.add(ROWS[1])
    assert capsys.readouterr().out == "bad.wav,,,,,,,,,,,bad.wav: no audio\n"
    listing.finish(ROWS)
    assert capsys.readouterr().out == ""


def test_json_is_one_list_of_all_rows(capsys) -> None:
    listing = Listing(COLUMNS, SCORES, as_json=True)
    for r in ROWS:
        listing.add(r)
    listing.finish(ROWS)
    assert json.loads(capsys.readouterr().out) == ROWS


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_numbers_and_names_stay_whole_on_a_terminal(capsys, terminal, columns) -> None:
    terminal(columns)
    listing = Listing(COLUMNS, SCORES)
    rows = [row("songs/a_take_with_quite_a_long_name.flac", 3.5), row("b.wav", 4.0)]
    for r in rows:
        listing.add(r)
    assert capsys.readouterr().out == ""
    listing.finish(rows)
    lines = shown(capsys)
    assert all(len(line) <= columns for line in lines)
    assert lines[-1].split() == ["b.wav", "45.0", *["3.25"] * 5, "4.00", "-18.9"]
    folded = "".join(line.split()[0] for line in lines[1:-1])
    assert folded == rows[0]["path"]


def test_spans_are_shown_where_there_are_some(capsys, terminal) -> None:
    terminal(200)
    rows = [row("a.wav", 3.0, start=1.0, end=2.5), row("b.wav", 3.0)]
    Listing(COLUMNS, SCORES).finish(rows)
    header, first, second = shown(capsys)
    assert header.split()[:4] == ["path", "start", "end", "duration"]
    assert first.split()[:4] == ["a.wav", "1.0", "2.5", "45.0"]
    assert second.split()[:4] == ["b.wav", "-", "-", "45.0"]
