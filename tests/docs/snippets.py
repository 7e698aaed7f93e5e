"""What the pages of the documentation print: blocks of commands, of Python, of data."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer import Exit

from hear_aesthetics.cli import COMMANDS, load_command

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"^(\w+)=(\S*) ")
LAUNCHED = re.compile(r"^(?:accelerate launch|torchrun)\b.* -m hear_aesthetics (.*)$")
PUBLISHED = (  # weights that would be downloaded
    *("large", "track1", "track2", "songeval", "audiobox", "muq-eval"),
)
NEED_MODEL = ("score", "compare", "calibrate", "audit")  # whose default is the published one


@dataclass(frozen=True)
class Snippet:
    """A block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its commands, each on one line and without what a shell would ignore."""
        if self.language != "sh":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [" ".join(line.split(" #")[0].split()) for line in lines if line.strip()]


def pages() -> list[str]:
    """Pages by their path in the repository."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in found)]


def snippets(page: str) -> Iterator[Snippet]:
    """Blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Snippet(page, text.count("\n", 0, found.start()) + 1, found[2], found[3])


def without_assignments(command: str) -> tuple[dict[str, str], str]:
    """The variables that a command sets, and the rest of it."""
    variables: dict[str, str] = {}
    while found := ASSIGNMENT.match(command):
        variables[found[1]] = found[2]
        command = command[found.end() :]
    return variables, command


def ours(command: str) -> str | None:
    """The arguments of ``hear-aesthetics``, as text; None for another program."""
    _, command = without_assignments(command.split(" || ")[0])
    if command.startswith("time "):
        command = command.removeprefix("time ")
    if found := LAUNCHED.match(command):
        return found[1]
    name, _, arguments = command.partition(" ")
    return arguments if name == "hear-aesthetics" else None


def parse(arguments: str) -> list[str]:
    """Let the command parse its arguments, without doing anything; the words."""
    words = shlex.split(arguments)
    rest = list(words)
    command: Any = load_command(rest.pop(0)) if rest and rest[0] in COMMANDS else None
    assert command is not None, f"no command {words[:1]}"
    while hasattr(command, "commands") and rest:
        command = command.commands[rest.pop(0)]
    rest = [word for word in rest if word != "--debug"]
    if "--ray" in rest:  # its address may be left out
        at = rest.index("--ray")
        if at + 1 == len(rest) or rest[at + 1].startswith("-"):
            rest.insert(at + 1, "local")
    with suppress(Exit):  # of --list and the like, which end the command at once
        command.make_context(command.name, rest)
    return words


def is_command(words: list[str]) -> bool:
    """Whether words name a command, or one below it, and nothing else."""
    command: Any = None
    for number, word in enumerate(words):
        known = getattr(command, "commands", {}) if number else COMMANDS
        if word not in known:
            return False
        command = known[word] if number else load_command(word)
    return True


def expanded(command: str, folder: Path) -> list[str]:
    """The words of a command as a shell makes them in a folder."""
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\0")[:-1]


def offline(words: list[str]) -> list[str]:
    """Arguments of ``hear-aesthetics`` with `mini` and its demo head for published weights."""
    words = list(words)
    for place in range(len(words) - 2, 0, -1):
        if words[place] in ("--model", "--head") and words[place + 1] in PUBLISHED:
            del words[place : place + 2]
    needs = words[0] in NEED_MODEL or words[:2] == ["songeval", "features"]
    if needs and not {"--model", "--server", "--list"} & {*words}:
        words += ["--model", "mini"]
    return words
