"""Is a pretrained pair better than untrained pairs and the log-mel, on fixed paired splits?

    python -m benchmarks.pretraining.probes --model RUN --tasks TASKS_DIR [--splits 20] [--write]

Tasks, splits and probe: :mod:`benchmarks.common.representation`. Layers and
poolings: :mod:`benchmarks.pretraining.choice`; steps: :mod:`benchmarks.pretraining.curve`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.representation import TaskData, difference
from benchmarks.common.small_pairs import (
    Choice,
    Scores,
    States,
    all_tasks,
    choose,
    embed,
    inputs,
    load_pair,
    log_mel_statistics,
    options,
    scores,
    untrained_pair,
)
from hear_aesthetics.features.fusion import SOURCES

UNTRAINED = 3  # initialisations
FUSED, MEL, RANDOM = "trained fused", "log-mel", "untrained fused"
BOTH, BOTH_RANDOM = "log-mel + trained fused", "log-mel + untrained fused"
COMPARISONS = (
    (FUSED, RANDOM),
    (FUSED, MEL),
    *((FUSED, f"trained {source}") for source in SOURCES),
    (BOTH, MEL),
    (BOTH, BOTH_RANDOM),
)
REAL = ("commands", "digits100", "speakers")  # the aims are about these
GAIN, LOSS, ADDED = 0.03, -0.01, 0.02
Differences = Mapping[tuple[str, str, str], float]  # by task and what is compared


def measure(quick: bool, model: Path, tasks: Path | None, splits: int) -> BenchmarkReport:
    """Compare pretrained encoders with untrained ones and with log-mel statistics."""
    data = all_tasks(tasks, 3 if quick else splits)
    trained = load_pair(model)
    states = [embed(data, trained)]
    for seed in range(UNTRAINED):
        states.append(embed(data, untrained_pair(trained["muq"].config, seed)))
    chosen = [next(iter(choose(data, found))) for found in states]
    rows, differences = [], {}
    for task in data:
        scored = _contenders(task, [found[task.name] for found in states], chosen)
        for ours, theirs in COMPARISONS:
            mean, error = difference(scored[ours][1], scored[theirs][1], task)
            differences[task.name, ours, theirs] = mean
            rows.append(
                {
                    "task": task.name,
                    "this": f"{ours}: {np.mean(scored[ours][1]):.3f}",
                    "against": f"{theirs}: {np.mean(scored[theirs][1]):.3f}",
                    "difference": f"{mean:+.3f}",
                    "standard error": f"{error:.3f}",
                }
            )
    names = ["trained", *(f"untrained {seed}" for seed in range(UNTRAINED))]
    shown = [f"{n}: layer {k}, {p}" for n, (k, p) in zip(names, chosen, strict=True)]
    gains = [differences[task.name, FUSED, RANDOM] for task in data]
    return BenchmarkReport(
        "Is a pretrained small pair better than an untrained one and than the log-mel?",
        rows,
        ratio=1.0 + float(np.mean(gains)),
        max_difference=0.0,
        targets=_targets(differences) if tasks and not quick else {},
        notes=[
            "accuracy on test, mean over paired splits; the standard error is corrected for clips "
            "that the splits share",
            f"chosen on valid: {'; '.join(shown)}",
            f"untrained: mean of {UNTRAINED} initialisations; log-mel: its mean and deviation",
            "ratio: 1 + mean gain over untrained, all tasks; no numeric difference is measured",
        ],
    )


def _contenders(
    task: TaskData, states: Sequence[States], chosen: Sequence[Choice]
) -> dict[str, Scores]:
    mel = log_mel_statistics(task)
    fused = [inputs(found, choice) for found, choice in zip(states, chosen, strict=True)]
    both = [np.concatenate([mel, values], axis=1) for values in fused]
    scored = {FUSED: scores(fused[0], task), MEL: scores(mel, task), BOTH: scores(both[0], task)}
    for source in SOURCES:
        values = inputs(states[0], chosen[0], (source,))
        scored[f"trained {source}"] = scores(values, task)
    for name, untrained in ((RANDOM, fused[1:]), (BOTH_RANDOM, both[1:])):
        valid, test = np.mean([scores(values, task) for values in untrained], axis=0)
        scored[name] = valid.tolist(), test.tolist()
    return scored


def _targets(differences: Differences) -> dict[str, bool]:
    over = sorted(differences[task, FUSED, RANDOM] for task in REAL)
    mel = sorted(differences[task, FUSED, MEL] for task in REAL)
    added = sorted(differences[task, BOTH, MEL] for task in REAL)
    return {
        "3 points over untrained on two real tasks, not 1 below on the third": over[1] >= GAIN
        and over[0] >= LOSS,
        "at least the log-mel on two real tasks": mel[1] >= 0.0,
        "with the log-mel 2 points over the log-mel on two real tasks": added[1] >= ADDED,
    }


if __name__ == "__main__":
    raise SystemExit(main("pretraining.probes", measure, options=options()))
