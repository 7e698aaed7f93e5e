"""The directions of imports, parsed from the source: the tables below are the rule.

A module may import its own layer and those below. Imports inside functions count too: hiding an
import does not turn its direction. Only ``hear_aesthetics/__init__.py`` may reach up, to show the
three HEAR functions lazily.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from hear_aesthetics.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGES = ("hear_aesthetics", "heads", "songeval_task", "musiceval_task")

# What each package may import of the others.
ROOMS = {
    "hear_aesthetics": set(),
    "heads": set(),
    "songeval_task": {"hear_aesthetics", "heads"},
    "musiceval_task": {"hear_aesthetics", "heads"},
}

# The layers of hear_aesthetics, lowest first.
LAYERS = (
    {"spec", "errors", "files", "text_files", "fingerprint", "version"}
    | {"lazy", "markdown", "pickles", "progress"},
    {"audio", "compute", "metrics", "checkpoints"},
    {"backbones", "synthesis"},
    {"features"},
    {"model", "scorers", "plotting"},
    {"engine"},
    {"evaluation", "pretraining"},
    {"commands", "cli", "__main__"},
)

COMMAND_LINE = {"cli", "commands", "__main__"}  # imported by each other and by nothing else
OUTSIDE = {"benchmarks", "tests", "scripts", "setup"}  # import anything, are imported by nothing
HEADS_NEED = {"heads", "torch", "safetensors", "huggingface_hub"} | sys.stdlib_module_names
HEAVY = {"torch", "pandas", "scipy", "sklearn", "matplotlib", "transformers", "librosa"}
PLACES = re.compile(r"/work/|/root/|/home/\w|\.\./shared")  # of one machine, not of the project


class Import(NamedTuple):
    """One import statement: where it stands and the module it names."""

    path: Path  # relative to the repository
    line: int
    target: str  # dotted
    eager: bool  # runs when the module is imported

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.target}"

    @property
    def source(self) -> str:
        """The dotted name of the importing module."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _targets(node: ast.AST, package: list[str]) -> list[str]:
    """The modules that an import statement names; ``from a import b`` is ``a.b`` if that is one."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package[: len(package) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    if base == "hear_aesthetics":
        return [_behind_the_facade(alias.name) for alias in node.names]
    names = [f"{base}.{alias.name}" for alias in node.names]
    return [name if _is_module(name) else base for name in names]


def _behind_the_facade(name: str) -> str:
    """Where ``from hear_aesthetics import name`` really leads."""
    return f"hear_aesthetics.{name if _is_module(f'hear_aesthetics.{name}') else 'model'}"


def _statements(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below ``tree``, and whether importing runs it: functions and type checks wait."""
    todo: list[tuple[ast.AST, bool]] = [(tree, True)]
    while todo:
        node, eager = todo.pop()
        yield node, eager
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        runs = eager and not lazy and not for_types
        todo += [(child, runs) for child in ast.iter_child_nodes(node)]


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the four packages."""
    found = []
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        relative = path.relative_to(ROOT)
        for node, eager in _statements(ast.parse(path.read_text(encoding="utf-8"))):
            for target in dict.fromkeys(_targets(node, list(relative.parent.parts))):
                found.append(Import(relative, getattr(node, "lineno", 0), target, eager))
    return tuple(found)


def _layer(module: str) -> int:
    """The layer of a ``hear_aesthetics`` module: the bare package is lowest."""
    _, _, inner = module.partition(".")
    if not inner:
        return 0
    room = inner.split(".")[0]
    return next((i for i, layer in enumerate(LAYERS) if room in layer), len(LAYERS))


def _is_command_line(module: str) -> bool:
    return bool(COMMAND_LINE & set(module.split(".")[1:]))


def _report(violations: list[Import], rule: str) -> None:
    if violations:
        pytest.fail(f"{rule}:\n" + "\n".join(map(str, violations)), pytrace=False)


def test_every_module_has_a_layer() -> None:
    modules = {p.stem for p in (ROOT / "hear_aesthetics").glob("*.py")} - {"__init__", "__main__"}
    modules |= {p.parent.name for p in (ROOT / "hear_aesthetics").glob("*/__init__.py")}
    unplaced = sorted(modules - set().union(*LAYERS))
    assert not unplaced, f"give these a place in LAYERS: {unplaced}"


def test_packages_import_only_the_rooms_below() -> None:
    def allowed(entry: Import) -> bool:
        here, there = entry.source.split(".")[0], entry.target.split(".")[0]
        return there == here or there not in PACKAGES or there in ROOMS[here]

    _report([i for i in imports() if not allowed(i)], f"packages may import {ROOMS}")


def test_layers_of_hear_aesthetics_point_down() -> None:
    facade = Path("hear_aesthetics/__init__.py")
    inner = [
        i
        for i in imports()
        if {i.source.split(".")[0], i.target.split(".")[0]} == {"hear_aesthetics"}
        and i.path != facade
    ]
    upward = [i for i in inner if _layer(i.target) > _layer(i.source)]
    _report(upward, "a module imports its own layer and those below")


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
