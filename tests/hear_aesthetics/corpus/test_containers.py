"""Rows of containers: keys, audio, spans, prompts, further columns, and what is torn or wrong."""

import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hear_aesthetics.audio import load_audio
from hear_aesthetics.corpus.parquet_rows import ParquetRows
from hear_aesthetics.corpus.rows import safe_key
from hear_aesthetics.corpus.stored import stamp_of
from hear_aesthetics.engine.inputs import collect_inputs
from hear_aesthetics.errors import AudioError, InputError


def waves(found) -> dict[str, np.ndarray]:
    return {item.key: load_audio(item.path) for item in found.inputs}


def test_a_container_has_the_keys_and_the_audio_of_its_folder(songs, parquet, tar) -> None:
    expected = waves(collect_inputs([str(songs)]))
    assert len(expected) == 4
    for container in (parquet, tar):
        found = collect_inputs([str(container)])
        assert not found.errors
        made = waves(found)
        assert made.keys() == expected.keys()
        for key, wave in made.items():
            np.testing.assert_array_equal(wave, expected[key])


def test_audio_travels_to_other_processes_by_its_place(songs, parquet, tar) -> None:
    for container in (parquet, tar):
        for item in collect_inputs([str(container)]).inputs:
            sent = pickle.dumps(item.path)
            assert len(sent) < 1000
            there = pickle.loads(sent)
            assert str(there) == str(item.path)
            assert there.stamp() == item.path.stamp()
            assert there.read() == item.path.read()


def test_a_path_column_names_files_beside_the_table_or_in_the_working_directory(songs) -> None:
    (songs / "list").mkdir()
    rows = [{"path": "../a.wav", "n": 1}, {"path": "songs/d.mp3", "n": 2}]
    pq.write_table(pa.Table.from_pylist(rows), songs / "list/rows.parquet")
    found = collect_inputs(["songs/list/rows.parquet"])
    assert [item.key for item in found.inputs] == ["a.wav", "songs/d.mp3"]
    assert [dict(item.fields) for item in found.inputs] == [{"n": 1}, {"n": 2}]
    assert all(len(wave) == 24_000 for wave in waves(found).values())


def test_rows_keep_their_key_and_carry_all_else_but_bytes(songs) -> None:
    table = pa.table(
        {
            "key": ["x", "y"],
            "path": ["songs/a.wav", "songs/d.mp3"],
            "start_time": [None, 0.25],
            "end_time": [0.5, None],
            "tags": [["a"], []],
            "cover": [b"\x89PNG", b""],
        }
    )
    pq.write_table(table, "t.parquet")
    found = collect_inputs(["t.parquet"], prompt="calm")
    assert [item.key for item in found.inputs] == ["x/0-0.5", "y/0.25-end"]
    assert [(i.start, i.end, i.prompt) for i in found.inputs] == [
        (None, 0.5, "calm"),
        (0.25, None, "calm"),
    ]
    assert list(found.carried) == ["tags"]
    assert found.inputs[0].fields["tags"] == ["a"]


def test_prompts_of_rows_go_before_the_option(parquet, tar) -> None:
    found = collect_inputs([str(parquet)], prompt="any")
    assert [item.prompt for item in found.inputs] == ["calm", "loud", "any", "any"]
    (first, *_) = collect_inputs([str(tar)]).inputs
    assert (first.prompt, first.fields["year"], first.fields["__key__"]) == (
        "like a.wav",
        1999,
        "a",
    )


def test_a_text_beside_a_member_is_its_prompt(songs) -> None:
    Path("a.txt").write_text("a calm song\n")
    with tarfile.open("t.tar", "w") as file:
        file.add("a.txt")
        file.add(songs / "a.wav", "a.wav")
    (item,) = collect_inputs(["t.tar"]).inputs
    assert (item.prompt, item.fields["text"]) == ("a calm song", "a calm song")


def test_two_equal_keys_are_an_error_that_names_both(parquet, tar) -> None:
    message = r"songs.tar/a.wav .* and songs.parquet/a.wav \(songs.parquet: row 0\) have one key"
    with pytest.raises(InputError, match=message):
        collect_inputs([str(parquet), str(tar)])


def test_keys_that_may_not_depend_on_other_inputs_are_refused_where_they_meet(songs) -> None:
    shutil.copytree(songs, "more")
    assert len(collect_inputs(["songs", "more"]).inputs) == 8
    with pytest.raises(InputError, match=r"more/a.wav .* and songs/a.wav .* have one key, 'a.wav'"):
        collect_inputs(["songs", "more"], unique=True)


def test_a_folder_of_containers_gives_their_rows(parquet) -> None:
    Path("data").mkdir()
    parquet.rename("data/part-0.parquet")
    assert len(collect_inputs(["data"]).inputs) == 4
    assert len(collect_inputs(["data/*.parquet"]).inputs) == 4


