import os
import subprocess
import sys

import pytest

import hear_aesthetics
from hear_aesthetics import cli
from hear_aesthetics.cli import main, run

COMMANDS = '''
import os
from pathlib import Path

import typer

import hear_aesthetics.commands.console
from hear_aesthetics.errors import AudioError, InputError

ERRORS = {
    "audio": AudioError("a.mp3: an empty file; remove it"),
    "input": InputError("rows.jsonl:2: not JSON; write one object per line"),
    "value": ValueError("no model 'nonsense'; there are 'large', 'mini'"),
    "system": OSError(28, "No space left on device", "out.csv"),
    "missing": ModuleNotFoundError("No module named 'accelerate.utils'"),
    "engine": ImportError("Unable to find a usable engine; tried using: 'pyarrow', 'fastparquet'."),
    "foreign": ModuleNotFoundError("No module named 'avalanche'"),
    "bug": KeyError("a bug"),
    "keyboard": KeyboardInterrupt(),
    "partial": typer.Exit(hear_aesthetics.commands.console.ExitCode.PARTIAL),
}


def plain(kind: str, count: int = 1) -> None:
    """Fail in a way; see `hear-aesthetics[av]`."""
    raise ERRORS[kind]


def name(path: Path) -> None:
    """Say a name."""
    typer.echo(path)


app = typer.Typer(help="A group of two.")
app.command("one")(lambda: typer.echo("one"))
app.command("two")(lambda: typer.echo("two"))
'''


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Puts commands in place of ours."""
    (tmp_path / "fake_commands.py").write_text(COMMANDS)
    (tmp_path / "fake_broken.py").write_text("raise RuntimeError('at import')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("HEAR_AESTHETICS_DEBUG", raising=False)

    paths = {
        "plain": "fake_commands:plain",
        "name": "fake_commands:name",
        "group": "fake_commands:app",
        "broken": "fake_broken:command",
    }
    monkeypatch.setattr(cli, "COMMANDS", paths)
    yield paths
    for module in ("fake_commands", "fake_broken"):
        sys.modules.pop(module, None)


def outcome(capsys, function, *args):
    """Exit code, stdout and stderr of a run."""
    with pytest.raises(SystemExit) as exit_:
        function(*args)
    return (int(exit_.value.code or 0), *capsys.readouterr())


def test_help_lists_every_command(commands, capsys):
    del commands["broken"]
    code, out, err = outcome(capsys, main, ["--help"])
    assert (code, err) == (0, "")
    for text in ("plain", "Fail in a way", "hear-aesthetics[av]", "group", "A group of two."):
        assert text in out


def test_only_the_command_that_is_called_is_imported(commands, capsys):
    assert outcome(capsys, main, ["group", "two"]) == (0, "two\n", "")
    assert "fake_broken" not in sys.modules


@pytest.mark.parametrize(
    ("kind", "code", "line"),
    [
        ("audio", 1, "a.mp3: an empty file; remove it"),
        ("input", 2, "rows.jsonl:2: not JSON; write one object per line"),
        ("system", 1, "out.csv: No space left on device; make room"),
        ("value", 1, "unexpected ValueError: no model 'nonsense'"),
        ("missing", 1, "this needs accelerate>=1.0, which cannot be imported; run `pip install"),
        ("engine", 1, "this needs pyarrow>=15, which cannot be imported; run `pip install 'hear-"),
        ("foreign", 1, "unexpected ModuleNotFoundError: No module named 'avalanche'; please"),
        ("bug", 1, "unexpected KeyError: 'a bug'; please report it (--debug shows"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_a_code(kind, code, line, commands, capsys):
    found, out, err = outcome(capsys, main, ["plain", kind])
    assert (found, out) == (code, "")
    assert err.startswith(f"error: {line}")
    assert len(err.splitlines()) == 1


def test_debugging_shows_where_an_error_comes_from(commands, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_DEBUG", "1")
    with pytest.raises(OSError, match="No space left"):
        main(["plain", "system"])
    monkeypatch.setenv("HEAR_AESTHETICS_DEBUG", "0")
    with pytest.raises(SystemExit):
        main(["plain", "system"])


@pytest.mark.parametrize("args", [["--debug", "plain", "bug"], ["plain", "bug", "--debug"]])
def test_debug_may_stand_anywhere(args, commands):
    with pytest.raises(KeyError):
        main(args)
    with pytest.raises(KeyError):
        run("plain", "python -m fake", ["bug", "--debug"])


def test_debug_behind_two_dashes_is_an_argument(commands, capsys):
    assert outcome(capsys, main, ["name", "--", "--debug"]) == (0, "--debug\n", "")


def test_a_keyboard_interrupt_is_quiet(commands, capsys):
    assert outcome(capsys, main, ["plain", "keyboard"]) == (130, "", "")


def test_the_code_of_a_command_is_the_code_of_the_program(commands, capsys):
    assert outcome(capsys, main, ["plain", "partial"]) == (3, "", "")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["plian", "x"], "Did you mean 'plain'?"),
        (["plain", "x", "--counts", "3"], "--counts"),
        (["plain", "x", "--count", "many"], "integer"),
        (["plain"], "Missing argument"),
        (["group"], "Missing command"),
    ],
)
def test_wrong_usage_is_code_2(args, text, commands, capsys):
    code, out, err = outcome(capsys, main, args)
    assert (code, out) == (2, "")
    assert text in err


def test_version_is_that_of_the_package(commands, capsys):
    expected = (0, f"hear-aesthetics {hear_aesthetics.__version__}\n", "")
    assert outcome(capsys, main, ["--version"]) == expected


def test_a_package_can_run_its_own_command_as_a_program(commands, capsys):
    assert outcome(capsys, run, "group", "python -m fake", ["one"]) == (0, "one\n", "")
    code, out, _ = outcome(capsys, run, "group", "python -m fake", ["--help"])
    assert code == 0
    assert "Usage: python -m fake" in out
    assert "--install-completion" not in out
    code, _, err = outcome(capsys, run, "plain", "python -m fake", ["audio"])
    assert (code, err) == (1, "error: a.mp3: an empty file; remove it\n")


def test_file_names_that_are_no_utf8_can_be_printed(commands, tmp_path):
    program = "from hear_aesthetics import cli\n"
    program += "cli.COMMANDS = {'name': 'fake_commands:name'}\n"
    program += "cli.main()"
    command = [sys.executable, "-c", program, "name", os.fsdecode(b"caf\xe9.wav")]
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(command, capture_output=True, env=env, check=True)
    assert result.stdout == b"caf\xe9.wav\n"


# Our commands


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_help(name, capsys):
    code, out, err = outcome(capsys, main, [name, "--help"])
    assert (code, err) == (0, "")
    assert f"Usage: hear-aesthetics {name}" in out


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from hear_aesthetics.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("closed", ["0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_change_no_outcome(closed):
    command = [sys.executable, "-m", "hear_aesthetics", "models", "list"]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    assert subprocess.run(shell, check=False).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        "songeval prepare songs --out out --valid-fraction nan",
        "songeval prepare songs --out out --seed -1",
        "songeval synthesize out --seed -1",
        "songeval augment out --out out --seed -1",
        "songeval train --data a --features b --out out --seed -1",
        "musiceval synthesize out --seed -1",
        "pretrain --source muq --out out --seconds nan",
        "pretrain --source muq --out out --learning-rate nan",
        "pretrain --source muq --out out --pool-hours -1",
    ],
)
def test_numbers_out_of_range_are_wrong_usage(words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = outcome(capsys, main, words.split())
    assert code == 2
    assert f"Invalid value for '{words.split()[-2]}'" in err
