import pickle

import numpy as np
import pytest

from hear_aesthetics.checkpoints.pickles import read_plain_pickle


class Trap:
    """A pickle of this runs code when it is loaded."""

    def __reduce__(self):
        return print, ("sprung",)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_and_numpy_scalars_are_read(tmp_path, protocol):
    values = [{"a": 1, "b": 2.5, "c": None}, ["text", True], np.float32(0.5)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(values, protocol))
    assert read_plain_pickle(tmp_path / "x.pkl") == values


@pytest.mark.parametrize(
    "content", [pickle.dumps([Trap()]), pickle.dumps(np.ones(2)), b"", b"\x80\x04\x8e\xff"]
)
def test_everything_else_is_refused_and_runs_nothing(tmp_path, capsys, content):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(pickle.UnpicklingError):
        read_plain_pickle(tmp_path / "x.pkl")
    assert capsys.readouterr().out == ""


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_plain_pickle(tmp_path / "none.pkl")
