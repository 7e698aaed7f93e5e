"""Run the fast tests under settings that change kernels, summation order or versions.

make portable                        # every row
make portable ROWS="avx2 oldest"     # some
make portable ARGS=--write           # and the table goes into benchmarks/RESULTS.md
"""

import argparse
import os
import re
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from hear_aesthetics.markdown import markdown_table

ROOT = Path(__file__).parents[1]
OLDEST = ".venv-oldest/bin/python"
MARKS = "not official_kit and not judges and not slow"
# Row -> what it sets; a row named "oldest" has an environment of its own.
ROWS = {
    "threads-1": {"OMP_NUM_THREADS": "1"},
    "threads-3": {"OMP_NUM_THREADS": "3"},
    "default": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "oldest": {},
}
# Tests whose numbers depend on the kernels: what CI runs under a second setting.
KERNELS = [
    "tests/heads",
    "tests/hear_aesthetics/backbones",
    "tests/hear_aesthetics/compute",
    "tests/hear_aesthetics/evaluation",
    "tests/hear_aesthetics/features",
    "tests/hear_aesthetics/test_model.py",
]


def oldest_requirements(extra: str = "dev") -> list[str]:
    """Return the lower bounds of setup.py as exact versions, without the linters."""
    pins = ["setuptools<81"]
    for entry in map(Requirement, requires("hear-aesthetics") or []):
        wanted = entry.marker is None or entry.marker.evaluate({"extra": extra})
        bounds = [spec.version for spec in entry.specifier if spec.operator == ">="]
        if wanted and bounds and entry.name not in {"ruff", "mypy"}:
            pins.append(f"{entry.name}=={bounds[0]}")
    return sorted(set(pins))


def counts(output: str) -> dict[str, int]:
    """Return passed, failed (errors included) and skipped, from pytest's last line."""
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    found = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}
    failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
    return {"passed": found.get("passed", 0), "failed": failed, "skipped": found.get("skipped", 0)}


def run_row(name: str, tests: list[str]) -> dict[str, object]:
    """Run the tests under one row; return its line of the table."""
    settings = ROWS[name]
    python = str(ROOT / OLDEST) if name == "oldest" else sys.executable
    command = [python, "-m", "pytest", "-q", "-m", MARKS, *tests]
    if name == "oldest":  # what they build on is newer, and warns them
        command += ["-W", "ignore::DeprecationWarning"]
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True, check=False
    )
    found = counts(done.stdout)
    if done.returncode:
        print(f"--- {name} ---\n{done.stdout[-8000:]}", file=sys.stderr)
        found["failed"] = max(found["failed"], 1)
    shown = ", ".join(f"{key}={value}" for key, value in settings.items())
    seconds = round(time.perf_counter() - begun)
    return {"row": name, "setting": shown or "lowest versions", **found, "seconds": seconds}


def main() -> int:
    """Run the chosen rows one after the other; return 0 if none failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all")
    parser.add_argument("--kernels", action="store_true", help="only tests that kernels can change")
    parser.add_argument("--write", action="store_true", help="refresh the section in RESULTS.md")
    parser.add_argument("--requirements", action="store_true", help="print those of the oldest row")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.rows) - set(ROWS))
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if chosen.requirements:
        print("\n".join(oldest_requirements()))
        return 0
    tests = KERNELS if chosen.kernels else []
    rows = [run_row(name, tests) for name in chosen.rows or ROWS]
    text = markdown_table(list(rows[0]), [row.values() for row in rows])
    print(text)
    if chosen.write:
        from benchmarks.common.harness import device_name, write_section

        what = "kernel-dependent" if chosen.kernels else "fast"
        note = f"- the {what} tests; `make portable ARGS=--write` on {device_name()}"
        write_section("portable", f"**Do the tests pass elsewhere?**\n\n{text}\n\n{note}")
    return int(any(row["failed"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
