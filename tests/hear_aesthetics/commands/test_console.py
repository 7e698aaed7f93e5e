import json
import logging
import os
import pty
import re
import subprocess
import sys

import pytest

from hear_aesthetics.commands.console import (
    ExitCode,
    Report,
    error_line,
    exit_code,
    log_to_stderr,
    print_table,
    show_tracebacks,
    write_json,
)

RUN = """
import sys, time
from hear_aesthetics.commands.console import Report
with Report(3, "scored") as report:
    report.done()
    report.fail("[bold]b[/bold].mp3: an empty file; remove it")
    time.sleep(0.2)
    report.done()
sys.exit(report.exit_code)
"""


def on_a_terminal(code, **environment):
    """What a program writes to a stderr that is a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "80"} | environment
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=env)
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    return b"".join(chunks).decode(), process.wait()


@pytest.mark.parametrize(("done", "failed", "code"), [(3, 0, 0), (0, 3, 1), (2, 1, 3), (0, 0, 0)])
def test_exit_codes_tell_all_some_and_none_apart(done, failed, code):
    assert exit_code(done, failed) == code


def test_exit_code_of_wrong_usage_is_what_the_argument_parser_uses():
    assert ExitCode.USAGE == 2


def test_report_counts_and_tells_one_line_per_failure(capsys):
    with Report(3, "embedded") as report:
        report.done(2)
        report.fail("a b  c.mp3: an empty file;\nremove it")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("error: a b  c.mp3: an empty file; remove it\n2 files embedded, 1 failed\n")
    assert (report.worked, report.failed, report.exit_code) == (2, 1, ExitCode.PARTIAL)
    assert report.errors == ["a b  c.mp3: an empty file;\nremove it"]


def test_summary_speaks_of_one_file_in_the_singular():
    report = Report(1, "scored", noun="song")
    report.done()
    assert report.summary == "1 song scored"


def test_an_exception_is_not_followed_by_a_summary(capsys):
    with pytest.raises(KeyboardInterrupt), Report(3, "scored"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""


def test_long_lines_and_brackets_survive(capsys):
    message = "[red]x[/red] :smile: " + "y" * 300
    error_line(message)
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.slow
def test_the_bar_is_drawn_on_a_terminal():
    text, code = on_a_terminal(RUN)
    assert code == ExitCode.PARTIAL
    assert "━" in text
    assert "3/3" in text
    assert re.search(r"\d/s", text), "how many per second"
    assert "[bold]b[/bold].mp3: an empty file; remove it" in text


@pytest.mark.slow
def test_no_color_takes_the_colours_away():
    assert "\x1b[31merror" in on_a_terminal(RUN)[0]
    text, _ = on_a_terminal(RUN, NO_COLOR="1")
    assert "error: [bold]b[/bold]" in text
    assert "\x1b[3" not in text  # no foreground colour


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_no_bar_without_a_terminal_even_if_colours_are_forced(variable):
    result = subprocess.run(
        [sys.executable, "-c", RUN],
        capture_output=True,
        text=True,
        env={**os.environ, variable: "1"},
        check=False,
    )
    assert "━" not in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_json_is_one_document_without_nan(capsys):
    write_json({"a": float("nan"), "b": [1.5, float("inf")], "c": None, "d": "ü", "e": True})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": None, "b": [1.5, None], "c": None, "d": "ü", "e": True}
    assert err == ""


def test_warnings_of_libraries_are_lines_on_stderr(capsys):
    root = logging.getLogger()
    before = list(root.handlers)
    log_to_stderr()
    log_to_stderr()
    try:
        logging.getLogger("hear_aesthetics.audio.loading").warning("%s: cut\noff", "a.mp3")
        logging.getLogger("hear_aesthetics.audio.loading").info("quiet")
    finally:
        root.handlers[:] = before
    assert capsys.readouterr().err == "warning: a.mp3: cut off\n"


@pytest.mark.parametrize("debug", [False, True])
def test_a_log_line_says_which_error_it_is_about(capsys, monkeypatch, debug):
    monkeypatch.setenv("HEAR_AESTHETICS_DEBUG", str(int(debug)))
    root = logging.getLogger()
    before = list(root.handlers)
    log_to_stderr()
    show_tracebacks(False)
    try:
        raise KeyError("lost")
    except KeyError as error:
        logging.getLogger("hear_aesthetics").error("it failed", exc_info=error)
    finally:
        root.handlers[:] = before
        monkeypatch.undo()
        show_tracebacks(False)
    line, *rest = capsys.readouterr().err.splitlines()
    assert line == "error: it failed (KeyError: 'lost')"
    assert (rest[:1] == ["Traceback (most recent call last):"]) == debug


def test_names_cannot_steer_the_terminal_or_turn_the_text(capsys):
    error_line("\x1b[2Ja\u202egnp.wav\x9b: é 音; remove it")
    assert capsys.readouterr().err == "error: \\x1b[2Ja\\u202egnp.wav\\x9b: é 音; remove it\n"


def test_a_table_without_lines_is_its_heading(capsys):
    print_table(["path", "mean"], [], left=("path",))
    assert capsys.readouterr().out.split() == ["path", "mean"]


def test_a_table_in_a_pipe_keeps_its_lines_whole(capsys):
    print_table(["path", "mean"], [["a" * 300, "1.25"]], left=("path",))
    assert capsys.readouterr().out.splitlines()[1].split() == ["a" * 300, "1.25"]


def test_a_line_of_a_table_is_one_line_whatever_a_name_holds(capsys):
    print_table(["path", "mean"], [["a\nb\x1b[2J.wav", "1.25"]], left=("path",))
    assert capsys.readouterr().out.splitlines()[1].split() == [r"a\nb\x1b[2J.wav", "1.25"]
