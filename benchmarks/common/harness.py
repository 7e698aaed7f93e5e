"""Harness of the benchmarks: alternating timers, peak memory, reports.

A benchmark is a module with a ``measure(quick) -> BenchmarkReport`` and two lines at its end::

    if __name__ == "__main__":
        raise SystemExit(main("cmixup", measure))

It then runs as ``python -m benchmarks.cmixup [--quick] [--json] [--write]``.
"""

import argparse
import gc
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hear_aesthetics.compute.cpu import model_name
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.markdown import markdown_table

__all__ = [
    "RESULTS",
    "BenchmarkReport",
    "Timing",
    "Usage",
    "alternate",
    "device_name",
    "difference",
    "main",
    "medians",
    "peak_memory",
    "usage",
    "write_section",
]

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
RESULTS_HEADER = """\
# Results

Each section is written by the benchmark it names: `python -m benchmarks.NAME --write`. Timings are
medians of alternating runs; "difference" is max|ours - reference| / RMS(reference).
"""


@dataclass(frozen=True)
class Timing:
    """Median times of alternating runs.

    Attributes:
        ours: Seconds of ours.
        reference: Seconds of the reference.
        runs: Timed runs of each.
    """

    ours: float
    reference: float
    runs: int

    @property
    def ratio(self) -> float:
        """Reference time over our time."""
        return self.reference / self.ours


@dataclass(frozen=True)
class BenchmarkReport:
    """Report of a benchmark.

    Attributes:
        title: One line.
        rows: Table, one mapping per row, all with the same keys.
        ratio: Main result: reference time / our time, or as a note says.
        max_difference: Largest numeric difference between ours and the reference.
        device: Name of the device; default: this processor.
        targets: Each target, and whether it was reached.
        notes: Lines below the table.
    """

    title: str
    rows: Sequence[Mapping[str, object]]
    ratio: float
    max_difference: float
    device: str = field(default_factory=lambda: device_name())
    targets: Mapping[str, bool] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, object]:
        """Return the report for programs."""
        return {
            "title": self.title,
            "ratio": self.ratio,
            "max_difference": self.max_difference,
            "device": self.device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "targets": dict(self.targets),
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
        }

    def as_markdown(self, command: str) -> str:
        """Return the section for ``RESULTS.md``."""
        threads = torch.get_num_threads()
        lines = [f"**{self.title}**", "", _table(self.rows), ""]
        lines += [f"- ratio {_cell(self.ratio)}, difference {_cell(self.max_difference)}"]
        lines += [
            f"- target: {name}: {'yes' if met else 'NO'}" for name, met in self.targets.items()
        ]
        lines += [f"- {note}" for note in self.notes]
        lines += [f"- `{command}` on {self.device}, {threads} threads, torch {torch.__version__}"]
        return "\n".join(lines)


def alternate(
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    runs: int = 5,
    warmup: int = 1,
) -> Timing:
    """Time two functions in turn, so that a busy machine slows both.

    Args:
        ours: Our computation.
        reference: The reference computation.
        runs: Timed runs of each; medians are taken.
        warmup: Untimed runs of each before.
    """
    seconds = medians({"ours": ours, "reference": reference}, runs=runs, warmup=warmup)
    return Timing(seconds["ours"], seconds["reference"], runs)


def medians(
    works: Mapping[str, Callable[[], object]], *, runs: int = 5, warmup: int = 1
) -> dict[str, float]:
    """Time any number of functions in turn; median seconds of each, see :func:`alternate`."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for run in range(warmup + runs):
        for name, work in works.items():
            elapsed = _seconds(work)
            if run >= warmup:
                seconds[name].append(elapsed)
    return {name: statistics.median(times) for name, times in seconds.items()}


def difference(ours: Tensor, reference: Tensor) -> float:
    """Return max|ours - reference| / RMS(reference)."""
    ours, reference = ours.detach().cpu().double(), reference.detach().cpu().double()
    if ours.shape != reference.shape:
        raise ValueError(f"cannot compare {tuple(ours.shape)} with {tuple(reference.shape)}")
    return float((ours - reference).abs().max() / reference.square().mean().sqrt())


@dataclass(frozen=True)
class Usage:
    """Memory and time of some work in a process of its own.

    Attributes:
        bytes: Peak memory that it adds.
        seconds: Its time.
    """

    bytes: int
    seconds: float


def usage(prepare: str, **arguments: Any) -> Usage:
    """Measure memory and time of some work in a fresh process (Linux).

    Args:
        prepare: ``"module:function"``. Called in the new process with the arguments, it makes the
            inputs, warms up, and returns the work: a function without arguments.
        **arguments: Arguments of ``prepare``, as JSON.
    """
    command = [sys.executable, "-m", "benchmarks.common.harness", prepare, json.dumps(arguments)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{prepare} failed while its memory was measured:\n{done.stderr}")
    size, seconds = done.stdout.split()[-2:]
    return Usage(int(size), float(seconds))


def peak_memory(prepare: str, **arguments: Any) -> int:
    """Return the most memory that some work adds to a fresh process, in bytes: :func:`usage`."""
    return usage(prepare, **arguments).bytes


def device_name() -> str:
    """Return the name of this machine's processor and its number of cores."""
    return f"{model_name()}, {usable_cores()} cores"


def main(
    name: str,
    measure: Callable[..., BenchmarkReport],
    argv: Sequence[str] | None = None,
    *,
    options: argparse.ArgumentParser | None = None,
) -> int:
    """Run a benchmark from the command line.

    Args:
        name: Its module below ``benchmarks``, and section in ``RESULTS.md``.
        measure: Function that returns the report, from ``quick`` and the values of ``options``.
        argv: Arguments; default: those of the process.
        options: Parser of further options, without help.

    Returns:
        0, or 1 if a target was missed.
    """
    command = f"python -m benchmarks.{name}"
    parents = [options] if options else []
    parser = argparse.ArgumentParser(prog=command, description=measure.__doc__, parents=parents)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, seconds instead of minutes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--write", action="store_true", help=f"refresh the section in {RESULTS.name}"
    )
    chosen = vars(parser.parse_args(argv))
    as_json, write = chosen.pop("json"), chosen.pop("write")
    report = measure(**chosen)
    section = report.as_markdown(command + " --quick" * chosen["quick"])
    print(json.dumps({"benchmark": name, **report.as_json()}) if as_json else section)
    if write:
        write_section(name, section)
    return 0 if all(report.targets.values()) else 1


def write_section(name: str, text: str, path: Path = RESULTS) -> None:
    """Replace the section between this benchmark's markers, or append it."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n## {name}\n\n{text}\n{end}"
    page = path.read_text(encoding="utf-8") if path.is_file() else RESULTS_HEADER
    before, found, rest = page.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    path.write_text(before.rstrip("\n") + "\n\n" + section + after, encoding="utf-8")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    header = list(rows[0])
    return markdown_table(header, [[_cell(row[key]) for key in header] for row in rows])


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _status(key: str) -> int:
    """Return a size from ``/proc/self/status`` in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"this system does not report {key}")


def _report_usage(prepare: str, arguments: str) -> None:
    """Print the peak growth of this process's resident memory in bytes, and seconds."""
    module, _, function = prepare.partition(":")
    work = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to the present size
    before = _status("VmRSS")
    seconds = _seconds(work)
    print(_status("VmHWM") - before, seconds)


if __name__ == "__main__":
    _report_usage(*sys.argv[1:])
