import io
import json
import os
import sys

import pytest

from hear_aesthetics.engine.inputs import collect_inputs

BAD_ROWS = {
    "{": "not JSON",
    "[" * 100_000: "not JSON",
    '["song.wav"]': "not a JSON object",
    "{}": "no path in it",
    '{"path": ""}': "no path in it",
    '{"path": 3}': "no path in it",
    '{"path": "missing.wav"}': "no file 'missing.wav' in",
    '{"path": "null\\u0000.wav"}': "no file",
    '{"path": "disc"}': "is a folder; name the files in it",
    '{"path": "a.wav", "start_time": "0:30"}': "start_time is '0:30'; write seconds",
    '{"path": "a.wav", "start_time": -1}': "start_time is -1; write seconds",
    '{"path": "a.wav", "start_time": true}': "start_time is True; write seconds",
    '{"path": "a.wav", "end_time": NaN}': "end_time is nan; write seconds",
    '{"path": "a.wav", "end_time": 1' + "0" * 400 + "}": "write seconds",
    '{"path": "a.wav", "start_time": 3, "end_time": 3}': "end_time 3.0 is not after start_time 3.0",
    '{"path": "a.wav", "end_time": 0}': "end_time 0.0 is not after start_time 0",
    '{"path": "a.wav", "prompt": ["calm"]}': r"prompt is \['calm'\]; write text in quotes",
}


@pytest.fixture
def music(tmp_path, monkeypatch):
    """A folder of (empty) files, as working directory."""
    names = ["a.wav", "b.MP3", "cover.jpg", ".hidden.wav", "._a.wav", "disc/1.flac", "disc/2.m4a"]
    for name in [*names, "disc/deep/a.wav", ".trash/x.wav"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(found):
    return [item.key for item in found.inputs]


def messages(found):
    return [error.message for error in found.errors]


# Files, folders, globs


def test_a_folder_gives_its_audio_files_sorted_and_no_hidden_ones(music):
    found = collect_inputs([str(music)])
    assert keys(found) == ["a.wav", "b.MP3", "disc/1.flac", "disc/2.m4a", "disc/deep/a.wav"]
    assert found.errors == []
    assert found.inputs[2].path == music / "disc" / "1.flac"
    assert found.inputs[2].source == str(music)


def test_a_file_is_taken_whatever_its_extension(music):
    found = collect_inputs(["cover.jpg", "disc/1.flac", ".hidden.wav"])
    assert keys(found) == ["cover.jpg", "1.flac", ".hidden.wav"]
    assert [str(item.path) for item in found.inputs] == ["cover.jpg", "disc/1.flac", ".hidden.wav"]


def test_a_glob_is_relative_to_its_part_without_wildcards(music):
    assert keys(collect_inputs(["disc/*"])) == ["1.flac", "2.m4a", "deep/a.wav"]
    assert keys(collect_inputs([f"{music}/**/a.wav"])) == ["a.wav", "disc/deep/a.wav"]
    assert keys(collect_inputs(["**"])) == keys(collect_inputs(["."]))


def test_a_file_whose_name_looks_like_a_glob_is_a_file(music):
    (music / "take[1].wav").touch()
    assert keys(collect_inputs(["take[1].wav"])) == ["take[1].wav"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing.wav", "missing.wav: no such file or folder; check the name"),
        ("", "'': names no file or folder; check the variable"),
        ("missing/*.wav", "missing/*.wav: names no audio file; check it"),
        ("empty", "empty: names no audio file; check it"),
        ("empty.txt", "empty.txt: names no audio file; check it"),
        ("null\0byte.wav", "null\0byte.wav: no such file or folder; check the name"),
        ("x" * 5000, "x" * 5000 + ": no such file or folder; check the name"),
    ],
    ids=lambda text: text[:20],
)
def test_an_argument_that_names_nothing_is_one_error(argument, message, music):
    (music / "empty").mkdir()
    (music / "empty.txt").write_text("# nothing\n")
    found = collect_inputs([argument, "a.wav"])
    assert keys(found) == ["a.wav"]
    assert messages(found) == [message]
    assert found.errors[0].path == argument


def test_links_to_folders_are_followed_once(music):
    (music / "disc" / "loop").symlink_to(music)
    (music / "linked").symlink_to(music / "disc" / "deep")
    found = keys(collect_inputs(["."]))
    assert len(found) == len(set(found)) == 5


