"""How much does pretraining improve heads on composed songs?

    python -m benchmarks.pretraining.songeval [--write]

Heads of three seeds on the features of ``mini`` and on those of a pair of the same sizes that was
only calibrated, all of the same layer; the interval is of the difference on the same test songs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.common.composed_set import FULL, QUICK, Size, composed_set, features
from benchmarks.common.harness import BenchmarkReport, main
from benchmarks.common.small_pairs import write_untrained
from benchmarks.songeval import trained
from hear_aesthetics import load_model
from hear_aesthetics.metrics.correlation import lcc
from hear_aesthetics.metrics.intervals import Interval, paired_interval
from songeval_task.dimensions import DIMENSIONS
from songeval_task.protocol import SongPredictions, mean_over
from songeval_task.reports.read_predictions import read_predictions

PAIRS = {"trained": "features", "untrained": "features-untrained"}
Runs = Mapping[str, Sequence[SongPredictions]]


def measure(quick: bool) -> BenchmarkReport:
    """Compare the LCC of heads on trained and untrained encoders, paired by song."""
    size = QUICK if quick else FULL
    folder = composed_set(size)
    layer = load_model("mini").fused.layer
    write_untrained(folder / "untrained", layer, "mean")
    features(size, PAIRS["untrained"], "untrained")
    runs = {pair: [_run(size, pair, seed) for seed in range(size.seeds)] for pair in PAIRS}
    found = paired(runs)
    rows = [
        {
            "encoders": pair,
            "seed": seed,
            **dict(zip([d.name for d in DIMENSIONS], _lcc(run).round(3).tolist(), strict=True)),
            "mean": float(_lcc(run).mean().round(3)),
        }
        for pair, each in runs.items()
        for seed, run in enumerate(each)
    ]
    means = {pair: float(np.mean([_lcc(run) for run in each])) for pair, each in runs.items()}
    (estimate,), (low,), (high,) = found.estimate, found.low, found.high
    return BenchmarkReport(
        title=f"Heads on trained and untrained encoders, LCC on {size.test_songs} composed songs",
        rows=rows,
        ratio=means["trained"] / means["untrained"],
        max_difference=float(estimate),
        notes=[
            f"trained - untrained, mean of dimensions and seeds: {estimate:+.3f} "
            f"[{low:+.3f}, {high:+.3f}], 95 % interval over the same songs",
            f"layer {layer} of both; the batch norms of the untrained pair are calibrated",
            "ratio: of the mean LCCs; difference: of the mean LCCs",
            "a test and demo set: songs and ratings are simulated",
        ],
    )


def paired(runs: Runs) -> Interval:
    """Return the interval of the difference of mean LCC, trained minus untrained."""
    first, *others = [run for pair in PAIRS for run in runs[pair]]
    if any(run.songs != first.songs for run in others):
        raise ValueError("the runs were tested on different songs")
    preds = {p: np.concatenate([run.preds for run in runs[p]], axis=1) for p in PAIRS}
    target = np.concatenate([run.target for run in runs["trained"]], axis=1)
    return paired_interval(mean_over(lcc), preds["trained"], preds["untrained"], target)


def _run(size: Size, pair: str, seed: int) -> SongPredictions:
    name = f"seed{seed}" if pair == "trained" else f"{pair} seed{seed}"
    run = trained(size, name, "--seed", str(seed), features=PAIRS[pair])
    return read_predictions(size.folder / run, None).predictions


def _lcc(run: SongPredictions) -> np.ndarray:
    return np.asarray(lcc(run.preds, run.target))


if __name__ == "__main__":
    raise SystemExit(main("pretraining.songeval", measure))
