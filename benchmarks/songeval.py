"""Does a head that trains on the composed set learn the five qualities, and nothing else?

Three seeds on the features of ``mini``; a control with shuffled labels; and ridge regression on
level, brightness, duration and tempo, which should know less than the heads in every dimension. The
control is the mean of several shuffles: any single one agrees with the ratings a little, or
contradicts them, and a head that learns makes the most of either. The songs are composed and their
ratings simulated: the figures say that the pipeline learns what is there, and nothing about music
that people make.
"""

import subprocess
import sys
from collections.abc import Mapping
from statistics import fmean

from benchmarks.common.composed_set import (
    FULL,
    QUICK,
    ROOT,
    Size,
    composed_set,
    songeval,
    training_options,
)
from benchmarks.common.harness import BenchmarkReport, main

__all__ = ["measure", "trained"]

BASELINE, CONTROL = "descriptors", "shuffled labels"
MEAN_LCC, LEAST_LCC, CONTROL_LCC = 0.70, 0.30, 0.20
SHUFFLES = 8
Row = Mapping[str, object]


def trained(size: Size, name: str, *options: str, features: str = "features") -> str:
    """Train a head; return its folder, relative to that of the set."""
    out = f"runs/{name.replace(' ', '-')}"
    settings = [f"--set={key}={value}" for key, value in training_options(size).items()]
    data = ("--data", "prepared", "--features", features, "--track", "2")
    songeval(size.folder, "train", *data, "--out", out, *settings, *options)
    return out


def read_lines(text: str, names: Mapping[str, str]) -> list[dict[str, object]]:
    """Read the table that ``scripts/descriptor_baseline.py`` prints, and rename its rows."""
    header, *lines = (line.split() for line in text.splitlines())
    rows: list[dict[str, object]] = []
    for name, *values in lines:
        figures = zip(header[1:], map(float, values), strict=True)
        rows.append({"LCC": names[name], **dict(figures)})
    return rows


def with_mean_control(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows with all controls replaced by their mean."""
    controls = [row for row in rows if row["LCC"] == CONTROL]
    keys = [key for key in controls[0] if key != "LCC"]
    mean = {key: round(fmean(float(str(row[key])) for row in controls), 3) for key in keys}
    return [*(row for row in rows if row["LCC"] != CONTROL), {"LCC": CONTROL, **mean}]


def targets(rows: list[dict[str, object]]) -> dict[str, bool]:
    """Return each target, and whether it was reached."""
    figures = {str(row["LCC"]): [v for v in row.values() if isinstance(v, float)] for row in rows}
    baseline, control = figures.pop(BASELINE), figures.pop(CONTROL)
    heads = list(figures.values())
    return {
        f"mean LCC of every seed at least {MEAN_LCC}": all(h[-1] >= MEAN_LCC for h in heads),
        f"LCC of every dimension at least {LEAST_LCC}": all(min(h) >= LEAST_LCC for h in heads),
        "every head above the descriptors in every dimension": all(
            ours > theirs for head in heads for ours, theirs in zip(head, baseline, strict=True)
        ),
        f"mean LCC with shuffled labels within {CONTROL_LCC}": abs(control[-1]) < CONTROL_LCC,
    }


def measure(quick: bool) -> BenchmarkReport:
    """Train on composed songs with three seeds, and on shuffled labels."""
    size = QUICK if quick else FULL
    folder = composed_set(size)
    names = {
        trained(size, f"seed{seed}", "--seed", str(seed)): f"seed {seed}"
        for seed in range(size.seeds)
    }
    for seed in range(SHUFFLES):
        options = ("--seed", str(seed), "--set=shuffle_labels=true")
        names[trained(size, f"{CONTROL} {seed}", *options)] = CONTROL
    script = ROOT / "scripts" / "descriptor_baseline.py"
    done = subprocess.run(
        [sys.executable, str(script), "songs", "prepared", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    every = read_lines(done.stdout, {**names, "ridge": BASELINE})
    shuffled = [float(str(row["mean"])) for row in every if row["LCC"] == CONTROL]
    rows = with_mean_control(every)
    means = {str(row["LCC"]): float(str(row["mean"])) for row in rows}
    worst = min(means[name] for name in names.values() if name != CONTROL)
    settings = ", ".join(f"{key} {value}" for key, value in training_options(size).items())
    return BenchmarkReport(
        title=f"SongEval task on {size.songs} composed songs of {size.seconds} s, features of "
        f"mini ({size.test_songs} test songs)",
        rows=rows,
        ratio=worst / means[BASELINE],
        max_difference=abs(means[CONTROL]),
        targets={} if quick else targets(rows),
        notes=[
            "a test and demo set: songs and ratings are simulated",
            f"ratio: mean LCC of the worst seed over that of the {BASELINE} (ridge on level, "
            "spectral centroid, zero crossings, duration, tempo); difference: |mean LCC| with "
            "shuffled labels",
            f"shuffled labels: mean of {SHUFFLES} shuffles, between {min(shuffled):.3f} and "
            f"{max(shuffled):.3f}",
            f"training: {settings}; otherwise as published; augmentations: {size.augmentations}",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("songeval", measure))
