"""The rows of ``make portable``: what is counted, and which versions are the oldest."""

import sys

import pytest

from scripts import portable


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("184 passed, 6 deselected in 8.81s", (184, 0, 0)),
        ("2 failed, 10 passed, 3 skipped, 1 error in 61.00s (0:01:01)", (10, 3, 3)),
        ("", (0, 0, 0)),
    ],
)
def test_the_last_line_of_pytest_is_counted(line, found):
    assert tuple(portable.counts(f"..F\n{line}\n").values()) == found


def test_the_oldest_versions_are_the_lower_bounds():
    pins = portable.oldest_requirements()
    assert any(pin.startswith("torch==2.") for pin in pins)
    assert not any(pin.startswith(("ruff", "mypy")) for pin in pins)


def test_a_row_that_does_not_exist_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["portable", "nothing"])
    with pytest.raises(SystemExit):
        portable.main()
    assert "no such row: nothing" in capsys.readouterr().err
