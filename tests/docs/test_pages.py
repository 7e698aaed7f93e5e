"""The commands and snippets of every page run as printed, in its order, in one folder.

Published weights are replaced by `mini` and its demo head; ``walks.py`` says what is made small and
what other tests run. What the commands write is named on the page of files.
"""

import fnmatch
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hear_aesthetics.cli import main
from tests.docs.snippets import (
    ROOT,
    Snippet,
    expanded,
    offline,
    ours,
    pages,
    snippets,
    without_assignments,
)
from tests.docs.walks import ELSEWHERE, HEAR, SONGEVAL, WALKS, Walk
from tests.songeval_task.service.conftest import serving

ADDRESS = "http://127.0.0.1:7860"
PUBLISHED_IN_PYTHON = {'from_pretrained("track2")': 'from_pretrained("demo", model="mini")'}
WRITERS = (  # pages whose commands write much
    *(SONGEVAL, HEAR, "docs/howto/calibrate.md", "docs/howto/many_songs.md"),
    *("docs/howto/embed.md", "docs/howto/audit.md", "docs/howto/audiomos.md"),
    "docs/tutorials/catalogue.md",
)
GIVEN = re.compile(r"[A-Z]+\.\w+")  # a file of the user's naming
SHELL = re.compile(r"&&|\|\||^(cp|mkdir|curl)\b")


