"""How good is the bundled pair in the protocols of the HEAR evaluator, and should it be centred?

    python -m benchmarks.pretraining.hear --tasks TASKS_DIR [--write]

All of a task's clips and heareval's probes, trained in both protocols, on the tasks from which
:mod:`benchmarks.common.representation` takes its few-shot and grouped splits.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.representation import COMMANDS, DIGITS
from benchmarks.common.small_pairs import write_untrained
from hear_aesthetics import load_model
from hear_aesthetics.pretraining.export import MODEL_JSON
from hear_aesthetics.pretraining.standardization import standardize_model

PLAIN, CENTRED, UNTRAINED, LOG_MEL = "trained", "trained, centred", "untrained", "log-mel"
PROTOCOLS = ("robust", "official")


def measure(quick: bool, tasks: Path) -> BenchmarkReport:
    """Measure the bundled pair, centred and not, an untrained pair, and the log-mel."""
    rows, valid = [], {}
    with TemporaryDirectory() as work:
        for name, options in _contenders(Path(work)).items():
            for protocol in PROTOCOLS:
                found = _evaluate(tasks, Path(work) / name, protocol, quick, options)
                valid[name, protocol] = fmean(values["valid"] for values in found.values())
                for task, values in found.items():
                    row = {"task": task.partition("-")[0], "protocol": protocol, "model": name}
                    rows.append({**row, **{k: f"{v:.3f}" for k, v in values.items()}})
    rows.sort(key=lambda row: (row["task"], row["protocol"]))
    means = {name: fmean(valid[name, p] for p in PROTOCOLS) for name in (PLAIN, CENTRED)}
    mean = {name: fmean(float(r["test"]) for r in rows if r["model"] == name) for name in means}
    mean[UNTRAINED] = fmean(float(row["test"]) for row in rows if row["model"] == UNTRAINED)
    better = max(means, key=lambda name: means[name])
    return BenchmarkReport(
        "The bundled pair in heareval's probes, all clips",
        rows,
        ratio=mean[better] / mean[UNTRAINED],
        max_difference=abs(mean[PLAIN] - mean[CENTRED]),
        notes=[
            f"better on valid, mean of tasks and protocols: {better} "
            f"({', '.join(f'{name} {value:.4f}' for name, value in means.items())})",
            "accuracies; mean of folds (and of 3 seeds in robust); grid: faster, 8 points",
            "ratio: mean test accuracy of the better over the untrained pair's; difference: of the "
            "mean test accuracies, centred or not",
        ],
    )


def _contenders(work: Path) -> dict[str, tuple[str, ...]]:
    """Make the model directories; return options of ``hear-aesthetics evaluate`` by name."""
    bundled = load_model("mini")
    config = bundled.files.config
    if config is None:
        raise RuntimeError("the bundled pair has no configuration")
    for name in ("plain", "centred"):
        shutil.copytree(config.parent, work / name)
        about = json.loads((work / name / MODEL_JSON).read_text())
        for key in ("centring", "standardizer"):
            about.pop(key, None)
        (work / name / MODEL_JSON).write_text(json.dumps(about))
    standardize_model(work / "centred")
    write_untrained(work / "random", bundled.fused.layer, bundled.config.pooling)
    return {
        PLAIN: ("--model", str(work / "plain")),
        CENTRED: ("--model", str(work / "centred")),
        UNTRAINED: ("--model", str(work / "random")),
        LOG_MEL: ("--module", "benchmarks.common.log_mel"),
    }


def _evaluate(
    tasks: Path, out: Path, protocol: str, quick: bool, options: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return validation and test accuracy by task."""
    chosen = ("--task", COMMANDS, *(() if quick else ("--task", DIGITS)))
    probes = ("--protocol", protocol, "--grid", "faster", "--overwrite")
    line = [sys.executable, "-m", "hear_aesthetics", "evaluate", str(tasks), "--out", str(out)]
    subprocess.run([*line, *chosen, *probes, *options], check=True, stdout=subprocess.DEVNULL)
    found = out.rglob("test.predicted-scores.json")
    return {path.parent.name: _scores(json.loads(path.read_text())) for path in found}


def _scores(written: dict[str, Any]) -> dict[str, float]:
    runs = [run for run in written.values() if isinstance(run, dict) and "test_score" in run]
    return {
        "valid": fmean(run["validation_score"] for run in runs),
        "test": fmean(run["test_score"] for run in runs),
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--tasks", type=Path, required=True, help="folder of HEAR tasks")
    return parser


if __name__ == "__main__":
    raise SystemExit(main("pretraining.hear", measure, options=_options()))
