"""How good are encoders on recorded sounds, against models that other people made?

    python -m benchmarks.representation --tasks TASKS_DIR [--model DIR] [--cache DIR] [--write]

Tasks, splits, probe and contenders: ``tasks.toml``. ``TASKS_DIR`` holds the folders of its HEAR
tasks; the others are built from Debian packages (``apt-get download``, nothing is installed). Run
it in the environment of ``make peers``. Embeddings and scores stay in the cache: empty it when the
code of a module has changed. ``--quick`` needs neither packages nor peers.
"""

import argparse
import math
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.representation.contenders import Outcome, Tasks, evaluate
from benchmarks.representation.folders import load_clips
from benchmarks.representation.splits import half_width, paired, paired_splits
from hear_aesthetics.checkpoints.hashes import cache_home
from hear_aesthetics.errors import HearAestheticsError
from hear_aesthetics.evaluation.results.leaderboard import make_leaderboard
from hear_aesthetics.evaluation.results.task_result import TaskResult

SETTINGS = Path(__file__).with_name("tasks.toml")
CACHE = cache_home() / "representation"
REFERENCE, BASELINE = "mini", "log_mel"
QUICK_TASKS, QUICK_SPLITS = ("chord",), 3

Outcomes = Mapping[str, Outcome]


def measure(
    quick: bool,
    tasks: Path | None,
    model: Sequence[Path],
    cache: Path,
    only: Sequence[str],
    contender: Sequence[str] = (),
) -> BenchmarkReport:
    """Measure probes on all contenders' embeddings, and differences to ``mini``."""
    fixed = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    named = {**fixed["tasks"]}
    if quick:
        named = {name: {**named[name], "counted": True} for name in QUICK_TASKS}
    elif only:
        named = {name: named[name] for name in only}
    splits = fixed["splits"] | ({"number": QUICK_SPLITS} if quick else {})
    own = fixed["contenders"][REFERENCE]
    given = {path.resolve().name: {**own, "model": str(path)} for path in model}
    contenders = {REFERENCE: own, **given}
    contenders |= {k: v for k, v in fixed["contenders"].items() if not quick or k == BASELINE}
    kept = (REFERENCE, *(contender or contenders), *given)
    missing = [name for name in fixed["contenders"] if name not in kept]
    contenders = {name: contenders[name] for name in contenders if name in kept}
    data = _split(named, splits, tasks, cache)
    outcomes = {}
    for name, settings in contenders.items():
        print(f"{name}: {len(data)} tasks", file=sys.stderr)
        outcomes[name] = evaluate(settings, data, cache)
    counted = [name for name, settings in named.items() if settings.get("counted")]
    return report(outcomes, counted, missing)


def counted_tasks(tasks: Path | None, cache: Path) -> Tasks:
    """Return the clips and splits of the tasks that are counted."""
    fixed = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    named = {name: task for name, task in fixed["tasks"].items() if task.get("counted")}
    return _split(named, fixed["splits"], tasks, cache)


def _split(
    named: Mapping[str, Any], splits: Mapping[str, int], tasks: Path | None, cache: Path
) -> Tasks:
    data = {}
    for name, settings in named.items():
        clips = load_clips(name, settings, tasks, cache)
        rules = {key: settings[key] for key in ("within", "shots") if key in settings}
        found = paired_splits(clips.labels, clips.groups, splits["number"], splits["seed"], **rules)
        data[name] = clips, found
    return data


def report(
    outcomes: Outcomes, counted: Sequence[str], missing: Sequence[str] = ()
) -> BenchmarkReport:
    """Return the evaluator's table of test accuracies, and the differences to ``mini`` below it."""
    names = list(outcomes[REFERENCE].scores)
    results = {
        (task, name): _result(task, name, outcome.scores[task][1])
        for name, outcome in outcomes.items()
        for task in names
    }
    board = make_leaderboard([result for (task, _), result in results.items() if task in counted])
    means = {name: board.mean(name)[0] for name in board.models}
    rows: list[dict[str, object]] = []
    for task in names:
        cells = {name: results[task, name].describe() for name in board.models}
        rows.append({"task": task, "what": "accuracy [95 %]", **cells})
        differences = {
            name: paired(outcome.scores[task][1], outcomes[REFERENCE].scores[task][1])
            for name, outcome in outcomes.items()
        }
        cells = _cells(board.models, differences)
        rows.append({"task": task, "what": "against mini (se)", **cells})
    total = {name: mean_difference(outcomes, name, counted) for name in outcomes}
    mean = {name: f"{value:.3f}" for name, value in means.items()}
    rows.append({"task": f"mean of {len(counted)}", "what": "normalised mean", **mean})
    rows.append({"task": f"mean of {len(counted)}", "what": "against mini (se)",
                 **_cells(board.models, total)})  # fmt: skip
    chosen = [f"{n}: {outcomes[n].choice}, {outcomes[n].size} values" for n in board.models]
    beside = [name for name in names if name not in counted]
    return BenchmarkReport(
        "Encoders on recorded sounds, and models of other projects",
        rows,
        ratio=means[REFERENCE] / means.get(BASELINE, math.nan),
        max_difference=0.0,
        notes=[
            f"test accuracy of a ridge probe, mean of {len(next(iter(_tests(outcomes))))} splits "
            "by groups; intervals and standard errors (se) are corrected for clips that the splits "
            "share",
            f"chosen on the validation parts: {'; '.join(chosen)}",
            f"not in the mean, rendered by our own instruments: {', '.join(beside) or 'none'}",
            f"not measured in this run: {', '.join(missing) or 'none'}",
            "ratio: mean of mini over that of log-mel; no numeric difference is measured",
        ],
    )


def mean_difference(outcomes: Outcomes, name: str, tasks: Sequence[str]) -> tuple[float, float]:
    """Return the difference to ``mini`` of the mean over tasks, and its standard error."""
    pairs = [
        paired(outcomes[name].scores[task][1], outcomes[REFERENCE].scores[task][1])
        for task in tasks
    ]
    errors = math.sqrt(sum(error**2 for _, error in pairs)) / len(pairs)
    return float(np.mean([mean for mean, _ in pairs])), errors


def _tests(outcomes: Outcomes) -> Sequence[Sequence[float]]:
    return [test for outcome in outcomes.values() for _, test in outcome.scores.values()]


def _result(task: str, model: str, values: Sequence[float]) -> TaskResult:
    score, width = float(np.mean(values)), half_width(values)
    ends = max(0.0, score - width), min(1.0, score + width)
    return TaskResult(model, task, "top1_acc", True, score, ends, "robust", (task,))


def _cells(
    models: Sequence[str], differences: Mapping[str, tuple[float, float]]
) -> dict[str, object]:
    return {
        name: "" if name == REFERENCE else "{:+.3f} ({:.3f})".format(*differences[name])
        for name in models
    }


def _options() -> argparse.ArgumentParser:
    parser: Any = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--tasks", type=Path, help="folder of HEAR task folders")
    parser.add_argument("--model", type=Path, action="append", default=[],
                        help="model directory of a further pair")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for all that is made")
    parser.add_argument("--only", action="append", default=[], help="name of a task to run alone")
    parser.add_argument("--contender", action="append", default=[],
                        help="contender to measure beside mini; default: all")  # fmt: skip
    return parser


if __name__ == "__main__":
    try:
        raise SystemExit(main("representation", measure, options=_options()))
    except HearAestheticsError as error:
        raise SystemExit(f"error: {error}") from error
