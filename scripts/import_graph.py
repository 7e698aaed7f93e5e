"""Print the import graph of the four packages: rooms, arrows between them, arrows that point up.

python -m scripts.import_graph          # of this checkout
python -m scripts.import_graph FOLDER   # of another one
"""

import argparse
import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

# Package -> its layers, lowest first: a room (a module or a folder) imports its own layer and
# those below.
LAYERS: dict[str, tuple[set[str], ...]] = {
    "hear_aesthetics": (
        {"spec", "errors", "lazy", "version", "files", "text_files", "fingerprint"} | {"markdown"},
        {"audio", "compute", "corpus", "metrics", "checkpoints"},
        {"backbones", "synthesis"},
        {"features"},
        {"model", "scorers", "plotting"},
        {"engine"},
        {"distributed"},
        {"adapters", "evaluation", "pretraining"},
        {"commands", "cli", "__main__"},
    ),
    "heads": (
        {"layers", "objectives", "scale", "keys", "card"},
        {"checkpoint"},
        {"aesthetic", "audiobox", "songeval_baseline", "dual_branch", "muq_eval"},
        {"auto"},
    ),
    "songeval_task": (
        {"dimensions"},
        {"data", "protocol", "uncertainty"},
        {"features"},
        {"training"},
        {"scoring", "reports"},
        {"distributed"},
        {"audit", "adapters", "service"},
        {"commands", "__main__"},
    ),
    "musiceval_task": (
        {"scale"},
        {"data"},
        {"features", "predictions"},
        {"protocol"},
        {"training"},
        {"scorer", "reports"},
        {"commands", "__main__"},
    ),
}


class Import(NamedTuple):
    """One import statement: where it stands and the module it names."""

    path: Path  # relative to the checkout
    line: int
    target: str  # dotted
    eager: bool  # runs when the module is imported

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.target}"

    @property
    def source(self) -> str:
        """Dotted name of the importing module."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(root: Path = ROOT) -> tuple[Import, ...]:
    """Return every import of the packages, those inside functions too."""
    found = []
    for path in sorted(path for package in LAYERS for path in (root / package).rglob("*.py")):
        for node, eager in _statements(ast.parse(path.read_text(encoding="utf-8"))):
            for target in dict.fromkeys(_targets(node, root)):
                line = getattr(node, "lineno", 0)
                found.append(Import(path.relative_to(root), line, target, eager))
    return tuple(found)


def rooms(package: str, root: Path = ROOT) -> set[str]:
    """Return the modules and folders of a package."""
    modules = {path.stem for path in (root / package).glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in (root / package).glob("*/__init__.py")}


def room(module: str) -> str:
    """Return the room of a dotted module; empty for the bare package."""
    return module.partition(".")[2].partition(".")[0]


def arrows(package: str, root: Path = ROOT) -> set[tuple[str, str]]:
    """Return the pairs of rooms of which the first imports the second."""
    inner = [
        (room(i.source), room(i.target))
        for i in imports(root)
        if i.source.split(".")[0] == i.target.split(".")[0] == package
    ]
    return {(here, there) for here, there in inner if here and there and here != there}


def layer(package: str, name: str) -> int:
    """Return the layer of a room; one without a place counts as lowest."""
    return next((i for i, layer in enumerate(LAYERS[package]) if name in layer), 0)


def upward(package: str, root: Path = ROOT) -> set[tuple[str, str]]:
    """Return the arrows that point to a higher layer."""
    return {a for a in arrows(package, root) if layer(package, a[1]) > layer(package, a[0])}


def is_module(name: str, root: Path = ROOT) -> bool:
    """Return whether a dotted name is a module or a folder of the checkout."""
    path = root.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _targets(node: ast.AST, root: Path) -> list[str]:
    """Return the modules a statement names; ``from a import b`` is ``a.b`` if that is one."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return []
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    if node.module == "hear_aesthetics":  # what it offers lazily comes from its model
        return [name if is_module(name, root) else "hear_aesthetics.model" for name in names]
    return [name if is_module(name, root) else node.module for name in names]


def _statements(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node, and whether importing runs it: functions and type checks wait."""
    todo: list[tuple[ast.AST, bool]] = [(tree, True)]
    while todo:
        node, eager = todo.pop()
        yield node, eager
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        runs = eager and not lazy and not for_types
        todo += [(child, runs) for child in ast.iter_child_nodes(node)]


def main() -> None:
    """Print one line per package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="another checkout")
    root = parser.parse_args().folder
    print(f"{'package':16} rooms arrows upward")
    for package in LAYERS:
        counts = len(rooms(package, root)), len(arrows(package, root)), len(upward(package, root))
        print(f"{package:16} {counts[0]:5} {counts[1]:6} {counts[2]:6}")


if __name__ == "__main__":
    main()
