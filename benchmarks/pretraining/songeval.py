"""How much does pretraining improve heads on composed songs?

    python -m benchmarks.pretraining.songeval [--write]

Heads of three seeds on the features of ``mini``, of ``mini-0.1``, and of a pair of the sizes of
``mini`` that was only calibrated, of the same hidden states; intervals are of the differences on
the same test songs.
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

MINI, FIRST, UNTRAINED = "mini", "mini-0.1", "untrained"
FEATURES = {MINI: "features", FIRST: f"features-{FIRST}", UNTRAINED: f"features-{UNTRAINED}"}
Runs = Mapping[str, Sequence[SongPredictions]]


def measure(quick: bool) -> BenchmarkReport:
    """Compare the LCC of heads on pairs of encoders, paired by song."""
    size = QUICK if quick else FULL
    folder = composed_set(size)
    layer = load_model("mini").fused.layer
    write_untrained(folder / "untrained", layer, "mean")
    for pair in (FIRST, UNTRAINED):
        features(size, FEATURES[pair], pair)
    runs = {pair: [_run(size, pair, seed) for seed in range(size.seeds)] for pair in FEATURES}
    found = {pair: paired(runs, pair) for pair in (FIRST, UNTRAINED)}
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
    return BenchmarkReport(
        title=f"Heads on pairs of encoders, LCC on {size.test_songs} composed songs",
        rows=rows,
        ratio=means[MINI] / means[UNTRAINED],
        max_difference=abs(means[MINI] - means[UNTRAINED]),
        notes=[
            *(
                f"{MINI} - {pair}, mean of dimensions and seeds: {each.estimate[0]:+.3f} "
                f"[{each.low[0]:+.3f}, {each.high[0]:+.3f}], 95 % interval over the same songs"
                for pair, each in found.items()
            ),
            f"hidden state {layer} of {MINI} and of the untrained pair, whose batch norms are "
            "calibrated",
            "ratio and difference: of the mean LCCs of mini and the untrained pair",
            "a test and demo set: songs and ratings are simulated",
        ],
    )


def paired(runs: Runs, other: str) -> Interval:
    """Return the interval of the difference of mean LCC, ``mini`` less another pair."""
    first, *others = [*runs[MINI], *runs[other]]
    if any(run.songs != first.songs for run in others):
        raise ValueError("the runs were tested on different songs")
    ours, theirs = (np.concatenate([r.preds for r in runs[p]], axis=1) for p in (MINI, other))
    target = np.concatenate([run.target for run in runs[MINI]], axis=1)
    return paired_interval(mean_over(lcc), ours, theirs, target)


def _run(size: Size, pair: str, seed: int) -> SongPredictions:
    name = f"seed{seed}" if pair == MINI else f"{pair} seed{seed}"
    run = trained(size, name, "--seed", str(seed), features=FEATURES[pair])
    return read_predictions(size.folder / run, None).predictions


def _lcc(run: SongPredictions) -> np.ndarray:
    return np.asarray(lcc(run.preds, run.target))


if __name__ == "__main__":
    raise SystemExit(main("pretraining.songeval", measure))
