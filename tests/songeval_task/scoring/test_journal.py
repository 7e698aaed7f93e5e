"""The journal: a torn line costs one row, runs are not mixed, nothing is lost by accident."""

import json
from pathlib import Path

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.scoring.journal import Journal, clip_key, journal_path
from songeval_task.scoring.rows import Clip

RUN = {"model": "mini", "heads": [{"sha256": "0"}], "loudness": None}


def row(number: int, status: str = "ok") -> dict:
    return {"path": f"{number}.wav", "mean": number / 7, "status": status}


def key(number: int) -> tuple:
    return clip_key(Clip(f"{number}.wav"))


@pytest.fixture
def path(tmp_path) -> Path:
    return journal_path(tmp_path / "out.csv")


@pytest.fixture
def interrupted(path) -> Path:
    """Rows 0 to 2, of which 1 is an error, of a run that did not end."""
    with Journal(path, RUN) as journal:
        for number in range(3):
            journal.add(key(number), row(number, "error" if number == 1 else "ok"))
    return path


def test_it_lies_beside_the_file(path, tmp_path) -> None:
    assert path == tmp_path / "out.csv.partial.jsonl"


def test_a_row_is_on_disk_when_it_is_added(path) -> None:
    with Journal(path, RUN) as journal:
        for number in range(3):
            journal.add(key(number), row(number))
            assert len(path.read_text().splitlines()) == number + 2


def test_good_rows_are_kept_and_failed_ones_forgotten(interrupted) -> None:
    with Journal(interrupted, RUN, resume=True) as journal:
        assert journal.done == {key(0): row(0), key(2): row(2)}


def test_a_torn_last_line_is_dropped_wherever_it_tore(interrupted) -> None:
    whole = interrupted.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole)):
        interrupted.write_bytes(whole[:end])
        with Journal(interrupted, RUN, resume=True) as journal:
            assert list(journal.done) == [key(0)]
            journal.add(key(7), row(7))
        lines = interrupted.read_text().splitlines()
        assert [json.loads(line).get("clip", [None])[0] for line in lines] == [
            None,
            "0.wav",
            "1.wav",
            "7.wav",
        ]


def test_a_torn_header_is_a_fresh_start(path) -> None:
    path.write_text('{"run": {"mod')
    with Journal(path, RUN, resume=True) as journal:
        assert journal.done == {}
    assert json.loads(path.read_text()) == {"run": RUN}


@pytest.mark.parametrize("resume", [False, True])
def test_without_a_journal_every_run_starts_fresh(path, resume) -> None:
    with Journal(path, RUN, resume=resume) as journal:
        assert journal.done == {}


def test_an_interrupted_run_is_not_thrown_away_unasked(interrupted) -> None:
    with pytest.raises(InputError, match="3 rows of an interrupted run; go on with --resume, or"):
        Journal(interrupted, RUN)
    assert len(interrupted.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"loudness": -14.0}, "loudness"), ({"heads": []}, "heads"), ({"new": 1}, "new")],
)
def test_rows_of_another_run_are_not_mixed_in(interrupted, changed, named) -> None:
    with pytest.raises(InputError, match=f"begun with another {named}; use the same again"):
        Journal(interrupted, RUN | changed, resume=True)


def test_a_finished_run_leaves_a_journal_only_where_clips_failed(path) -> None:
    with Journal(path, RUN) as journal:
        journal.add(key(0), row(0))
        journal.finish([row(0)])
    assert not path.exists()
    with Journal(path, RUN) as journal:
        journal.add(key(0), row(0))
        journal.add(key(1), row(1, "error"))
        journal.finish([row(0), row(1, "error")])
    with Journal(path, RUN, resume=True) as journal:
        assert list(journal.done) == [key(0)]
        journal.add(key(1), row(1, "error"))
        journal.finish([row(0), row(1, "error")])
    with Journal(path, RUN) as journal:  # finished: nothing is lost by starting over
        assert journal.done == {}


@pytest.mark.parametrize("text", ["no json\n", "[1]\n[2]\n", '{"run": 1}\n{"clip": 1}\n'])
def test_a_foreign_file_is_refused(path, text) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=r"delete the file to start over|go on with"):
        Journal(path, {"x": 1}, resume=True)


def test_names_that_are_not_utf_8_survive(path) -> None:
    odd = clip_key(Clip("\udcff.wav"))
    with Journal(path, RUN) as journal:
        journal.add(odd, {"path": odd[0], "status": "ok"})
    with Journal(path, RUN, resume=True) as journal:
        assert journal.done[odd]["path"] == "\udcff.wav"


def test_span_and_prompt_tell_clips_apart() -> None:
    clips = [
        Clip("a.wav"),
        Clip("b.wav"),
        Clip("a.wav", 1.0),
        Clip("a.wav", 1.0, 2.0),
        Clip("a.wav", prompt="x"),
    ]
    assert len({clip_key(c) for c in clips}) == len(clips)


def test_a_file_that_changed_is_another_clip(tmp_path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"1")
    before = clip_key(Clip(file))
    assert clip_key(Clip(file)) == before
    file.write_bytes(b"22")
    assert clip_key(Clip(file)) != before
