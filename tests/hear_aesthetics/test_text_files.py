"""Text that users write: byte order marks, encodings, JSON that is none."""

import codecs
from pathlib import Path

import pytest

from hear_aesthetics.engine.inputs import collect_inputs
from hear_aesthetics.errors import CheckpointError, InputError
from hear_aesthetics.text_files import read_json, read_table, read_text


def test_byte_order_mark_and_line_ends_do_not_reach_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(codecs.BOM_UTF8 + "id,naïve\r\n1,2\r3,4\n".encode())
    assert read_text(path) == "id,naïve\n1,2\n3,4\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_are_one_line_with_file_and_remedy(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("id,naïve\n".encode(encoding))
    with pytest.raises(InputError) as caught:
        read_text(path)
    message = str(caught.value)
    assert str(path) in message
    assert "UTF-8" in message
    assert "\n" not in message


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path, "null\0byte"):
        with pytest.raises(InputError, match="cannot be read"):
            read_text(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, "[1]", "NaN"])
def test_what_is_no_json_object_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"task\.json: is not (a )?JSON"):
        read_json(path)


def test_json_of_the_wanted_type_is_read_behind_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_bytes(codecs.BOM_UTF8 + b'{"a": 1}')
    assert read_json(path) == {"a": 1}
    path.write_bytes(b"[1]")
    assert read_json(path, list) == [1]


@pytest.mark.parametrize("content", [None, b"{", b"[1]", b"\xff\xfe{"])
def test_json_of_a_caller_ends_in_its_error_and_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    if content:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json: .*; (try again|save|check)"):
        read_json(path, error=CheckpointError, remedy="try again")


def test_json_of_any_kind_is_read_on_request(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    path.write_text("3")
    assert read_json(path, object) == 3


def test_lists_in_another_encoding_are_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "bad.txt").write_bytes("a.wav\n".encode("utf-16"))
    found = collect_inputs([str(tmp_path / "bad.txt"), str(tmp_path / "a.wav")])
    assert [item.key for item in found.inputs] == ["a.wav"]
    (error,) = found.errors
    assert "UTF-8" in error.message


def test_a_mark_on_standard_input_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    found = collect_inputs(["-"], stdin=[f"\ufeff{tmp_path / 'a.wav'}\n"])
    assert not found.errors
    assert len(found.inputs) == 1


def test_a_file_that_reads_as_a_comment_is_said(tmp_path: Path) -> None:
    for name in ("#1 hit.wav", "a.wav"):
        (tmp_path / name).touch()
    songs = tmp_path / "songs.txt"
    songs.write_text("# my songs\n#1 hit.wav\n./#1 hit.wav\na.wav\n")
    found = collect_inputs([str(songs)])
    assert [item.key for item in found.inputs] == ["#1 hit.wav", "a.wav"]
    (error,) = found.errors
    assert "songs.txt:2" in error.message
    assert "./#1 hit.wav" in error.message


@pytest.mark.parametrize("text", ["name; score\na\u2028b;\t3\n", 'name\tscore\n"a\u2028b"\t 3\n'])
def test_tables_come_with_any_delimiter_and_any_character(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    place = f"{path}: line 2"
    assert read_table(path) == (("name", "score"), [(place, {"name": "a\u2028b", "score": "3"})])


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("name,Clarity, Clarity\na,1,2\n")
    with pytest.raises(InputError, match=r"scores\.csv: has two columns 'Clarity'"):
        read_table(path)
