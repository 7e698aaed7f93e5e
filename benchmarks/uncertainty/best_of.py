"""Whether the expected score of the best of eight takes is what the take turns out to be.

Ratings of takes are normal about that of their group, scores are ``c + k * rating`` and an error,
and the calibration songs are of the same model. Of each group the take with the highest score is
chosen; its rating is known here. Beside its expected score stand its score as it is, and the
expected rating of the calibration's line, which does not know that the take was chosen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.common.harness import BenchmarkReport, main
from hear_aesthetics.metrics.intervals import Array
from songeval_task.uncertainty.calibration import Calibration
from songeval_task.uncertainty.choice import EXPECTED, best_takes
from songeval_task.uncertainty.reference import ReferenceSongs

__all__ = ["Case", "measure", "winners"]

DIMENSION = "Musicality"
TAKES = 8
CENTRE, BETWEEN = 3.2, 0.6  # of the ratings of groups
CONSTANT, GAIN = 1.0, 0.7  # of scores over ratings
CALIBRATION_SONGS = 200
WITHIN = 0.05


@dataclass(frozen=True)
class Case:
    """A simulated generator and head.

    Attributes:
        spread: Standard deviation of ratings within a group.
        noise: Standard deviation of the errors of the head.
        shift: Of the groups' mean rating from that of the calibration songs.
    """

    spread: float
    noise: float
    shift: float = 0.0


def winners(case: Case, groups: int, seed: int) -> dict[str, Array]:
    """Simulate a calibration and so many groups; return what is said of each winner, and truth."""
    rng = np.random.default_rng(seed)

    def scored(ratings: Array) -> Array:
        return CONSTANT + GAIN * ratings + rng.normal(0, case.noise, ratings.shape)

    spread = np.hypot(BETWEEN, case.spread)
    rated = rng.normal(CENTRE, spread, (CALIBRATION_SONGS, 1))
    reference = ReferenceSongs.of(rng.normal(size=(CALIBRATION_SONGS, 4)))
    known = np.ones(CALIBRATION_SONGS), ("",) * CALIBRATION_SONGS, reference, {}
    calibration = Calibration.of((DIMENSION,), scored(rated), rated, *known)
    centres = rng.normal(CENTRE + case.shift, BETWEEN, (groups, 1))
    ratings = rng.normal(centres, case.spread, (groups, TAKES))
    rows = [
        {"path": str(n), "start": None, "end": None, "error": None, DIMENSION: s, "mean": s}
        for n, s in enumerate(scored(ratings).ravel())
    ]
    labels = [str(n // TAKES) for n in range(len(rows))]
    found, _ = best_takes(rows, labels, (DIMENSION, "mean"), calibration)
    truth, second = (
        np.array([ratings.ravel()[int(record[key])] for record in found])
        for key in ("path", "second")
    )
    score = np.array([record["mean"] for record in found])
    return {
        "truth": truth,
        "better": truth > second,
        "score": score,
        "line": calibration.line[0, -1] + calibration.line[1, -1] * score,
        "expected": np.array([record[f"mean{EXPECTED}"] for record in found]),
        "probability": np.array([record["probability"] for record in found]),
    }


def cases() -> Iterator[Case]:
    """Yield takes that differ little and much, heads that are good and bad, better takes."""
    for spread in (0.15, 0.4):
        for noise in (0.15, 0.4):
            yield Case(spread, noise)
    yield Case(0.4, 0.4, shift=0.5)


def row(case: Case, groups: int, sets: int) -> dict[str, object]:
    """Return mean errors over so many simulated calibrations of so many groups."""
    parts = [winners(case, groups, seed) for seed in range(sets)]
    all_ = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    errors = {name: float((all_[name] - all_["truth"]).mean()) for name in ("score", "line")}
    return {
        "spread of ratings": case.spread,
        "head's error": case.noise,
        "shift": case.shift,
        "raw score": errors["score"],
        "line alone": errors["line"],
        "expected": float((all_["expected"] - all_["truth"]).mean()),
        "said better": float(all_["probability"].mean()),
        "is better": float(all_["better"].mean()),
    }


def measure(quick: bool) -> BenchmarkReport:
    """Mean error of the expected score of winners of best-of-8, and of the raw score."""
    rows = [row(case, 100, 20 if quick else 200) for case in cases()]
    alike = [r for r in rows if not r["shift"]]
    worst, raw = (max(abs(float(str(r[k]))) for r in alike) for k in ("expected", "raw score"))
    gap = max(abs(float(str(r["said better"])) - float(str(r["is better"]))) for r in alike)
    return BenchmarkReport(
        title="Mean error of the score of the best of eight takes",
        rows=rows,
        ratio=raw / worst,
        max_difference=worst,
        targets={
            f"expected score within {WITHIN} where groups are like the calibration songs": (
                worst <= WITHIN
            ),
            f"probability within {WITHIN}": gap <= WITHIN,
        },
        notes=[
            f"score = {CONSTANT:g} + {GAIN:g} * rating + error; {CALIBRATION_SONGS} calibration "
            f"songs, 100 groups of {TAKES}, {20 if quick else 200} times",
            "shift: of the groups' mean rating; the line pulls what lies apart from its songs back",
            "said better: mean probability that the winner is better than the second; is better: "
            "how often it is",
            "ratio: of the largest error of the raw score to that of the expected one",
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main("uncertainty.best_of", measure))
