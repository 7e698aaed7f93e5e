"""Do 90 % intervals hold 90 % of the ratings, of systems that nobody trained or calibrated on too?

On the composed set of :mod:`benchmarks.songeval`, over random divisions by system: three systems
are kept for the end; of the songs of the others, some train a head, some select it, some calibrate
it, and the rest are tested. Coverage and width come from songs that did none of these; so does the
calibration of P(B better), over random pairs of them. Songs and ratings are simulated.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from accelerate.state import AcceleratorState

from benchmarks.common.composed_set import FULL, QUICK, Size, composed_set, training_options
from benchmarks.common.harness import BenchmarkReport, main
from hear_aesthetics.metrics.intervals import Array
from songeval_task.features.augmentation import ORIGINAL
from songeval_task.training.config import read_config
from songeval_task.training.data import FeatureRow, TrainingData, load_data
from songeval_task.training.loop import make_accelerator
from songeval_task.training.predict import pool_songs
from songeval_task.training.run import fit_head
from songeval_task.uncertainty.calibration import Calibration
from songeval_task.uncertainty.conformal import quantile
from songeval_task.uncertainty.reference import ReferenceSongs

__all__ = ["measure"]

COVERAGE = 0.9
UNSEEN, SEEN = "systems never seen", "systems seen"
KEPT_SYSTEMS = 3
SHARES = {"train": 0.5, "select": 0.08, "calibrate": 0.27}  # of the songs of the other systems
DIVISIONS, QUICK_DIVISIONS = 20, 2
PAIRS, BINS = 2000, 10
LIMITS = {UNSEEN: (0.85, 0.95), SEEN: (0.87, 0.93)}
MAX_CALIBRATION_ERROR = 0.05


@dataclass(frozen=True)
class Division:
    """Results of one division.

    Attributes:
        held: Kind of song -> share of ratings in the interval, per column.
        width: Kind of song -> mean width per column.
        constant: Width of intervals without a scale, per column.
        spread: Standard deviation of the ratings, per column.
        said: P(B better) of pairs of songs.
        happened: Whether B was better; half where the ratings are equal.
    """

    held: Mapping[str, Array]
    width: Mapping[str, Array]
    constant: Array
    spread: Array
    said: Array
    happened: Array


def divide(rows: Mapping[str, list[FeatureRow]], seed: int) -> dict[str, list[str]]:
    """Return the songs of each part of a division: names by part."""
    rng = np.random.default_rng(seed)
    systems = {song: versions[0].system for song, versions in rows.items()}
    kept = set(rng.choice(sorted(set(systems.values())), KEPT_SYSTEMS, replace=False))
    others = rng.permutation([song for song, system in systems.items() if system not in kept])
    ends = (np.cumsum([*SHARES.values()]) * len(others)).astype(int)
    parts = dict(zip((*SHARES, SEEN), np.split(others, ends), strict=True))
    found = {name: part.tolist() for name, part in parts.items()}
    return {**found, UNSEEN: [song for song, system in systems.items() if system in kept]}


def run_division(
    data: TrainingData, rows: Mapping[str, list[FeatureRow]], size: Size, seed: int
) -> Division:
    """Train and calibrate a head on a division, and test it."""
    parts = divide(rows, seed)
    settings = [f"{key}={value}" for key, value in training_options(size).items()]
    config = read_config(None, settings, {"seed": seed})

    def originals(part: str) -> list[FeatureRow]:
        return [row for song in parts[part] for row in rows[song] if row.version == ORIGINAL]

    train = tuple(row for song in parts["train"] for row in rows[song])
    select = tuple(originals("select"))
    divided = replace(data, splits={"train": train, "valid": select, "test": select})
    with tempfile.TemporaryDirectory() as scratch:
        head, _ = fit_head(config, divided, Path(scratch), make_accelerator(config))
    AcceleratorState._reset_state(reset_partial_state=True)
    reference = ReferenceSongs.of(pool_songs(head, data, originals("train")))

    def scored(part: str) -> tuple[Array, Array, Array]:
        songs = originals(part)
        pooled = pool_songs(head, data, songs)
        preds = head.score(pooled).detach().double().numpy()
        labels = np.array([row.labels for row in songs])
        return preds, labels, reference.distance(pooled)

    preds, labels, distance = scored("calibrate")
    names, systems = data.track.names, [row.system for row in originals("calibrate")]
    calibration = Calibration.of(names, preds, labels, distance, systems, reference, {})
    held, width, tested = {}, {}, []
    for kind in (SEEN, UNSEEN):
        preds, labels, distance = scored(kind)
        both = [np.column_stack((table, table.mean(axis=1))) for table in (preds, labels)]
        low, high = calibration.intervals(both[0], distance, COVERAGE)
        held[kind] = ((low <= both[1]) & (both[1] <= high)).mean(axis=0)
        width[kind] = (high - low).mean(axis=0)
        tested.append((*both, distance))
    preds, labels, distance = (np.concatenate(part) for part in zip(*tested, strict=True))
    first, second = np.random.default_rng(seed).integers(0, len(preds), (2, PAIRS))
    said = [
        calibration.probability_higher(preds[a], preds[b], distance[[a, b]])
        for a, b in zip(first, second, strict=True)
        if a != b
    ]
    happened = [
        0.5 + 0.5 * np.sign(labels[b] - labels[a])
        for a, b in zip(first, second, strict=True)
        if a != b
    ]
    constant = 2 * quantile(np.abs(calibration.errors), COVERAGE)
    spread = labels.std(axis=0, ddof=1)
    return Division(held, width, constant, spread, np.array(said), np.array(happened))


def calibration_error(said: Array, happened: Array) -> float:
    """Return the expected calibration error: mean gap between said and happened, over bins."""
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    return float(
        sum(
            (bins == k).mean() * abs(said[bins == k].mean() - happened[bins == k].mean())
            for k in range(BINS)
            if (bins == k).any()
        )
    )


def measure(quick: bool) -> BenchmarkReport:
    """Measure coverage, width and the calibration of P(B better) over divisions by system."""
    size = replace(QUICK, name="quick-intervals", songs=300) if quick else FULL
    folder = composed_set(size)
    config = read_config(None, (), {})
    data = load_data(folder / "prepared", folder / "features", config)
    rows: dict[str, list[FeatureRow]] = {}
    for split in data.splits.values():
        for row in split:
            rows.setdefault(row.song, []).append(row)
    divisions = [
        run_division(data, rows, size, seed)
        for seed in range(QUICK_DIVISIONS if quick else DIVISIONS)
    ]
    table, errors = [], []
    held = {kind: np.mean([d.held[kind] for d in divisions], axis=0) for kind in LIMITS}
    for index, name in enumerate((*data.track.names, "mean")):
        said, happened = (
            np.concatenate([getattr(d, key)[:, index] for d in divisions])
            for key in ("said", "happened")
        )
        errors.append(calibration_error(said, happened))
        table.append(
            {
                "": name,
                **{f"held, {kind}": round(float(held[kind][index]), 3) for kind in LIMITS},
                **{
                    f"width, {kind}": float(np.mean([d.width[kind][index] for d in divisions]))
                    for kind in LIMITS
                },
                "constant width": float(np.mean([d.constant[index] for d in divisions])),
                "spread of ratings": float(np.mean([d.spread[index] for d in divisions])),
                "error of P(B better)": round(errors[-1], 3),
            }
        )
    targets = {
        f"90 % intervals hold {low} to {high} of {kind}": bool(
            ((held[kind][:-1] >= low) & (held[kind][:-1] <= high)).all()
        )
        for kind, (low, high) in LIMITS.items()
    } | {
        f"calibration error of P(B better) at most {MAX_CALIBRATION_ERROR}": (
            max(errors) <= MAX_CALIBRATION_ERROR
        )
    }
    return BenchmarkReport(
        title=f"Intervals of scores on {size.songs} composed songs, {len(divisions)} divisions by "
        "system",
        rows=table,
        ratio=float(np.mean([row["constant width"] for row in table]))
        / float(np.mean([row[f"width, {SEEN}"] for row in table])),
        max_difference=float(max(abs(part - COVERAGE).max() for part in held.values())),
        targets={} if quick else targets,
        notes=[
            "a test and demo set: songs and ratings are simulated; features of mini",
            f"{KEPT_SYSTEMS} systems are never seen; of the others' songs "
            + ", ".join(f"{share:.0%} {part}" for part, share in SHARES.items())
            + ", the rest are tested",
            "width: of 90 % intervals, mean over the songs; spread: standard deviation",
            "ratio: constant width over the width on songs of seen systems; difference: the "
            "largest of a coverage and 0.9",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("uncertainty.intervals", measure))
