"""How do the held-out objective and probes improve over the steps of a run?

    python -m benchmarks.pretraining.curve --model RUN --tasks TASKS_DIR [--splits 20] [--write]

``RUN`` was made with ``hear-aesthetics pretrain --snapshot-every``, for both sources.
"""

import csv
from pathlib import Path

import numpy as np

from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.small_pairs import (
    Choice,
    Pair,
    all_tasks,
    choose,
    embed,
    inputs,
    load_pair,
    options,
    scores,
    untrained_pair,
)
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import SOURCES

LIFT = "lift"


def measure(quick: bool, model: Path, tasks: Path | None, splits: int) -> BenchmarkReport:
    """Measure the held-out objective and test accuracy of the probes at each snapshot."""
    data = all_tasks(tasks, 3 if quick else splits)
    read = {source: _log(model, source) for source in SOURCES}
    logs = {source: log for source, (_, log) in read.items()}
    trained = load_pair(model)
    last = max(logs["muq"])
    pairs: dict[int, Pair] = {0: untrained_pair(trained["muq"].config, 0)}
    pairs |= {step: load_pair(folder) for step, folder in _snapshots(model)}
    pairs[last] = trained
    states = {step: embed(data, pair) for step, pair in sorted(pairs.items())}
    choice: Choice = next(iter(choose(data, states[last])))
    rows, means = [], {}
    for step, found in states.items():
        tested = {
            task.name: float(np.mean(scores(inputs(found[task.name], choice), task)[1]))
            for task in data
        }
        means[step] = float(np.mean(list(tested.values())))
        rows.append(
            {
                "step": step,
                **{f"{source}: {of}": f"{log[step]:.2f}" for source, (of, log) in read.items()},
                **{name: f"{value:.3f}" for name, value in tested.items()},
                "mean": f"{means[step]:.3f}",
            }
        )
    return BenchmarkReport(
        "Held-out objective and probes over the steps of a run",
        rows,
        ratio=means[last] / means[0],
        max_difference=0.0,
        targets={_aim(source, of): _met(of, log[last]) for source, (of, log) in read.items()},
        notes=[
            f"fused, layer {choice[0]}, {choice[1]} (chosen on valid at the last step), at all "
            "steps; accuracy of the probes on test",
            "ratio: mean of the probes at the last step over step 0 (one initialisation); no "
            "numeric difference is measured",
        ],
    )


def _aim(source: str, of: str) -> str:
    if of == LIFT:
        return f"{source}: held-out accuracy twice the majority share"
    return f"{source}: held-out loss half that of the best constant guess"


def _met(of: str, last: float) -> bool:
    return last >= 2.0 if of == LIFT else last <= 0.5


def _log(model: Path, source: str) -> tuple[str, dict[int, float]]:
    """Return what the log is of, and its values by step.

    Of masked prediction alone it is the lift, accuracy over the share of the most frequent code; of
    a mixture the loss, 1 for the best constant guess.
    """
    path = model / source / "pretraining" / "log.csv"
    if not path.is_file():
        raise InputError(f"{path} is missing; give the folder that hear-aesthetics pretrain made")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = next(name for name in (LIFT, "ratio", "loss") if name in rows[0])
    of = LIFT if name == "ratio" else name  # its name in logs of earlier versions
    return of, {int(row["step"]): float(row[name]) for row in rows}


def _snapshots(model: Path) -> list[tuple[int, Path]]:
    """Return the steps and folders of snapshots that hold both sources."""
    folders = sorted((model / "snapshots").glob("step-*"))
    whole = [f for f in folders if all((f / source).is_dir() for source in SOURCES)]
    return [(int(folder.name.removeprefix("step-")), folder) for folder in whole]


if __name__ == "__main__":
    raise SystemExit(main("pretraining.curve", measure, options=options()))
