"""How much processor time does an evaluation take, and how much memory, against the official kit?

Same embeddings, one thread each, whole processes from their start to the scores on disk. *official*
trains and selects as the kit does, and must find its scores. *robust* is compared on equal work:
every grid point is trained once and for the same number of epochs. The event stage is what each
validation of an event task does after the network: events from probabilities, then the scores.
Needs ``make kit``. Real embeddings are used where ``HEAR_EMBEDDINGS`` names a folder of them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.embeddings import SOURCE, make_folder, with_fixed_work
from benchmarks.common.harness import BenchmarkReport, Timing, main
from benchmarks.common.process_cost import ENVIRONMENT, ROOT, process_cost
from hear_aesthetics.evaluation.embeddings.rows import read_rows
from hear_aesthetics.evaluation.tasks.event_postprocessing import Timeline, postprocessing_grid
from hear_aesthetics.evaluation.tasks.scores import named_values
from hear_aesthetics.evaluation.tasks.task import load_task

__all__ = ["CASES", "QUICK_CASES", "Case", "Cost", "event_stage", "measure"]

KIT = ROOT / ".venv-kit/bin/python"
KIT_EVENT_RUNNER = ROOT / "tests/official_kit/predict_events.py"
KIT_EVENT_STAGE = Path(__file__).parent / "common/kit_event_stage.py"
STAGE_RUNS = 9
STAGE_TARGET = 10.0


@dataclass(frozen=True)
class Case:
    """Evaluation by both evaluators.

    Attributes:
        task: Name of the embedding folder.
        protocol: Protocol of our evaluator.
        grid: Grid of hyperparameters.
        points: Number of grid points.
        target: Wanted ratio of processor time; 0 for none.
        epochs: Epochs of every fit, for equal work; 0 leaves the task as it is.
        runs: Runs of each evaluator; medians are taken.
    """

    task: str
    protocol: str
    grid: str
    points: int
    target: float
    epochs: int = 0
    runs: int = 1

    @property
    def name(self) -> str:
        """Name of the row: task, protocol, grid and epochs."""
        task = self.task.partition("-")[0]
        epochs = f", {self.epochs} epochs" if self.epochs else ""
        return f"{task}, {self.protocol}, {self.grid} grid, {self.points} points{epochs}"


SMALL = (
    "spoken_digit-1.0.9-small",
    "speech_commands-v0.0.2-small",
    "speech_commands_pooled-1.0.0-small",
)
LARGE, EVENTS = "fsdd_digit-1.0.0-full", "digit_command_events-1.0.0-full"
CASES = (
    *(Case(task, "official", "faster", 8, 1.5) for task in SMALL),
    *(Case(task, "official", "default", 8, 1.5) for task in SMALL),
    Case(EVENTS, "official", "faster", 8, 0),
    *(Case(task, "robust", "default", 8, 3, epochs=90) for task in SMALL),
    Case(LARGE, "robust", "default", 8, 2, epochs=30),
    Case(EVENTS, "robust", "faster", 8, 4, epochs=10),
    Case(EVENTS, "robust", "default", 2, 4, epochs=21),
    Case(LARGE, "official", "default", 8, 1),
)
QUICK_CASES = (
    Case(SMALL[2], "official", "faster", 2, 0),
    Case(SMALL[2], "robust", "faster", 2, 0, epochs=3),
)


@dataclass(frozen=True)
class Cost:
    """Processor seconds (user and system) and peak megabytes of a process, and its score."""

    seconds: float
    megabytes: float
    score: float


def measure(quick: bool) -> BenchmarkReport:
    """Compare our evaluator with heareval: processor time, memory and scores."""
    cases = QUICK_CASES if quick else CASES
    pairs = [(case, *_both(case)) for case in cases]
    stage, gap = event_stage()
    gaps = [abs(o.score - k.score) for case, o, k in pairs if case.protocol == "official"]
    ratios = {case: kit.seconds / ours.seconds for case, ours, kit in pairs}
    wanted = {case: ratio / case.target for case, ratio in ratios.items() if case.target}
    lighter = all(ours.megabytes <= kit.megabytes for _, ours, kit in pairs)
    return BenchmarkReport(
        title="Evaluations, processor seconds and peak memory, one thread",
        rows=[*(_row(*pair) for pair in pairs), _stage_row(stage)],
        ratio=min(ratios.values()),
        max_difference=max(*gaps, gap),
        targets={} if quick else _targets(wanted, stage.ratio, lighter),
        notes=[
            f"embeddings: {'real, of ' + SOURCE if SOURCE in os.environ else 'random'}",
            "ratio: the smallest; difference: of test scores, official protocol and event stage",
            "whole processes: each includes seconds of imports",
        ],
    )


def _targets(wanted: Mapping[Case, float], stage: float, lighter: bool) -> dict[str, bool]:
    groups: dict[str, list[float]] = {}
    for case, share in wanted.items():
        kind = "small tasks" if case.task in SMALL else case.task.partition("-")[0]
        name = f"{case.protocol}, {kind}: at least {case.target:g} times less"
        groups.setdefault(name, []).append(share)
    return {name: min(shares) >= 1 for name, shares in groups.items()} | {
        f"event stage: at least {STAGE_TARGET:g} times less": stage >= STAGE_TARGET,
        "memory never above the kit's": lighter,
    }


def _both(case: Case) -> tuple[Cost, Cost]:
    """Run ours and the kit in turn; return median times and maximal memory."""
    found: dict[bool, list[Cost]] = {True: [], False: []}
    for _ in range(case.runs):
        for ours, costs in found.items():
            costs.append(_evaluate(case, ours))
    ours, kit = (
        Cost(
            statistics.median(cost.seconds for cost in costs),
            max(cost.megabytes for cost in costs),
            costs[0].score,
        )
        for costs in found.values()
    )
    print(f"{case.name}: {kit.seconds:.1f} s / {ours.seconds:.1f} s", file=sys.stderr, flush=True)
    return ours, kit


def _evaluate(case: Case, ours: bool) -> Cost:
    """Run an evaluation in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_folder(case.task, Path(scratch))
        if case.epochs:
            with_fixed_work(folder, case.epochs)
        command = evaluation(folder, case.grid, case.points, case.protocol if ours else None)
        cost = process_cost(command, Path(scratch))
        return Cost(cost.seconds, cost.megabytes, test_score(folder))


