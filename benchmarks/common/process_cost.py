"""Time and memory of a command in processes of its own (Linux)."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENT", "ROOT", "ProcessCost", "process_cost"]

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # heareval pickles its hyper-parameters
    "PYTHONWARNINGS": "ignore",
}
# A process counts its parent's memory as its own until it executes, so the parent must be small.
MEASURE = """
import json, os, resource, subprocess, sys, time

def resident(root):
    parents, pages = {}, {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/statm") as statm:
                parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
                pages[int(name)] = int(statm.read().split()[1])
        except (OSError, IndexError):
            pass  # it has ended
    tree, before = {root}, set()
    while tree != before:
        before = set(tree)
        tree |= {child for child, parent in parents.items() if parent in tree}
    return sum(pages.get(process, 0) for process in tree) * resource.getpagesize()

started, peak = time.perf_counter(), 0
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
while True:
    try:
        code = child.wait(0.2)
        break
    except subprocess.TimeoutExpired:
        peak = max(peak, resident(child.pid))
wall = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss * 1024) / 1e6]))
sys.exit(code)
"""


@dataclass(frozen=True)
class ProcessCost:
    """Cost of a command: seconds that passed, processor seconds (user and system), memory.

    ``megabytes`` is the peak of the resident memory, shared pages included: of all its processes
    together five times a second, or of the largest at any time, if that is more.
    """

    wall: float
    seconds: float
    megabytes: float


def process_cost(command: Sequence[str], cwd: Path) -> ProcessCost:
    """Run a command in a folder, with one thread and without a GPU; return what it cost.

    Raises:
        RuntimeError: If it fails; quotes the end of what it printed.
    """
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    with (cwd / "output.log").open("w+b") as log:
        measured = [sys.executable, "-S", "-c", MEASURE, *command]
        done = subprocess.run(
            measured, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=log, check=False
        )
        if done.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{log.read()[-2000:].decode()}")
    return ProcessCost(*json.loads(done.stdout))
