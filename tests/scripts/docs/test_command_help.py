"""Pages of commands: one for each, with every option that its help shows and no other."""

import re
from pathlib import Path
from typing import Any

import pytest

from hear_aesthetics.cli import COMMANDS, load_command
from scripts.docs.command_help import FOLDER, command_pages

PAGES = dict(command_pages())
MENU = (Path(__file__).parents[3] / "mkdocs.yml").read_text(encoding="utf-8")


def options(command: Any) -> set[str]:
    """Options of a command and of those below it, but hidden ones."""
    below = getattr(command, "commands", {}).values()
    if below:
        return set().union(*map(options, below))
    shown = (param for param in command.params if not getattr(param, "hidden", False))
    return {name for param in shown for name in param.opts if name.startswith("--")}


@pytest.mark.parametrize("name", COMMANDS)
def test_its_page_has_its_options_and_is_in_the_menu(name: str) -> None:
    page = f"{FOLDER}/{name}.md"
    first = re.findall(r"^\| `([^`]*)` \|", PAGES[page], re.MULTILINE)
    assert options(load_command(name)) <= set(re.findall(r"--[\w-]+", " ".join(first)))
    assert page in MENU


def test_hidden_options_are_on_no_page() -> None:
    assert "--scales" not in PAGES[f"{FOLDER}/embed.md"]


def test_the_list_names_every_command() -> None:
    listed = re.findall(r"^\| \[`([\w-]+)`\]", PAGES[f"{FOLDER}/index.md"], re.MULTILINE)
    assert listed == [*COMMANDS]
