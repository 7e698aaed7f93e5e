"""Whether 95 % intervals of scores hold the truth in 95 of 100 simulated test sets.

Every case draws many small test sets from a known model, whose score on a very large set is the
truth. Beside ours stands a percentile bootstrap of the same sets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common.harness import BenchmarkReport, main
from hear_aesthetics.evaluation.tasks.event_postprocessing import Events
from hear_aesthetics.evaluation.tasks.scores import make_scores
from hear_aesthetics.metrics import lcc
from hear_aesthetics.metrics.intervals import (
    SCALES,
    Array,
    Interval,
    interval_of,
    jackknife,
    paired_interval,
)

Draw = Callable[[np.random.Generator, int], tuple[Any, Any]]

SMALL = 40  # songs of test sets that are quick to simulate
RESAMPLES = 200  # of the percentile bootstrap
LARGE = 40_000  # songs of which the score is the truth
LOWEST = 0.90
TOP_TIER = 3.75
CLASSES = 24  # two octaves: wrong by one of them is right in chroma
COMMON, RARE, LONG_TAIL = (0.3,) * 4, (0.04,) * 50, tuple(np.geomspace(0.3, 0.01, 40))


@dataclass(frozen=True)
class Case:
    """A score of test sets of some size.

    Attributes:
        score: Name.
        what: In words.
        songs: Of a test set.
        draw: Makes predictions and targets of so many songs.
        columns: Regression targets.
    """

    score: str
    what: str
    songs: int
    draw: Draw
    columns: int = 1

    def value(self, preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        """Return the score ``(1,)``, or ``(replicates, 1)``."""
        names = [str(index) for index in range(self.columns)]
        thresholds = [TOP_TIER] * self.columns
        (score,) = make_scores([self.score], names, thresholds, skip_undefined=True)
        if weights is None:
            return np.array([next(iter(score.values(preds, target).values()))])
        return score.resampled(preds, target, weights)[:, None]

    def interval(self, preds: Any, target: Any) -> Interval:
        """Ours."""
        scale = SCALES[self.score]
        sample = jackknife(self.value, preds, target, self.songs, scale)
        return interval_of(self.value(preds, target), *sample, scale)


class Difference(Case):
    """The LCC of one model less that of another, which ``preds`` hold side by side."""

    def value(self, preds: Any, target: Any, *, weights: Array | None = None) -> Array:
        """Return the difference ``(1,)``, or ``(replicates, 1)``."""
        return np.subtract(*(lcc(p, target, weights=weights) for p in np.split(preds, 2, axis=1)))

    def interval(self, preds: Any, target: Any) -> Interval:
        """Ours."""
        return paired_interval(lcc, *np.split(preds, 2, axis=1), target)


def classes(rng: np.random.Generator, songs: int, right: float) -> tuple[Array, Array]:
    """One-hot predictions and targets of which a share agrees, and some more up to octaves."""
    true = rng.integers(CLASSES, size=songs)
    steps = rng.choice([0, 12, 5], size=songs, p=[right, (1 - right) / 2, (1 - right) / 2])
    return np.eye(CLASSES)[(true + steps) % CLASSES], np.eye(CLASSES)[true]


def labels(
    rng: np.random.Generator, songs: int, rates: Sequence[float], apart: float
) -> tuple[Array, Array]:
    """Draw normal scores, higher by ``apart`` where a label of its rate is true."""
    target = (rng.random((songs, len(rates))) < rates).astype(np.float64)
    return rng.normal(size=target.shape) + apart * target, target


def ratings(
    rng: np.random.Generator, songs: int, columns: int, correlations: Sequence[float]
) -> tuple[Array, Array]:
    """Ratings 1-5 that go with each other, in tenths, and predictions that go with them."""
    target = rng.normal(size=(songs, 1)) + rng.normal(size=(songs, columns))
    noise = 2**0.5 * rng.normal(size=(len(correlations), *target.shape))
    models = [r * target + (1 - r**2) ** 0.5 * n for r, n in zip(correlations, noise, strict=True)]
    preds, target = (3 + 0.6 * x for x in (np.concatenate(models, axis=1), target))
    return preds.clip(1, 5).round(1), target.clip(1, 5).round(1)


def events(rng: np.random.Generator, songs: int, found: float) -> tuple[Events, Events]:
    """Files with up to eight events of two labels, of which a share is found, and false ones."""
    file = np.repeat(np.arange(songs), rng.integers(9, size=songs))
    label, start = rng.integers(2, size=len(file)), rng.uniform(0, 20_000, len(file))
    moved = np.where(rng.random(len(file)) < found, rng.normal(0, 10, len(file)), 500)
    true = Events(file, label, start, start + 400)
    return Events(file, label, start + moved, start + moved + 400), true


def cases() -> Iterator[Case]:
    """Every score; pitch_acc is top1_acc, and the F-measure of 50 ms much like that of 200 ms."""
    for name in ("top1_acc", "chroma_acc"):
        for songs, right in ((12, 0.6), (12, 0.97), (400, 0.97)):
            yield Case(name, f"{right:.0%} right", songs, partial(classes, right=right))
    for name in ("mAP", "aucroc", "d_prime"):
        for songs, what, rates, apart in (
            (12, "2 labels", (0.5, 0.5), 1.0),
            (40, "4 labels", COMMON, 1.0),
            (400, "4 labels", COMMON, 2.0),
            (50, "50 rare labels", RARE, 1.0),
            (100, "50 rare labels", RARE, 1.0),
            (400, "50 rare labels", RARE, 1.0),
            (400, "40 labels, long tail", LONG_TAIL, 1.0),
        ):
            yield Case(name, what, songs, partial(labels, rates=rates, apart=apart))
    for name in ("lcc", "srcc", "ktau", "mse", "tta"):
        for songs, columns, r in ((12, 1, 0.5), (12, 1, 0.95), (12, 5, 0.9), (200, 5, 0.9)):
            what = f"mean of {columns}, correlated {r}" if columns > 1 else f"correlated {r}"
            draw = partial(ratings, columns=columns, correlations=[r])
            yield Case(name, what, songs, draw, columns)
    for songs in (12, 200):
        draw = partial(ratings, columns=1, correlations=[0.9, 0.8])
        yield Difference("lcc", "0.9 less 0.8, paired", songs, draw)
    for name in ("event_onset_200ms_fms", "event_onset_offset_50ms_20perc_fms", "segment_1s_er"):
        for songs, found in ((12, 0.6), (12, 0.95), (100, 0.8)):
            yield Case(name, f"{found:.0%} found", songs, partial(events, found=found))


def row(case: Case, sets: int) -> dict[str, object]:
    """Simulate a case."""
    large = case.draw(np.random.default_rng(1), LARGE)
    truth = float(case.value(*large)[0])
    ours, percentile = [], []
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        drawn = case.draw(rng, case.songs)
        counts = rng.multinomial(case.songs, [1 / case.songs] * case.songs, RESAMPLES)
        with np.errstate(divide="ignore", invalid="ignore"):  # some sets have no score
            found = case.interval(*drawn)
            sample = case.value(*drawn, weights=counts.astype(np.float64))[:, 0]
            percentile.append(np.nanquantile(sample, [0.025, 0.975]))
        ours.append((found.low[0], found.high[0]))
    estimable, *told = _figures(ours, truth)
    _, *told_by_percentile = _figures(percentile, truth)
    return {
        "score": case.score,
        "test set": case.what,
        "songs": case.songs,
        "truth": round(truth, 3),
        "estimable": estimable,
        **dict(zip(("coverage", "width"), told, strict=True)),
        **dict(zip(("percentile: coverage", "width "), told_by_percentile, strict=True)),
    }


def _figures(ends: Sequence[Any], truth: float) -> tuple[float, object, object]:
    """Share of finite intervals, and how many of these hold the truth, and their mean width."""
    low, high = np.transpose(ends)
    given = np.isfinite(low) & np.isfinite(high)
    if given.mean() < 0.1:  # too few to tell
        return float(given.mean()), "-", "-"
    held = ((low <= truth) & (truth <= high))[given].mean()
    return float(given.mean()), float(held), float((high - low)[given].mean())


def measure(quick: bool) -> BenchmarkReport:
    """Coverage of 95 % intervals on simulated test sets, ours and a percentile bootstrap's."""
    few, many = (20, 20) if quick else (300, 1200)
    rows = [row(case, many if case.songs <= SMALL else few) for case in cases()]
    ours, percentile = (
        np.array([r[key] for r in rows if "-" not in (r["coverage"], r["percentile: coverage"])])
        for key in ("coverage", "percentile: coverage")
    )
    return BenchmarkReport(
        title="How often 95 % intervals hold the truth",
        rows=rows,
        ratio=float(ours.mean() / percentile.mean()),
        max_difference=float(0.95 - ours.min()),
        targets={} if quick else {f"coverage at least {LOWEST} in every row": ours.min() >= LOWEST},
        notes=[
            f"{few} simulated test sets a row, {many} where they have at most {SMALL} songs",
            "estimable: share of the sets that have an interval; coverage and width are theirs",
            "songs: files, for events; truth: the score of a very large set",
            "ratio: of the mean coverages; difference: what the lowest of ours lacks of 0.95",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("coverage", measure))
