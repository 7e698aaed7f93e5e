"""Command line ``hear-aesthetics``, whose commands are imported when they are asked for.

A command ends by returning, by ``typer.Exit(code)``, or by an error. What is raised on purpose
(``HearAestheticsError``) and what the system refuses at a path becomes one line on stderr and an
exit code (``commands.console.ExitCode``). Anything else is a fault of this program, and the
line says so. With ``--debug``, or ``HEAR_AESTHETICS_DEBUG=1``, errors are shown with tracebacks.
"""

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup
from typer.main import get_command

from hear_aesthetics.commands.cluster import with_ray_address
from hear_aesthetics.commands.console import (
    ExitCode,
    describe_error,
    error_line,
    log_to_stderr,
    show_tracebacks,
    tracebacks_shown,
)
from hear_aesthetics.errors import InputError
from hear_aesthetics.version import __version__

__all__ = ["COMMANDS", "PROGRAM", "load_command", "main", "run"]

# Name -> import path of its Typer app or function: packages above are not imported here.
COMMANDS = {
    "demo": "songeval_task.commands.demo:demo",
    "doctor": "hear_aesthetics.commands.doctor:doctor",
    "models": "hear_aesthetics.commands.models:app",
    "embed": "hear_aesthetics.commands.embed:embed",
    "evaluate": "hear_aesthetics.commands.evaluate:evaluate",
    "evaluate-embeddings": "hear_aesthetics.commands.evaluate_embeddings:evaluate_embeddings",
    "render-pool": "hear_aesthetics.commands.render_pool:render_pool",
    "pretrain": "hear_aesthetics.commands.pretrain:pretrain",
    "leaderboard": "hear_aesthetics.commands.leaderboard:leaderboard",
    "score": "songeval_task.commands.score:score",
    "merge": "songeval_task.commands.shards:merge",
    "compare": "songeval_task.commands.compare:compare",
    "calibrate": "songeval_task.commands.calibrate:calibrate",
    "serve": "songeval_task.commands.serve:serve",
    "audit": "songeval_task.commands.audit:audit",
    "songeval": "songeval_task.commands.songeval.app:app",
    "musiceval": "musiceval_task.commands.musiceval:app",
}
PROGRAM = "hear-aesthetics"
MARKUP: Literal["markdown"] = "markdown"  # of docstrings; "rich" would swallow [brackets]


def main(args: Sequence[str] | None = None) -> None:
    """Run ``hear-aesthetics`` with arguments, by default those of the process, and exit."""
    app = typer.Typer(
        cls=_LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=MARKUP
    )
    app.callback(context_settings={"help_option_names": ["-h", "--help"]})(_options)
    _execute(get_command(app), PROGRAM, args)


def run(name: str, program: str, args: Sequence[str] | None = None) -> None:
    """Run one command as a program of its own, such as ``"python -m songeval_task"``, and exit."""
    _execute(load_command(name), program, args)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show errors with their traceback; anywhere on the line."),
    ] = False,
) -> None:
    """Music representations, song aesthetics scores and the HEAR benchmark."""


def _execute(command: Any, program: str, args: Sequence[str] | None) -> None:
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: no other file may take its place
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115
    log_to_stderr()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names may be any bytes
    args = list(sys.argv[1:] if args is None else args)
    options = args[: args.index("--")] if "--" in args else args
    show_tracebacks("--debug" in options)
    options, others = [word for word in options if word != "--debug"], args[len(options) :]
    args = with_ray_address(options) + others
    try:
        command.main(args=args, prog_name=program)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        if tracebacks_shown():
            raise
        error_line(describe_error(error))
        sys.exit(ExitCode.USAGE if isinstance(error, InputError) else ExitCode.FAILED)


class _LazyGroup(TyperGroup):
    """Command group that imports a command when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names: Any = dict.fromkeys(COMMANDS)
        self.commands = names  # the help lists these, and a misspelt name gets a hint from them

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, or None."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None


def load_command(name: str) -> Any:
    """Return the command, or the group of commands, of a name in ``COMMANDS``."""
    app = resolve_name(COMMANDS[name])
    if not isinstance(app, typer.Typer):
        function, app = app, typer.Typer(rich_markup_mode=MARKUP)
        app.command()(function)
    command = get_command(app)
    command.name = name
    completion = "install_completion", "show_completion"  # which the program as a whole would have
    command.params = [option for option in command.params if option.name not in completion]
    return command
