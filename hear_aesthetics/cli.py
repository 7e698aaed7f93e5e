"""The command line ``hear-aesthetics``: a shell around commands that packages register.

Each entry point of the group ``hear_aesthetics.commands`` is a command: a Typer app, or a function
that becomes one. Only the command that is called is imported, or all of them for the list that
``--help`` shows; one that does not load costs a warning there.

A command ends by returning, by ``typer.Exit(code)``, or by an error that is meant for the user.
That becomes one line on stderr and an exit code (``hear_aesthetics.console.ExitCode``); with
``HEAR_AESTHETICS_DEBUG=1`` in the environment it is raised, with its traceback.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup
from typer.main import get_command

from hear_aesthetics import __version__
from hear_aesthetics.console import ExitCode, error_line, log_to_stderr, warning_line
from hear_aesthetics.errors import HearAestheticsError, InputError

__all__ = ["main", "run"]

GROUP = "hear_aesthetics.commands"
PROGRAM = "hear-aesthetics"
DEBUG = "HEAR_AESTHETICS_DEBUG"
MARKUP: Literal["markdown"] = "markdown"  # of docstrings; "rich" would swallow [brackets]


def main(args: Sequence[str] | None = None) -> None:
    """Runs ``hear-aesthetics`` and exits.

    Args:
        args: Arguments; by default those of the process.
    """
    app = typer.Typer(
        cls=_Commands, add_completion=False, no_args_is_help=True, rich_markup_mode=MARKUP
    )
    app.callback(context_settings={"help_option_names": ["-h", "--help"]})(_options)
    _execute(get_command(app), PROGRAM, args)


def run(name: str, program: str, args: Sequence[str] | None = None) -> None:
    """Runs one registered command as a program of its own, and exits.

    Args:
        name: Of the entry point, such as ``"songeval"``.
        program: What the user typed, such as ``"python -m songeval_task"``.
        args: Arguments; by default those of the process.
    """
    with _one_line_errors():
        entry_point = _registered().get(name)
        if entry_point is None:
            raise HearAestheticsError(
                f"no command {name!r} is registered; install the package again"
            )
        command = _load(entry_point)
    _execute(command, program, args)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Music representations, song aesthetics scores and the HEAR benchmark."""


def _execute(command: Any, program: str, args: Sequence[str] | None) -> None:
    log_to_stderr()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names may be any bytes
    with _one_line_errors():
        command.main(args=args, prog_name=program)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turns what the user can act on into a line on stderr and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except (HearAestheticsError, ValueError, OSError, ImportError) as error:
        if os.environ.get(DEBUG, "0") not in ("", "0"):
            raise
        known = isinstance(error, HearAestheticsError)
        error_line(error if known else f"{error} ({DEBUG}=1 shows where this comes from)")
        wrong_usage = isinstance(
            error, InputError | ValueError
        )  # ValueError: a wrong name or value
        sys.exit(ExitCode.USAGE if wrong_usage else ExitCode.FAILED)


class _Commands(TyperGroup):
    """The registered commands, imported when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._entry_points = _registered()
        self._loaded: dict[str, Any] = {}
        names: Any = dict.fromkeys(self._entry_points)
        self.commands = names  # a misspelt name gets a hint from these

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands that load, for the help."""
        return [name for name in self._entry_points if self._loads(ctx, name)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None; one that is registered but does not load raises."""
        if cmd_name in self._entry_points and cmd_name not in self._loaded:
            self._loaded[cmd_name] = _load(self._entry_points[cmd_name])
        return self._loaded.get(cmd_name)

    def _loads(self, ctx: Any, name: str) -> bool:
        try:
            self.get_command(ctx, name)
        except HearAestheticsError as error:
            warning_line(error)
            return False
        return True


def _registered() -> dict[str, EntryPoint]:
    """The entry points by name, sorted; our own before a namesake of another package."""
    found: dict[str, EntryPoint] = {}
    points = entry_points(group=GROUP)
    for point in sorted(points, key=lambda point: (point.name, _owner(point) != PROGRAM)):
        if found.setdefault(point.name, point) is not point:
            warning_line(f"command {point.name!r} of {_owner(point)} is ignored: the name is taken")
    return found


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _load(point: EntryPoint) -> Any:
    """The command behind an entry point.

    Raises:
        HearAestheticsError: If it does not load, for whatever reason.
    """
    try:
        return _command(point.load(), point.name)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise HearAestheticsError(
            f"command {point.name!r} does not load ({reason}); update or remove {_owner(point)}"
        ) from error


def _command(value: Callable[..., Any] | typer.Typer, name: str) -> Any:
    if isinstance(value, typer.Typer):
        app = value
    else:
        app = typer.Typer(rich_markup_mode=MARKUP)
        app.command()(value)
    command = get_command(app)
    command.name = name
    completion = "install_completion", "show_completion"  # which the program as a whole would have
    command.params = [option for option in command.params if option.name not in completion]
    return command