def test_a_folder_that_cannot_be_listed_is_an_error_and_the_rest_goes_on(music, monkeypatch):
    scandir = os.scandir

    def refuse(path):  # permissions do not bind root, under whom tests may run
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = collect_inputs(["."])
    assert len(found.inputs) == 4
    assert messages(found) == [
        "./disc/deep: cannot be listed (Permission denied); check its permissions"
    ]


# Lists


def test_a_list_is_relative_to_its_folder_or_else_to_the_working_directory(music):
    (music / "disc" / "list.txt").write_text(
        "\ufeff1.flac\r\n\n# a comment\n  deep/a.wav  \nb.MP3\n" + str(music / "cover.jpg"),
        encoding="utf-8",
    )
    found = collect_inputs(["disc/list.txt"])
    assert keys(found) == ["1.flac", "deep/a.wav", "b.MP3", "cover.jpg"]
    assert str(found.inputs[1].path) == "disc/deep/a.wav"
    assert str(found.inputs[2].path) == "b.MP3"
    assert [item.source for item in found.inputs] == [
        f"disc/list.txt:{line}" for line in (1, 4, 5, 6)
    ]


def test_rows_carry_span_and_prompt(music):
    rows = [
        {"path": "a.wav", "start_time": 12.5, "end_time": 42, "prompt": "calm piano"},
        {"path": "a.wav", "end_time": 1, "id": 7},
        {"path": "a.wav", "start_time": 0.1, "prompt": None},
        {"path": "a.wav", "start_time": 0},
    ]
    (music / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = collect_inputs(["rows.jsonl"])
    assert found.errors == []
    assert keys(found) == ["a.wav/12.5-42", "a.wav/0-1", "a.wav/0.1-end", "a.wav"]
    assert [(item.start, item.end, item.prompt) for item in found.inputs] == [
        (12.5, 42.0, "calm piano"),
        (None, 1.0, None),
        (0.1, None, None),
        (None, None, None),
    ]
    assert found.inputs[1].fields["id"] == 7


@pytest.mark.parametrize("row", BAD_ROWS, ids=lambda row: row[:40])
def test_a_bad_row_is_one_error_and_the_rest_goes_on(row, music):
    (music / "rows.jsonl").write_text(f'{{"path": "a.wav"}}\n{row}\n{{"path": "b.MP3"}}\n')
    found = collect_inputs(["rows.jsonl"])
    assert keys(found) == ["a.wav", "b.MP3"]
    (error,) = found.errors
    assert error.source == "rows.jsonl:2"
    assert error.message.startswith("rows.jsonl:2: ")
    with pytest.raises(ValueError, match=BAD_ROWS[row]):
        raise ValueError(error.message)


def test_a_bad_row_keeps_the_path_it_names(music):
    (music / "rows.jsonl").write_text('{"path": "a.wav", "start_time": "x"}\n')
    assert collect_inputs(["rows.jsonl"]).errors[0].path == "a.wav"


def test_standard_input_takes_paths_and_rows():
    lines = ["a.wav\n", "# comment\n", '{"path": "a.wav", "start_time": 3}\n', "nowhere.wav\n"]
    found = collect_inputs(["-"], stdin=lines)
    assert found.inputs == []  # the working directory holds none of them
    assert [error.source for error in found.errors] == ["stdin:1", "stdin:3", "stdin:4"]


def test_standard_input_may_hold_names_that_are_no_utf8(music, monkeypatch):
    name = os.fsdecode(b"caf\xe9.wav")
    (music / name).touch()
    stdin = io.TextIOWrapper(io.BytesIO(b'caf\xe9.wav\n{"path": "a.wav", "end_time": 3}'), "utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert keys(collect_inputs(["-"])) == [name, "a.wav/0-3"]


def test_a_list_that_cannot_be_read_is_one_error(music, monkeypatch):
    (music / "list.txt").touch()

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(music), "open", refuse)
    found = collect_inputs(["list.txt", "a.wav"])
    assert messages(found) == [
        "list.txt: cannot be read (Permission denied); check its permissions"
    ]
    assert keys(found) == ["a.wav"]


# One name for each input


def test_the_same_file_counts_once_and_each_span_once(music):
    rows = ['{"path": "a.wav"}', '{"path": "./disc/../a.wav", "end_time": 5}', "a.wav"]
    found = collect_inputs(["a.wav", ".", str(music / "a.wav"), "-"], stdin=[*rows, rows[1]])
    assert keys(found).count("a.wav") == 1
    assert keys(found).count("a.wav/0-5") == 1
    assert len(found.inputs) == 6
    assert found.errors == []


def test_two_prompts_for_the_same_span_are_an_error(music):
    rows = ['{"path": "a.wav", "prompt": "calm"}', '{"path": "a.wav", "prompt": "wild"}']
    found = collect_inputs(["-"], stdin=rows)
    assert [item.prompt for item in found.inputs] == ["calm"]
    assert messages(found) == ["stdin:2: a.wav has another prompt in stdin:1; keep one"]


def test_the_general_prompt_is_for_inputs_without_one(music):
    rows = ['{"path": "a.wav", "prompt": "calm"}', "b.MP3"]
    found = collect_inputs(["-"], prompt="wild", stdin=rows)
    assert [item.prompt for item in found.inputs] == ["calm", "wild"]


def test_files_of_the_same_name_get_different_keys(music):
    found = collect_inputs(["a.wav", "disc/deep/a.wav", "disc/1.flac"])
    assert keys(found) == ["a.wav", "disc/deep/a.wav", "disc/1.flac"]
    found = collect_inputs(["disc", "disc/deep/a.wav", str(music / "a.wav")])
    assert keys(found) == ["1.flac", "2.m4a", "deep/a.wav", "a.wav"]


def test_keys_do_not_depend_on_the_order_of_the_arguments(music):
    one, two = collect_inputs(["a.wav", "disc/deep"]), collect_inputs(["disc/deep", "a.wav"])
    assert sorted(keys(one)) == sorted(keys(two)) == ["a.wav", "disc/deep/a.wav"]


def test_no_key_leads_out_of_the_output_folder(music, monkeypatch):
    monkeypatch.chdir(music / "disc")
    (music / "disc" / "list.txt").write_text(f"../a.wav\n{music}/b.MP3\n../disc/1.flac\n")
    found = collect_inputs(["list.txt", "..", "../a.wav", f"{music}/*.wav"])
    assert len(set(keys(found))) == len(found.inputs) == 5
    for key in keys(found):
        assert not key.startswith("/")
        assert ".." not in key.split("/")


def test_spans_a_millisecond_apart_get_their_own_keys(music):
    rows = [json.dumps({"path": "a.wav", "start_time": 12345.678 + i * 1e-3}) for i in range(1000)]
    assert len(set(keys(collect_inputs(["-"], stdin=rows)))) == 1000


@pytest.fixture
def arrays(music):
    """Files of features: two in a folder of their own, one among audio files."""
    for name in ("npy/a.npy", "npy/deep/b.NPY", "npy/.c.npy", "npy/notes.txt", "disc/1.npy"):
        path = music / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return music


@pytest.mark.parametrize("argument", ["npy", "npy/**"])
def test_a_folder_without_audio_gives_its_features_to_a_command_that_takes_them(arrays, argument):
    assert keys(collect_inputs([argument], features=True)) == ["a.npy", "deep/b.NPY"]
    assert messages(collect_inputs([argument])) == [f"{argument}: names no audio file; check it"]


def test_among_audio_files_features_are_not_taken(arrays):
    assert keys(collect_inputs(["disc"], features=True)) == ["1.flac", "2.m4a", "deep/a.wav"]
    assert keys(collect_inputs(["disc/1.*"], features=True)) == ["1.flac"]
    assert keys(collect_inputs(["disc/1.npy"], features=True)) == ["1.npy"]


def test_a_released_list_names_the_features(arrays):
    lines = "songs/a b.mp3\tnpy/a.npy\nnpy/deep/b.NPY\na.wav\nsongs/x.mp3\tnpy/absent.npy\n"
    (arrays / "list.txt").write_text(lines)
    found = collect_inputs(["list.txt"], features=True)
    assert keys(found) == ["npy/a.npy", "npy/deep/b.NPY", "a.wav"]
    assert "list.txt:4: no file 'npy/absent.npy'" in messages(found)[0]
    assert keys(collect_inputs(["-"], stdin=["x.mp3\tnpy/a.npy\n"], features=True)) == ["npy/a.npy"]
