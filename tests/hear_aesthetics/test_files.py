"""Files are whole or absent, leftovers are recognised, sizes read well."""

import errno
import json
import math
import os
import subprocess
import sys

import pytest

from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import StorageError
from hear_aesthetics.files import (
    atomic_file,
    describe_size,
    json_text,
    remove_leftovers,
    write_text,
)


def write_half(path):
    with atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_text_may_hold_names_that_are_not_utf_8(tmp_path):
    """A table at the end of hours of work is not lost to the name of one file."""
    write_text(tmp_path / "table.csv", os.fsdecode(b"\xff.wav") + ",ü,\ud800\n")
    assert (tmp_path / "table.csv").read_text() == "\\udcff.wav,ü,\\ud800\n"


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    inner = tmp_path / "deep"
    inner.mkdir()
    writer = atomic_file(inner / "x.bin")
    writer.__enter__()  # and is never heard of again
    kept = [inner / "y.bin", tmp_path / "z.partial"]
    for path in kept:
        path.write_bytes(b"1")
    remove_leftovers(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


@pytest.mark.parametrize("name", ["x" * 249, "x" * 255, "\N{SNOWMAN}" * 85, "a" + "\xe9" * 127])
def test_a_file_may_have_any_name_that_a_disk_takes(name, tmp_path):
    write_text(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_long_names_that_begin_alike_are_two_files(tmp_path):
    first, second = (tmp_path / ("x" * 250 + end) for end in "ab")
    with atomic_file(first) as one, atomic_file(second) as two:
        one.write(b"1")
        two.write(b"2")
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")


WRITER = """
import sys
from pathlib import Path
from hear_aesthetics.files import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    print("begun", flush=True)
    sys.stdin.readline()
    file.write(b"whole")
"""


def test_what_a_living_process_writes_is_not_removed(tmp_path):
    path = tmp_path / "x.bin"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdout.readline()
        remove_leftovers(tmp_path)
        writer.communicate("\n")
    assert (writer.returncode, path.read_bytes()) == (0, b"whole")


def test_what_a_killed_process_left_is_removed(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "x.bin")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdout.readline()
        writer.kill()
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_disk_that_takes_no_more_is_one_line_with_path_and_remedy(code, tmp_path):
    path = tmp_path / "x.bin"
    with pytest.raises(StorageError, match=r"x\.bin: cannot take more .*make room"):
        write_until(path, OSError(code, os.strerror(code)))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_under_an_array_is_the_same_line(tmp_path):
    with pytest.raises(StorageError, match=r"x\.bin: cannot take more .12 requested and 4 written"):
        write_until(tmp_path / "x.bin", OSError("12 requested and 4 written"))


def write_until(path, error):
    with atomic_file(path) as file:
        file.write(b"half")
        raise error


def test_other_errors_of_a_disk_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError):
        write_until(tmp_path / "x.bin", PermissionError(errno.EACCES, "Permission denied"))


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_numbers_that_json_does_not_know_become_null() -> None:
    text = json_text({"a": [math.nan, 1.5, (-math.inf,)], "b": math.inf})
    assert json.loads(text) == {"a": [None, 1.5, [None]], "b": None}


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "size unknown"), (17, "17 B"), (2_277, "2.28 kB"), (1_333_825_096, "1.33 GB")],
)
def test_sizes_read_as_people_say_them(size, text):
    assert describe_size(size) == text
