"""``make dist``: which environments there are, and what is told of one that fails."""

import sys
from pathlib import Path

import pytest

from scripts import dist
from scripts.portable import oldest_requirements


def test_pythons_found_are_of_their_version() -> None:
    found = dist.pythons()
    assert found
    assert set(found) <= {f"3.{minor}" for minor in dist.MINORS}


def test_the_oldest_environment_has_the_core_alone() -> None:
    pins = oldest_requirements("")
    assert any(pin.startswith("torch==2.") for pin in pins)
    assert not any(pin.startswith(("pytest", "ray", "gradio")) for pin in pins)


def test_a_check_that_fails_is_shown_and_told(tmp_path: Path, capsys) -> None:
    good, bad = (sys.executable, "-c", "pass"), (sys.executable, "-c", "1 / 0")
    assert dist._run("3.11", "demo", [good], tmp_path) == "ok"
    assert dist._run("3.11", "demo", [good, bad], tmp_path) == "FAILED"
    assert "--- 3.11: demo" in (said := capsys.readouterr().err)
    assert "ZeroDivisionError" in said


def test_a_row_that_does_not_exist_is_refused(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["dist", "2.7"])
    with pytest.raises(SystemExit):
        dist.main()
    assert "no such row: 2.7" in capsys.readouterr().err
