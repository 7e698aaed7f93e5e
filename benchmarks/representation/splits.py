"""Paired splits of a task by groups, and intervals of what they share."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from benchmarks.common.representation import Split

__all__ = ["RATIO", "half_width", "paired", "paired_splits"]

RATIO = 0.25 / 0.5  # groups of test over groups of training
CONFIDENCE = 0.95


def paired_splits(
    labels: np.ndarray,
    groups: np.ndarray,
    number: int,
    seed: int,
    *,
    within: bool = False,
    shots: int = 0,
) -> list[Split]:
    """Return splits of half of the groups for training, a quarter for validation and for test.

    Args:
        labels: Class of each clip, ``(clips,)``.
        groups: Group of each clip, ``(clips,)``; none lies in two parts.
        number: Splits.
        seed: Of all splits together.
        within: Divide the groups class by class; a group then has one class.
        shots: Training clips of each class that remain, drawn by chance; 0 is all.
    """
    splits = []
    for index in range(number):
        rng = np.random.default_rng((seed, index))
        parts: list[list[str]] = [[], [], []]
        for chosen in [groups[labels == k] for k in np.unique(labels)] if within else [groups]:
            order = rng.permutation(np.unique(chosen))
            cuts = [len(order) // 2, 3 * len(order) // 4]
            for part, some in zip(parts, np.split(order, cuts), strict=True):
                part += some.tolist()
        train, valid, test = (np.flatnonzero(np.isin(groups, part)) for part in parts)
        if shots:
            order = rng.permutation(train)
            few = [order[labels[order] == k][:shots] for k in np.unique(labels)]
            train = np.sort(np.concatenate(few))
        splits.append(Split(train, valid, test))
    return splits


def paired(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the mean paired difference and its standard error.

    Splits share clips: corrected as by Nadeau and Bengio (2003), with the ratio of groups, since
    clips of one group are no independent ones.
    """
    return float(np.subtract(ours, theirs).mean()), _error(np.subtract(ours, theirs))


def half_width(values: Sequence[float]) -> float:
    """Return half of the 95 % interval of a mean over splits, by Student's t."""
    return float(student.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * _error(np.asarray(values))


def _error(values: np.ndarray) -> float:
    return float(np.sqrt((1 / len(values) + RATIO) * values.var(ddof=1)))
