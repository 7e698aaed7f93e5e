"""The directions of imports: ``LAYERS`` of ``scripts/import_graph.py`` is the rule.

A module may import its own layer and those below. Imports inside functions count too: hiding an
import does not turn its direction. Only the ``__init__`` of a package may reach up, to show its
public names lazily.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from hear_aesthetics.cli import COMMANDS
from scripts.import_graph import LAYERS, Import, imports, is_module, layer, room, rooms

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(LAYERS)
MAX_FILES = 14  # of one folder: more cannot be taken in at a glance

# What each package may import of the others.
ROOMS = {
    "hear_aesthetics": set(),
    "heads": set(),
    "songeval_task": {"hear_aesthetics", "heads"},
    "musiceval_task": {"hear_aesthetics", "heads"},
}

COMMAND_LINE = {"cli", "commands", "__main__"}  # imported by each other and by nothing else
OUTSIDE = {"benchmarks", "tests", "scripts", "setup"}  # import anything, are imported by nothing
HEADS_NEED = {"heads", "torch", "safetensors", "huggingface_hub"} | sys.stdlib_module_names
HEAVY = {"torch", "pandas", "scipy", "sklearn", "matplotlib", "transformers", "librosa"}
PLACES = re.compile(r"/work/|/root/|/home/\w|\.\./shared")  # of one machine, not of the project


def _is_command_line(module: str) -> bool:
    return bool(COMMAND_LINE & set(module.split(".")[1:]))


def _report(violations: list[Import], rule: str) -> None:
    if violations:
        pytest.fail(f"{rule}:\n" + "\n".join(map(str, violations)), pytrace=False)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_layers_name_every_room_and_nothing_else(package: str) -> None:
    assert rooms(package) == set().union(*LAYERS[package])


def test_every_module_that_is_imported_exists() -> None:
    """Also those that are imported where their packages are: no test of this environment would."""
    lost = [i for i in imports() if i.target.split(".")[0] in PACKAGES and not is_module(i.target)]
    _report(lost, "modules of these packages exist")


def test_no_folder_has_too_many_files() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = Counter(str(Path(name).parent) for name in listing.stdout.splitlines())
    assert {folder: count for folder, count in files.items() if count > MAX_FILES} == {}


def test_packages_import_only_the_rooms_below() -> None:
    def allowed(entry: Import) -> bool:
        here, there = entry.source.split(".")[0], entry.target.split(".")[0]
        return there == here or there not in PACKAGES or there in ROOMS[here]

    _report([i for i in imports() if not allowed(i)], f"packages may import {ROOMS}")


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_down(package: str) -> None:
    inner = [i for i in imports() if i.source.split(".")[0] == i.target.split(".")[0] == package]
    upward = [
        i
        for i in inner
        if room(i.source) and layer(package, room(i.target)) > layer(package, room(i.source))
    ]
    _report(upward, "a module imports its own layer and those below")


def test_evaluation_never_imports_the_model() -> None:
    reached = [i for i in imports() if i.source.startswith("hear_aesthetics.evaluation")]
    reached = [i for i in reached if i.target.startswith("hear_aesthetics.model")]
    _report(reached, "evaluation knows any HEAR module by its name only")


def test_nothing_imports_the_command_line() -> None:
    reached = [i for i in imports() if i.target.split(".")[0] in PACKAGES]
    reached = [i for i in reached if _is_command_line(i.target) and not _is_command_line(i.source)]
    _report(reached, "commands are named in cli.COMMANDS, never imported")


def test_nothing_imports_tests_benchmarks_or_scripts() -> None:
    reached = [i for i in imports() if i.target.split(".")[0] in OUTSIDE]
    _report(reached, f"{sorted(OUTSIDE)} are outside the packages")


def test_heads_could_be_published_alone() -> None:
    heads = [i for i in imports() if i.source.split(".")[0] == "heads"]
    assert heads, "no import found in heads: is the package gone?"
    foreign = [i for i in heads if i.target.split(".")[0] not in HEADS_NEED]
    _report(foreign, "heads needs torch, safetensors and huggingface_hub only")


def test_commands_import_heavy_libraries_late() -> None:
    early = [i for i in imports() if i.eager and _is_command_line(i.source)]
    early = [i for i in early if i.target.split(".")[0] in HEAVY]
    _report(early, "--help must be quick: import these inside the function that needs them")


def test_no_import_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for entry in imports():
        if entry.eager and entry.target != entry.source:
            graph.setdefault(entry.source, set()).add(entry.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


def _heavy_after(statement: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded after ``statement``."""
    code = f"{statement}\nimport sys; print('loaded', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"`{statement}` failed:\n{done.stderr}"
    return HEAVY & set(done.stdout.rpartition("loaded")[2].split())


def test_importing_the_package_does_not_import_torch() -> None:
    assert not _heavy_after("import hear_aesthetics")


@pytest.mark.parametrize("path", COMMANDS.values())
def test_finding_a_command_does_not_import_torch(path: str) -> None:
    module = path.partition(":")[0]
    loaded = _heavy_after(f"import {module}")
    assert not loaded, f"{module} imports {sorted(loaded)}: import inside the function"


def _tracked_text() -> Iterator[tuple[str, str]]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if not name.startswith("tests/") and path.is_file():
            yield name, path.read_bytes().decode("utf-8", errors="ignore")


def test_no_tracked_file_names_a_place_of_one_machine() -> None:
    named = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in _tracked_text()
        for number, line in enumerate(text.splitlines(), start=1)
        if PLACES.search(line)
    ]
    assert not named, "only tests may name paths outside the repository:\n" + "\n".join(named)


def test_every_file_that_the_map_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:hear_aesthetics|heads|songeval_task|musiceval_task|tests)/[\w/.]+)`", text
    )
    assert len(named) > 20
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []
