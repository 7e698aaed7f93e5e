"""Arrays and their records: never one beside the record of another, whenever a writer dies."""

import numpy as np
import pytest

from hear_aesthetics.engine import npy_files
from hear_aesthetics.engine.npy_files import read_record, write_features
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
