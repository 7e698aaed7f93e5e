"""Ablation of the paper, on the composed set of :mod:`benchmarks.songeval`.

    python -m benchmarks.ablation [--seeds 3] [--write]

Eight rows per track, 16 runs per seed, with intervals over the test songs, beside the published
figures, which are of other songs and of the published encoders.
"""

import argparse
import json
from dataclasses import replace

from benchmarks.common.composed_set import FULL, QUICK, composed_set, songeval, training_options
from benchmarks.common.harness import BenchmarkReport, main

__all__ = ["measure"]

BASELINE, COMPLETE = "baseline", "MMR+HAS+Ltotal"
STATE = "muq_03"  # halfway up MuQ's layers of mini, as muq_06 is of the published one


def _cell(values: list[float]) -> str:
    value, low, high = values
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def measure(quick: bool, seeds: int) -> BenchmarkReport:
    """Train the eight rows of both tracks on composed songs."""
    size = replace(QUICK if quick else FULL, seeds=seeds)
    folder = composed_set(size)
    options = training_options(replace(size, epochs=max(1, size.epochs // 2)))
    settings = [f"--set={key}={value}" for key, value in options.items()]
    data = ("--data", "prepared", "--features", "features", "--out", "ablation")
    chosen = ("--seeds", str(size.seeds), "--baseline-features", STATE)
    songeval(folder, "ablation", *data, *chosen, *settings)
    tracks = json.loads((folder / "ablation" / "ablation.json").read_text())["tracks"]
    rows = [
        {
            "track": track.removeprefix("track"),
            "row": name,
            **{metric.upper(): _cell(values) for metric, values in found["value"].items()},
            "LCC beside the baseline": _cell(found["difference"]["lcc"]),
        }
        for track, figures in tracks.items()
        for name, found in figures.items()
    ]
    lcc = {name: found["value"]["lcc"][0] for name, found in tracks["track2"].items()}
    return BenchmarkReport(
        title=f"Ablation on {size.songs} composed songs, seeds: {size.seeds} "
        f"({size.test_songs} test songs, 95 % intervals)",
        rows=rows,
        ratio=lcc[COMPLETE] / lcc[BASELINE],
        max_difference=max(abs(value - lcc[BASELINE]) for value in lcc.values()),
        notes=[
            "a test and demo set: songs and ratings are simulated; features of mini",
            f"ratio: mean LCC of {COMPLETE} over that of the baseline, track 2; difference: the "
            "largest of a row's mean LCC and the baseline's",
            "MMR: fused feature and aesthetic head, else one hidden state and the SongEval "
            "baseline head; HAS: augmented copies and C-Mixup; Ltotal: SmoothL1 and ListMLE, else "
            "mean squared error",
            "training as in the section songeval, with half of its epochs",
        ],
    )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seeds", type=int, default=3, help="training runs of every row")
    return parser


if __name__ == "__main__":
    raise SystemExit(main("ablation", measure, options=_options()))
