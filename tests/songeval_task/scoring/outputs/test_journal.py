"""The journal: a torn line costs one row, runs are not mixed, nothing is lost by accident."""

import json
from pathlib import Path

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.scoring.outputs.journal import Journal, clip_key, journal_path
from songeval_task.scoring.rows import AudioSpan

RUN = {"model": "mini", "heads": [{"sha256": "0"}], "loudness": None}


def row(number: int, status: str = "ok") -> dict:
    return {"path": f"{number}.wav", "mean": number / 7, "status": status}


def key(number: int) -> tuple:
    return clip_key(AudioSpan(f"{number}.wav"))


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out.csv"


@pytest.fixture
def interrupted(out) -> Path:
    """The journal of rows 0 to 2, of which 1 is an error, of a run that did not end."""
    with Journal(out, RUN) as journal:
        for number in range(3):
            journal.add(key(number), row(number, "error" if number == 1 else "ok"))
    return journal.path


def test_it_lies_beside_the_file(out, tmp_path) -> None:
    assert journal_path(out) == tmp_path / "out.csv.partial.jsonl"
    assert journal_path(out, finished=True) == tmp_path / "out.csv.rows.jsonl"


def test_a_row_is_on_disk_when_it_is_added(out) -> None:
    with Journal(out, RUN) as journal:
        for number in range(3):
            journal.add(key(number), row(number))
            assert len(journal.path.read_text().splitlines()) == number + 2


def test_good_rows_are_kept_and_failed_ones_forgotten(out, interrupted) -> None:
    with Journal(out, RUN) as journal:
        assert journal.done == {key(0): row(0), key(2): row(2)}


def test_a_torn_last_line_is_dropped_wherever_it_tore(out, interrupted) -> None:
    whole = interrupted.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole)):
        interrupted.write_bytes(whole[:end])
        with Journal(out, RUN) as journal:
            assert list(journal.done) == [key(0)]
            journal.add(key(7), row(7))
        lines = interrupted.read_text().splitlines()
        assert [json.loads(line).get("clip", [None])[0] for line in lines] == [
            None,
            "0.wav",
            "1.wav",
            "7.wav",
        ]


def test_a_torn_header_is_a_fresh_start(out) -> None:
    path = journal_path(out)
    path.write_text('{"fingerprint": {"mod')
    with Journal(out, RUN) as journal:
        assert journal.done == {}
    assert json.loads(path.read_text()) == {"fingerprint": RUN}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"loudness": -14.0}, "loudness was None, now -14"),
        ({"model": "large"}, "model was mini, now large"),
        ({"new": 1}, "new was not recorded, now 1"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_rows_of_another_run_are_neither_mixed_in_nor_lost(
    out, interrupted, changed, named, finished
) -> None:
    if finished:
        interrupted = interrupted.rename(journal_path(out, finished=True))
    before = interrupted.read_text()
    with pytest.raises(InputError, match=f"{named}.*--out, or --overwrite"):
        Journal(out, RUN | changed)
    assert interrupted.read_text() == before
    with Journal(out, RUN | changed, overwrite=True) as journal:
        assert journal.done == {}


def test_a_finished_run_keeps_its_rows_for_the_next(out) -> None:
    for number in range(3):
        with Journal(out, RUN) as journal:
            assert list(journal.done) == [key(n) for n in range(number)]
            journal.add(key(number), row(number))
            journal.finish()
        assert journal_path(out, finished=True).exists()
        assert not journal_path(out).exists()


def test_a_file_without_a_record_is_not_replaced(out) -> None:
    out.write_text("mine")
    with pytest.raises(InputError, match="without a record of what made it"):
        Journal(out, RUN)
    with Journal(out, RUN, overwrite=True) as journal:
        assert journal.done == {}


@pytest.mark.parametrize(
    "text",
    [
        "no json\n",
        "[1]\n[2]\n",
        '{"run": {"model": "mini"}}\n{"clip": ["a.wav", null], "row": {}}\n',  # of a version before
        '{"fingerprint": 1}\n',
        '{"fingerprint": {}}\n{"clip": 1}\n',
        '{"fingerprint": {}}\n{"clip": [[1]], "row": {"status": "ok"}}\n',
    ],
)
def test_a_foreign_file_is_refused(out, text) -> None:
    journal_path(out).write_text(text)
    with pytest.raises(InputError, match=r"partial\.jsonl.*not a journal.*or --overwrite"):
        Journal(out, RUN)


def test_names_that_are_not_utf_8_survive(out) -> None:
    odd = clip_key(AudioSpan("\udcff.wav"))
    with Journal(out, RUN) as journal:
        journal.add(odd, {"path": odd[0], "status": "ok"})
    with Journal(out, RUN) as journal:
        assert journal.done[odd]["path"] == "\udcff.wav"


def test_span_and_prompt_tell_clips_apart() -> None:
    clips = [
        AudioSpan("a.wav"),
        AudioSpan("b.wav"),
        AudioSpan("a.wav", 1.0),
        AudioSpan("a.wav", 1.0, 2.0),
        AudioSpan("a.wav", prompt="x"),
    ]
    assert len({clip_key(c) for c in clips}) == len(clips)


def test_a_file_that_changed_is_another_clip(tmp_path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"1")
    before = clip_key(AudioSpan(file))
    assert clip_key(AudioSpan(file)) == before
    file.write_bytes(b"22")
    assert clip_key(AudioSpan(file)) != before


def test_a_journal_with_a_place_of_its_own_stays_there(out, tmp_path) -> None:
    place = tmp_path / "rows.jsonl"
    for number in range(3):
        with Journal(out, RUN, path=place) as journal:
            assert list(journal.done) == [key(n) for n in range(number)]
            journal.add(key(number), row(number))
            journal.finish()
        assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    with pytest.raises(InputError, match="model was mini, now large"):
        Journal(out, RUN | {"model": "large"}, path=place)
    with Journal(out, RUN | {"model": "large"}, path=place, overwrite=True) as journal:
        assert journal.done == {}


@pytest.mark.parametrize("text", ["[1, 2]", '{"fingers": 1}', '{"a": 1}\n{"b"'])
def test_a_foreign_file_in_its_place_is_left_as_it_is(out, tmp_path, text) -> None:
    """Also one without a newline at its end, which is no torn line of a journal."""
    place = tmp_path / "scores.jsonl"
    place.write_text(text)
    with pytest.raises(InputError, match=r"scores.jsonl: not a journal.*--overwrite"):
        Journal(out, RUN, path=place)
    assert place.read_text() == text
