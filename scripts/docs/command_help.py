"""Pages of the command line, one for each command, from what its ``--help`` is made of."""

from collections.abc import Iterator
from typing import Any

import typer

from hear_aesthetics.cli import COMMANDS, PROGRAM, load_command

FOLDER = "reference/commands"


def command_pages() -> Iterator[tuple[str, str]]:
    """Yield path and Markdown of a page for every command, and of one that lists them."""
    lines = ["# Commands", "", f"`{PROGRAM} COMMAND --help` says what these pages say.", ""]
    lines += ["| command | what it does |", "|---|---|"]
    for name in COMMANDS:
        command = load_command(name)
        lines.append(f"| [`{name}`]({name}.md) | {cell(first_line(command))} |")
        yield f"{FOLDER}/{name}.md", "\n".join([f"# {name}", "", *sections(command, [name])])
    yield f"{FOLDER}/index.md", "\n".join(lines) + "\n"


def sections(command: Any, names: list[str]) -> Iterator[str]:
    """Yield the lines of a command, and of those below it."""
    context = typer.Context(command, info_name=" ".join([PROGRAM, *names]))
    below = getattr(command, "commands", {})
    yield from ["```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
    yield from [command.help or "", ""]
    records = [] if below else [p.get_help_record(context) for p in command.params]
    shown = [record for record in records if record is not None]
    if shown:
        yield from ["| argument or option | meaning |", "|---|---|"]
        yield from (f"| {code(names)} | {cell(meaning)} |" for names, meaning in shown)
        yield ""
    for name, child in below.items():
        yield from [f"## {' '.join([*names, name])}", ""]
        yield from sections(child, [*names, name])


def first_line(command: Any) -> str:
    """Return what a command does, in a line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def code(text: str) -> str:
    """Return a cell of code."""
    return f"`{text}`".replace("|", "\\|")


def cell(text: str) -> str:
    """Return a cell of text, in which nothing is markup."""
    text = " ".join(text.split())
    for sign in "\\|<*_[":
        text = text.replace(sign, f"\\{sign}")
    return text
