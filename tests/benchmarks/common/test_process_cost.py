"""The cost of a command is that of all its processes."""

import sys

import pytest

from benchmarks.common.process_cost import process_cost

BUSY = "x = bytearray(200_000_000)\nwhile time.process_time() < 1: pass"


def test_costs_are_those_of_the_process(tmp_path):
    cost = process_cost([sys.executable, "-c", f"import time\n{BUSY}"], tmp_path)
    assert cost.wall >= cost.seconds * 0.5
    assert cost.seconds >= 1
    assert cost.megabytes > 200


def test_memory_of_children_counts(tmp_path):
    program = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {"import time; " + BUSY!r}])
{BUSY}
child.wait()
"""
    assert process_cost([sys.executable, "-c", program], tmp_path).megabytes > 400


def test_a_failure_is_quoted(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)failed:.*ZeroDivisionError"):
        process_cost([sys.executable, "-c", "1 / 0"], tmp_path)