def test_a_torn_tar_gives_what_is_before_the_tear_and_one_error(tar) -> None:
    with tarfile.open(tar) as file:
        places = {member.name: member.offset_data for member in file}
    content = tar.read_bytes()
    cuts = {places["deep/c.ogg"] + 700: 2, places["deep/b.flac"] - 512: 1}
    for cut, whole in cuts.items():
        Path("torn.tar").write_bytes(content[:cut])
        found = collect_inputs(["torn.tar"])
        assert (len(found.inputs), len(found.errors)) == (whole, 1)
        assert "torn.tar: torn after" in found.errors[0].message
        assert len(waves(found)) == whole


def test_a_torn_parquet_file_is_one_error(parquet) -> None:
    content = parquet.read_bytes()
    parquet.write_bytes(content[: len(content) // 2])
    found = collect_inputs([str(parquet)])
    assert not found.inputs
    (bad,) = found.errors
    assert "songs.parquet: not a whole Parquet file" in bad.message


def test_a_damaged_row_group_leaves_the_rows_before_it(songs) -> None:
    table = pa.table({"path": [f"songs/{'a.wav' if n % 2 else 'd.mp3'}" for n in range(8)]})
    table = table.append_column("key", pa.array([str(n) for n in range(8)]))
    pq.write_table(table, "t.parquet", row_group_size=4, use_dictionary=False, compression="none")
    group = pq.ParquetFile("t.parquet").metadata.row_group(1).column(0)
    content = bytearray(Path("t.parquet").read_bytes())
    at = group.data_page_offset
    content[at : at + 12] = b"\xff" * 12
    Path("t.parquet").write_bytes(content)
    found = collect_inputs(["t.parquet"])
    assert [item.key for item in found.inputs] == ["0", "1", "2", "3"]
    assert "its last 4 of 8 rows cannot be read" in found.errors[0].message


def test_rows_without_audio_are_errors_of_their_own(songs) -> None:
    audio = [{"bytes": None, "path": "songs/a.wav"}, {"bytes": None, "path": None}]
    pq.write_table(pa.table({"audio": audio}), "t.parquet")
    first, second = collect_inputs(["t.parquet"]).inputs
    assert len(load_audio(first.path)) == 24_000
    with pytest.raises(AudioError, match="row 1: no audio"):
        load_audio(second.path)
    rows = {"path": ["songs/a.wav", "", "songs/d.mp3"], "end_time": [None, 1.0, -1.0]}
    pq.write_table(pa.table(rows), "t.parquet")
    found = collect_inputs(["t.parquet"])
    assert [item.key for item in found.inputs] == ["songs/a.wav"]
    assert len(found.errors) == 2


def test_times_that_are_no_numbers_are_one_error(songs) -> None:
    pq.write_table(pa.table({"path": ["songs/a.wav"], "start_time": ["0:30"]}), "t.parquet")
    (bad,) = collect_inputs(["t.parquet"]).errors
    assert bad.message == "t.parquet: start_time is string; write seconds"


def test_a_table_without_audio_names_its_columns(tmp_path) -> None:
    pq.write_table(pa.table({"title": ["x"]}), tmp_path / "t.parquet")
    (bad,) = collect_inputs([str(tmp_path / "t.parquet")]).errors
    assert "no column of audio ({bytes, path}) or of paths" in bad.message
    assert "its columns are title" in bad.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tar", b"no tar at all" * 99, "not a tar file"),
        ("t.tar", b"\x1f\x8b\x08\0" + bytes(600), "it is compressed: unpack it"),
        ("t.parquet", b"", "not a whole Parquet file"),
    ],
)
def test_what_is_no_container_is_one_error(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)
    found = collect_inputs([str(tmp_path / name)])
    assert not found.inputs
    assert message in found.errors[0].message


def test_the_stamp_of_a_row_changes_with_its_container(parquet, tar, songs) -> None:
    for container in (parquet, tar):
        one, other = (collect_inputs([str(container)]).inputs[n].path for n in (0, 1))
        assert stamp_of(one) != stamp_of(other)
        shutil.copy(container, "copy")
        Path("copy").rename(container)
        assert stamp_of(collect_inputs([str(container)]).inputs[0].path) != stamp_of(one)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a/b.wav", "a/b.wav"),
        ("/data/../a.wav", "data/a.wav"),
        ("s3://bucket/x/a.wav", "bucket/x/a.wav"),
        ("./a:b.wav", "a:b.wav"),
    ],
)
def test_a_key_leads_nowhere_else(text, key) -> None:
    assert safe_key(text) == key


def test_many_rows_of_one_group_are_read_once(parquet, monkeypatch) -> None:
    rows = ParquetRows(parquet)
    read = []
    original = ParquetRows._read_group

    def counted(self, group, columns):
        read.append(group)
        return original(self, group, columns)

    monkeypatch.setattr(ParquetRows, "_read_group", counted)
    for index in range(4):
        rows.row(index).path.read()
    assert read == [0, 1]
