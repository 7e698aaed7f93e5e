"""How do masked prediction and probes improve over the steps of a run?

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


def measure(quick: bool, model: Path, tasks: Path | None, splits: int) -> BenchmarkReport:
    """Measure held-out masked accuracy and test accuracy of the probes at each snapshot."""
    data = all_tasks(tasks, 3 if quick else splits)
    logs = {source: _log(model, source) for source in SOURCES}
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
                **{f"{source}: lift": f"{logs[source][step]:.2f}" for source in SOURCES},
                **{name: f"{value:.3f}" for name, value in tested.items()},
                "mean": f"{means[step]:.3f}",
            }
        )
    return BenchmarkReport(
        "Masked prediction and probes over the steps of a run",
        rows,
        ratio=means[last] / means[0],
        max_difference=0.0,
        targets={
            f"{source}: held-out accuracy twice the majority share": log[last] >= 2.0
            for source, log in logs.items()
        },
        notes=[
            f"fused, layer {choice[0]}, {choice[1]} (chosen on valid at the last step), at all "
            "steps; accuracy of the probes on test",
            "ratio: mean of the probes at the last step over step 0 (one initialisation); no "
            "numeric difference is measured",
        ],
    )


def _log(model: Path, source: str) -> dict[int, float]:
    """Return the lift (accuracy over the share of the most frequent code) by step."""
    path = model / source / "pretraining" / "log.csv"
    if not path.is_file():
        raise InputError(f"{path} is missing; give the folder that hear-aesthetics pretrain made")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = "lift" if "lift" in rows[0] else "ratio"  # its name in logs of earlier versions
    return {int(row["step"]): float(row[name]) for row in rows}


def _snapshots(model: Path) -> list[tuple[int, Path]]:
    """Return the steps and folders of snapshots that hold both sources."""
    folders = sorted((model / "snapshots").glob("step-*"))
    whole = [f for f in folders if all((f / source).is_dir() for source in SOURCES)]
    return [(int(folder.name.removeprefix("step-")), folder) for folder in whole]


if __name__ == "__main__":
    raise SystemExit(main("pretraining.curve", measure, options=options()))
