"""The benchmark harness: alternation, memory, reports, and sections that replace each other."""

import argparse
import json

import pytest
import torch

from benchmarks.common import harness
from benchmarks.common.harness import (
    BenchmarkReport,
    alternate,
    difference,
    main,
    peak_memory,
    write_section,
)


def test_runs_alternate_and_medians_shrug_off_one_slow_run(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])

    def work(name, *seconds):
        def run():
            clock[0] += seconds[calls.count(name)]
            calls.append(name)

        return run

    timing = alternate(work("ours", 9, 2, 3), work("reference", 7, 6, 5), runs=3, warmup=0)
    assert calls == ["ours", "reference"] * 3
    assert (timing.ours, timing.reference, timing.ratio) == (3, 6, 2)


def test_difference_is_relative_to_the_reference():
    reference = torch.tensor([3.0, -4.0, 0.0, 0.0])
    assert difference(reference + 0.5, reference) == pytest.approx(0.5 / 2.5)
    with pytest.raises(ValueError, match="cannot compare"):
        difference(torch.zeros(2), reference)


ALLOCATE = """
import torch

def allocate(megabytes):
    torch.ones(1).sum()
    return lambda: torch.ones(megabytes * 250_000).sum()
"""


@pytest.mark.slow
def test_peak_memory_sees_what_the_work_allocates_and_frees(tmp_path, monkeypatch):
    (tmp_path / "allocating.py").write_text(ALLOCATE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert peak_memory("allocating:allocate", megabytes=64) == pytest.approx(64e6, rel=0.1)
    with pytest.raises(RuntimeError, match="allocating:nothing failed"):
        peak_memory("allocating:nothing")


def report(ratio, **options):
    return BenchmarkReport(
        title="Which is faster?",
        rows=[{"who": "ours", "seconds": 0.123456}],
        ratio=ratio,
        max_difference=1e-7,
        **options,
    )


def test_json_holds_what_a_program_needs(capsys):
    seen = []

    def measure(quick):
        """Time something."""
        seen.append(quick)
        return report(3.0)

    assert main("name", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert seen == [True]
    assert printed["benchmark"] == "name"
    assert printed["ratio"] == 3.0
    assert printed["rows"] == [{"who": "ours", "seconds": 0.123456}]
    assert {"max_difference", "device", "threads"} <= printed.keys()


def test_a_benchmark_has_options_of_its_own(capsys):
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--size", type=int, default=1)
    seen = []

    def measure(quick, size):
        """Time something."""
        seen.append((quick, size))
        return report(3.0)

    assert main("name", measure, ["--size", "5"], options=options) == 0
    assert seen == [(False, 5)]
    with pytest.raises(SystemExit):
        main("name", measure, ["--help"], options=options)
    assert "--size" in capsys.readouterr().out


def test_a_missed_target_fails(capsys):
    assert main("name", lambda quick: report(3.0, targets={"4 times": False}), []) == 1
    assert "target: 4 times: NO" in capsys.readouterr().out


def test_sections_are_replaced_in_place(tmp_path):
    page = tmp_path / "RESULTS.md"
    write_section("first", "one", page)
    write_section("second", "two", page)
    write_section("first", "three", page)
    text = page.read_text()
    assert text.startswith("# Results")
    assert "one" not in text.split("<!-- begin first -->")[1]
    assert text.index("three") < text.index("two")
    assert text.count("## first") == 1
    once_more = text
    write_section("second", "two", page)
    assert page.read_text() == once_more
