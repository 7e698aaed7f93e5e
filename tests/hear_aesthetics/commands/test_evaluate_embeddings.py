"""What one task's failure looks like beside the others."""

import errno
from pathlib import Path

import pytest

from hear_aesthetics.commands.console import show_tracebacks
from hear_aesthetics.commands.evaluate_embeddings import ProbeOptions, evaluate_each
from hear_aesthetics.engine.progress import ProgressBar

OPTIONS = ProbeOptions("robust", "faster", 1, 1, "float32", "cpu", overwrite=False)


def failing(error: Exception):
    def embed(folder: Path, bar: ProgressBar) -> Path:
        raise error

    return embed


def test_what_the_system_refuses_is_described_as_by_every_command(tmp_path, capsys):
    full = OSError(errno.ENOSPC, "No space left on device", "out/a.npy")
    assert evaluate_each([tmp_path], OPTIONS, embed=failing(full)).exit_code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "out/a.npy: No space left on device; make room" in said
    assert "unexpected" not in said


def test_an_unexpected_error_is_raised_where_tracebacks_are_asked_for(tmp_path, capsys):
    fault = failing(ZeroDivisionError("division by zero"))
    assert evaluate_each([tmp_path], OPTIONS, embed=fault).exit_code == 1
    assert "unexpected ZeroDivisionError" in capsys.readouterr().err
    show_tracebacks(True)
    try:
        with pytest.raises(ZeroDivisionError):
            evaluate_each([tmp_path], OPTIONS, embed=fault)
    finally:
        show_tracebacks(False)
