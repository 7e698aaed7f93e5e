import sys

import pytest

from hear_aesthetics.engine.progress import ProgressBar


@pytest.fixture
def terminal(monkeypatch):
    """Make rich take the captured stderr for a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_nothing_is_drawn_without_a_terminal(capsys):
    with ProgressBar("esc50", 2) as bar:
        bar.count()
        bar.stage("embedding")(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_stage_replaces_the_one_before(capsys, terminal, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ProgressBar("esc50") as bar:
        bar.stage("embedding")(2, 2)
        bar.stage("training probes")(3, 4)
    out, err = capsys.readouterr()
    assert out == ""
    assert "esc50: training probes" in err
    assert "3/4" in err


def test_counts_and_figures_are_shown(capsys, terminal):
    with ProgressBar("scored", 9, shown=True) as bar:
        bar.count(4)
        bar.count()
        bar.refresh()
        bar.show(6, 9, "epoch 1/3", "loss 0.250")
    drawn = capsys.readouterr().err
    assert "5/9" in drawn
    assert "epoch 1/3" in drawn
    assert "loss 0.250" in drawn


def test_names_are_no_markup(capsys, terminal):
    with ProgressBar("[bold]song[/red]", 1, shown=True) as bar:
        bar.count()
    assert "[bold]song[/red]" in capsys.readouterr().err