def run_command(command: str, folder: Path) -> str | None:
    """Run a command; what it said, if it failed."""
    variables, rest = without_assignments(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in variables.items():
            if name == "PYTHONPATH":
                patch.syspath_prepend(ROOT / value)
            else:
                patch.setenv(name, value)
        if ours(command) is None or SHELL.search(rest):
            return run_in_shell(rest, folder)
        words = expanded(rest.removeprefix("time "), folder)[1:]
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
            main(offline(words))
        return said.getvalue() if ended.value.code else None


def run_in_shell(command: str, folder: Path) -> str | None:
    """Run a command that needs a shell or is another program."""
    done = subprocess.run(
        ["bash", "-c", f'PATH="{Path(sys.executable).parent}:$PATH"; {command}'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr or done.stdout if done.returncode else None


def run_python(text: str, folder: Path, names: dict[str, Any]) -> None:
    """Run a block of Python, after those before it on the page."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.chdir(folder)
        exec(compile(text, "snippet", "exec"), names)  # a page of this repository


def left_out(text: str, walk: Walk) -> str | None:
    """The pattern by which a command or snippet is not run."""
    patterns = (*walk.left_out, *ELSEWHERE)
    return next((p for p in patterns if re.search(p, text, re.MULTILINE)), None)


def made_small(snippet: Snippet, walk: Walk) -> Snippet:
    """The block with what is run instead of what it prints."""
    text = snippet.text
    for printed, small in {**walk.small, **PUBLISHED_IN_PYTHON}.items():
        text = text.replace(printed, small)
    return Snippet(snippet.page, snippet.line, snippet.language, text)


@pytest.fixture(scope="session")
def walked(
    furnish: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Walks a page once; its folder."""
    walks: dict[str, tuple[Path, dict[str, str]]] = {}

    def walk_once(page: str) -> Path:
        if page not in walks:
            follows = WALKS[page].follows
            folder = walk_once(follows) if follows else tmp_path_factory.mktemp("walk")
            if not follows:
                furnish(folder)
            walks[page] = folder, walk_page(page, folder, tmp_path_factory.mktemp("server"))
        folder, failed = walks[page]
        assert failed == {}
        return folder

    return walk_once


def walk_page(page: str, folder: Path, temporary: Path) -> dict[str, str]:
    """Run what a page prints; the commands that failed, and what they said."""
    walk, failed = WALKS[page], {}
    names: dict[str, Any] = {"__name__": "snippet"}
    with ExitStack() as stack:
        address = ADDRESS
        if walk.server:
            _, address = stack.enter_context(serving(temporary, "--no-page"))
        for snippet in snippets(page):
            small = made_small(snippet, walk)
            for command in small.commands:
                if left_out(command, walk) is None:
                    said = run_command(command.replace(ADDRESS, address), folder)
                    if said is not None:
                        failed[command] = said
            if small.language == "python" and left_out(small.text, walk) is None:
                run_python(small.text.replace(ADDRESS, address), folder, names)
    return failed


def shown() -> Iterator[str]:
    """Pages of the site that print something to run."""
    for page in pages():
        if page.startswith("docs/") and any(s.language in ("sh", "python") for s in snippets(page)):
            yield page


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKS)
def test_it_runs_as_printed(page: str, walked: Callable[[str], Path]) -> None:
    if WALKS[page].server and not shutil.which("curl"):
        pytest.skip("curl is missing")
    walked(page)


def test_every_page_is_walked() -> None:
    assert set(shown()) == {*WALKS}


@pytest.mark.parametrize("page", WALKS)
def test_what_is_replaced_or_left_out_is_on_the_page(page: str) -> None:
    walk, blocks = WALKS[page], list(snippets(page))
    texts = "\n".join(block.text for block in blocks)
    assert [printed for printed in walk.small if printed not in texts] == []
    lines = [c for b in blocks for c in b.commands] + [b.text for b in blocks if not b.commands]
    for pattern in walk.left_out:
        assert any(re.search(pattern, line, re.MULTILINE) for line in lines), pattern


@pytest.mark.slow
def test_from_songs_to_a_report_something_is_learnt(walked: Callable[[str], Path]) -> None:
    run = walked(SONGEVAL) / "run"
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    assert metrics["utterance"]["count"] == 12
    raters = metrics["raters"]  # four, of the run's own songs; their errors are half a point
    assert (raters["count"], raters["raters"]) == (12, 4)
    assert raters["mean"]["reliability"][0] > 0.5
    # about 0.5; chance is 0 with a standard deviation near 0.2 on twelve songs
    assert metrics["utterance"]["mean"]["lcc"][0] > 0.3
    losses = pd.read_csv(run / "log.csv")["loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]


@pytest.mark.slow
def test_the_five_best_are_in_a_folder(walked: Callable[[str], Path]) -> None:
    best = walked("docs/tutorials/songs.md") / "best"
    ranks = pd.read_csv(best / "scores.csv")["mean"]
    assert len(list(best.glob("[0-9]*"))) == len(ranks) > 1
    assert ranks.is_monotonic_decreasing


@pytest.mark.slow
@pytest.mark.parametrize("page", WRITERS)
def test_what_is_written_is_on_the_page_of_files(
    page: str, walked: Callable[[str], Path], furnished: set[str]
) -> None:
    folder = walked(page)
    text = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    patterns = {pattern for cell in cells for pattern in re.findall(r"`([^`]+)`", cell)}
    # Pages that go on in a folder name files of their own there.
    named = {w for each in WALKS for s in snippets(each) for c in s.commands for w in c.split()}
    named |= {f"{word.rstrip('/')}.txt" for word in named}  # the list beside a folder of arrays
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    ours = {f for f in files - named if f.split("/")[0] not in furnished | {"best"}}
    assert sorted(f for f in ours if not any(matches(f, p) for p in patterns)) == []


def matches(place: str, pattern: str) -> bool:
    """Whether a file is what a pattern of the page of files describes."""
    parts = pattern.split("/")
    if len(parts) == 1 and GIVEN.fullmatch(pattern):
        return False
    plain = [re.sub(r"^[A-Z]+(?=\.|$)", "*", part) for part in parts]
    plain[-1] = re.sub(r"\d{5}", "?????", plain[-1]).replace("000000", "??????")
    wanted = "/".join(plain[1:] if plain[0] == "*" and len(plain) > 1 else plain)
    wanted = wanted.replace("chunk-0000", "chunk-????").replace("train", "*")
    return fnmatch.fnmatch(place, f"*/{wanted}") or fnmatch.fnmatch(place, wanted)
