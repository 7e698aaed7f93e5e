"""Arrays and their records: never one beside the record of another, whenever a writer dies."""

from pathlib import Path

import numpy as np
import pytest

from hear_aesthetics.engine import npy_files
from hear_aesthetics.engine.npy_files import check_listed, read_record, write_features, write_list
from hear_aesthetics.errors import InputError

OLD, NEW = np.zeros((3, 2), "f4"), np.ones((4, 2), "f4")


@pytest.mark.parametrize("step", ["write_text", "atomic_file"])
def test_a_writer_that_dies_leaves_no_array_of_another_record(tmp_path, monkeypatch, step) -> None:
    path = tmp_path / "song.npy"
    write_features(path, OLD, {"layer": 1})

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(npy_files, step, die)
        with pytest.raises(KeyboardInterrupt):
            write_features(path, NEW, {"layer": 2})
    assert not path.exists()
    write_features(path, NEW, {"layer": 2})
    assert read_record(path) == {"layer": 2}
    assert np.array_equal(np.load(path), NEW[None])


def test_an_array_without_a_record_is_refused(tmp_path) -> None:
    np.save(tmp_path / "song.npy", OLD)
    with pytest.raises(InputError, match=r"song\.npy: is there, without a record.*--overwrite"):
        read_record(tmp_path / "song.npy")


@pytest.mark.parametrize("name", ["a\tb.wav", "a\nb.wav", "a\rb.wav", "a\udcffb.wav"])
def test_a_name_that_would_tear_the_list_is_refused(name) -> None:
    with pytest.raises(InputError, match="rename the file"):
        check_listed(Path(name), Path("out/a.npy"))
    check_listed(Path("ü; b,c.wav"), Path("out/ü.npy"))


def test_a_name_that_begins_like_a_comment_can_be_read_from_the_list(tmp_path) -> None:
    write_list(tmp_path / "npy.txt", [(Path("#1.wav"), tmp_path / "#1.npy")])
    assert (tmp_path / "npy.txt").read_text() == f"./#1.wav\t{tmp_path / '#1.npy'}\n"
