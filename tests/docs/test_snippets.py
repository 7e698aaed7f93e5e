"""Every block of the documentation is of a language that is checked, and names what exists."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.snippets import (
    LAUNCHED,
    ROOT,
    Snippet,
    is_command,
    offline,
    ours,
    pages,
    parse,
    snippets,
    without_assignments,
)

LANGUAGES = {"sh", "python", "json", "yaml", "text"}
PROGRAMS = {  # besides ours
    *("accelerate", "apt-get", "cp", "curl", "docker", "export", "hear-aesthetics", "hf", "make"),
    *("mkdir", "mteb", "pip", "python", "sbatch", "torchrun"),
}
INLINE = re.compile(r"`(hear-aesthetics [\w-]+[^`]*)`")
SOURCES = [page for page in pages() if "](" in (ROOT / page).read_text(encoding="utf-8")]
FENCED = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ALL = [snippet for page in pages() for snippet in snippets(page)]


def at(snippet: Snippet) -> str:
    return f"{snippet.page}:{snippet.line}"


@pytest.mark.parametrize("snippet", ALL, ids=at)
def test_its_language_is_one_that_is_checked(snippet: Snippet) -> None:
    assert snippet.language in LANGUAGES
    if snippet.language == "json":
        json.loads(snippet.text)


@pytest.mark.parametrize("snippet", [s for s in ALL if s.commands], ids=at)
def test_its_commands_take_these_arguments(snippet: Snippet) -> None:
    for command in snippet.commands:
        _, rest = without_assignments(command)
        program = rest.removeprefix("time ").split()[0]
        assert program in PROGRAMS or program.startswith(".venv-"), command
        if (arguments := ours(command)) is not None:
            parse(arguments)
        else:
            check_other(program, rest)


def check_other(program: str, command: str) -> None:
    """What a command of another program names of this repository is there."""
    words = command.split()
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in words[1:]:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), command
    if program == "pip":
        extras = set(re.findall(r"\[([\w,]+)\]", command))
        known = re.findall(r'^    "(\w+)": \[|^EXTRAS\["(\w+)"\]', setup_text(), re.MULTILINE)
        assert {e for extra in extras for e in extra.split(",")} <= {a or b for a, b in known}
    if program == "python" and words[1] == "-m":
        assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file(), command
    for word in words:
        if re.match(r"(deploy|examples|requirements)/", word):
            assert (ROOT / word).exists(), command


def setup_text() -> str:
    return (ROOT / "setup.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", pages())
def test_commands_in_its_text_name_commands_that_exist(page: str) -> None:
    text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for found in INLINE.findall(text):
        arguments = found.removeprefix("hear-aesthetics ")
        if not is_command(arguments.split()) and not re.search(r"[A-Z]{3,}|\.\.\.", arguments):
            parse(arguments)
    for module in re.findall(r"python -m\s+((?:benchmarks|scripts)[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or path.is_dir(), module


def test_published_weights_and_heads_are_left_out() -> None:
    words = [
        "score",
        "a",
        "--head",
        "track2",
        "--head",
        "songeval",
        "--model",
        "large",
        "--top",
        "2",
    ]
    assert offline(words) == ["score", "a", "--top", "2", "--model", "mini"]
    assert offline(["embed", "a", "--model", "pair"]) == ["embed", "a", "--model", "pair"]


def test_launched_programs_are_ours() -> None:
    assert LAUNCHED.match("torchrun --nproc-per-node 4 -m hear_aesthetics embed a")


def anchors(text: str) -> set[str]:
    """Names of the headings of a page, as code hosts and the site make them."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", [*SOURCES, "ARCHITECTURE.md", "CHANGELOG.md"])
def test_its_links_lead_to_files_and_headings(page: str) -> None:
    text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    lost = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            lost.append(target)
    assert not lost


def test_the_readme_is_short_and_its_doors_are_open() -> None:
    """What it prints is run where the pages print it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 160
    elsewhere = [s for s in ALL if s.page not in ("README.md", "docs/howto/install.md")]
    printed = {command for snippet in elsewhere for command in snippet.commands}
    shown = [c for s in snippets("README.md") for c in s.commands if not c.startswith("make ")]
    assert [command for command in shown if command not in printed] == []
    python = "".join(s.text for s in elsewhere if s.language == "python").splitlines()
    for snippet in snippets("README.md"):
        if snippet.language == "python":
            assert [line for line in snippet.text.splitlines() if line not in python] == []


def test_the_pages_of_the_site_are_all_in_its_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [
        p for p in pages() if p.startswith("docs/") and Path(p[5:]).as_posix() not in menu
    ] == []