def test_score(folder: Path) -> float:
    """Return the test score that an evaluation has left in a folder, the mean over its folds."""
    scores = json.loads((folder / "test.predicted-scores.json").read_text())
    aggregated = scores.get("aggregated_scores")
    return aggregated["test_score_mean"] if aggregated else scores["test"]["test_score"]


def evaluation(folder: Path, grid: str, points: int, protocol: str | None) -> list[str]:
    """Return the command that evaluates a folder, with one seed; with the kit if no protocol."""
    options = ["--grid", grid, "--grid-points", str(points)]
    if protocol:
        command = [sys.executable, "-m", "hear_aesthetics", "evaluate-embeddings"]
        return [*command, str(folder), *options, "--protocol", protocol, "--seeds", "1"]
    event = load_task(folder).is_event
    runner = [str(KIT_EVENT_RUNNER)] if event else ["-m", "heareval.predictions.runner"]
    return [str(KIT), *runner, str(folder), *options]


def event_stage() -> tuple[Timing, float]:
    """Time decoding and scoring by both; return also the largest difference of scores."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_folder(EVENTS, Path(scratch))
        task = load_task(folder)
        rows = read_rows(task, ("valid",))
        noise = np.random.default_rng(0).normal(size=rows.targets.shape)
        predictions = (1 / (1 + np.exp(2 - 4 * rows.targets - noise))).astype(np.float32)
        pairs = json.loads((folder / "valid.filename-timestamps.json").read_text())
        files, times = zip(*pairs, strict=True)
        stored = Path(scratch) / "predictions.npz"
        np.savez(stored, predictions=predictions, files=files, times=np.float32(times))
        command = [str(KIT), str(KIT_EVENT_STAGE), str(folder), str(stored)]
        done = subprocess.run(
            command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True
        )
        kit = json.loads(done.stdout.splitlines()[-1])
        timeline = Timeline(files, times)
        target = timeline.targets(task.split_labels("valid"), task.label_index)
        seconds = []
        for _ in range(STAGE_RUNS):
            started = time.process_time()
            values: list[float] = []
            for chosen in postprocessing_grid(task.postprocessing_grid):
                events = timeline.decode(predictions, **dict(chosen))
                named = named_values(task.scores, events, target)
                values += [v for name, v in named.items() if name not in task.evaluation]
            seconds.append(time.process_time() - started)
    gap = float(np.abs(np.array(values) - np.array(kit["values"])).max())
    return Timing(statistics.median(seconds), kit["seconds"], STAGE_RUNS), gap


def _row(case: Case, ours: Cost, kit: Cost) -> dict[str, object]:
    return {
        "": case.name,
        "ours, s": ours.seconds,
        "kit, s": kit.seconds,
        "ratio": kit.seconds / ours.seconds,
        "ours, MB": round(ours.megabytes),
        "kit, MB": round(kit.megabytes),
        "our score": ours.score,
        "kit's score": kit.score,
    }


def _stage_row(stage: Timing) -> dict[str, object]:
    blank = dict.fromkeys(("ours, MB", "kit, MB", "our score", "kit's score"), "")
    times = {"ours, s": stage.ours, "kit, s": stage.reference, "ratio": stage.ratio}
    return {"": "decoding and scoring one validation with events", **times, **blank}


if __name__ == "__main__":
    raise SystemExit(main("evaluator", measure))
