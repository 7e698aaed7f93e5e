"""Does a HEAR task of the published size fit in 2 GB, and what does its evaluation cost?

Embeddings of 1,024 seeded numbers a row, in HEAR's own layout, with the tasks' rows, labels and
folds; where ``HEAR_EMBEDDINGS`` names a folder of real ones, these. *robust*, faster grid, one
seed. The official kit is measured on the same folder where it ends in reasonable time: every grid
point is then trained once by both, for the same number of epochs. Needs ``make kit``.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.common.embeddings import SOURCE, TASKS, make_folder, with_fixed_work
from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.process_cost import ProcessCost, process_cost
from benchmarks.evaluator import evaluation, test_score

__all__ = ["CASES", "QUICK", "Case", "measure"]

LIMIT = 2000  # megabytes
RATIO = 3.0
GRID, POINTS = "faster", 2


@dataclass(frozen=True)
class Case:
    """Evaluation of one task.

    Attributes:
        task: Name of the embedding folder.
        epochs: Epochs of every fit, by both; 0 for those of the grid, and no kit.
        precision: Precision of our matrix products; the kit's is float32.
        shrink: Divisor of the number of rows.
    """

    task: str
    epochs: int = 0
    precision: str = "float32"
    shrink: int = 1

    @property
    def name(self) -> str:
        """Name of the row."""
        shape = TASKS[self.task]
        unit = "files" if shape.has_events else "clips"
        count = sum(-(-rows // self.shrink) for rows in shape.splits.values())
        name = self.task.partition("-")[0]
        return f"{name}, {count:,} {unit}, {shape.labels} labels, {self.precision}"


EVENTS = "maestro-v3.0.0-5h"
CASES = (
    Case("nsynth_pitch-v2.2.3-50h", 10),
    Case("fsd50k-v1.0-full", 10),
    Case(EVENTS, precision="bfloat16"),
)
QUICK = tuple(replace(case, epochs=min(case.epochs, 3), shrink=20) for case in CASES)


def measure(quick: bool) -> BenchmarkReport:
    """Evaluate folders of the published tasks' sizes: time, memory, and the kit's."""
    cases = QUICK if quick else CASES
    load = os.getloadavg()[0]
    found = [(case, *_evaluate(case)) for case in cases]
    ratios = [kit.seconds / ours.seconds for _, ours, kit, _ in found if kit]
    fits = all(ours.megabytes <= LIMIT for _, ours, _, _ in found)
    at_least = f"on one task at least {RATIO:g} times less processor time than the kit"
    met = {f"at most {LIMIT / 1000:g} GB each": fits, at_least: max(ratios, default=0) >= RATIO}
    return BenchmarkReport(
        title=f"HEAR tasks at full size, robust, {GRID} grid, {POINTS} points, 1 seed, one thread",
        rows=[_row(*entry) for entry in found],
        ratio=max(ratios, default=0.0),
        max_difference=max((abs(s[0] - s[1]) for *_, kit, s in found if kit), default=0.0),
        targets={} if quick else met,
        notes=[
            f"embeddings: {'real, of ' + SOURCE if SOURCE in os.environ else 'random'}",
            "ratio: processor time of the kit over ours, the largest; difference: of test scores, "
            "by different protocols",
            "clips to train, validate and test: NSynth 80, 10 and 10 %; FSD50K 36,784, 4,170, "
            "10,231",
            f"other work on the machine: load {load:.1f} before the start",
            *(f"{case.task.partition('-')[0]}: {_work(case)}" for case in cases),
        ],
    )


def _work(case: Case) -> str:
    if case.epochs:
        return f"{case.epochs} epochs of every fit, by both"
    return (
        "the grid's own early stopping, five folds; without the kit, which matches events one by "
        "one"
    )


def _evaluate(case: Case) -> tuple[ProcessCost, ProcessCost | None, list[float]]:
    """Return our cost, the kit's, and the test scores of both."""
    costs, scores = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_folder(case.task, Path(scratch), shrink=case.shrink)
        if case.epochs:
            with_fixed_work(folder, case.epochs)
        for protocol in ("robust", None)[: 2 if case.epochs else 1]:
            for done in folder.glob("*prediction*"):
                done.unlink()
            command = evaluation(folder, GRID, POINTS, protocol)
            command += ["--precision", case.precision] if protocol else []
            costs.append(process_cost(command, Path(scratch)))
            scores.append(test_score(folder))
            print(f"{case.name}, {protocol or 'kit'}: {costs[-1]}", file=sys.stderr, flush=True)
    return costs[0], costs[1] if case.epochs else None, scores


def _row(
    case: Case, ours: ProcessCost, kit: ProcessCost | None, scores: Sequence[float]
) -> dict[str, object]:
    row: dict[str, object] = {"": case.name}
    for name, cost, score in zip(("ours", "kit"), (ours, kit), [*scores, 0.0], strict=False):
        row |= {
            f"{name}, wall s": cost.wall if cost else "",
            f"{name}, processor s": cost.seconds if cost else "",
            f"{name}, MB": round(cost.megabytes) if cost else "",
            f"{name}, score": score if cost else "",
        }
    return row | {"ratio": kit.seconds / ours.seconds if kit else ""}


if __name__ == "__main__":
    raise SystemExit(main("full_hear", measure))
