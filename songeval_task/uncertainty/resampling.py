"""Cluster bootstrap of a difference of means: the probability that one side is the better.

Takes of one prompt or one system are alike, and standard errors that count each take as a new
observation are too small (Finkelstein, "MOS vs. AB: Evaluating Text-to-Speech Systems Reliably
Using Clustered Standard Errors", Interspeech 2023). So whole prompts and systems are resampled:
each gets a random weight from the exponential distribution (the Bayesian bootstrap; Rubin, 1981),
and a take the product of the weights of its own (Owen & Eckles, "Bootstrapping Data Arrays of
Arbitrary Order", 2012). A prompt that both sides have gets one weight, so that its luck drops out.
A clustering with one level on a side cannot be resampled and is left out: nothing is then said
about other prompts or systems. Where none is left, the takes themselves are resampled.

A bootstrap of few clusters is too sure, since it knows their spread as little as the mean. Each
resample's deviation is therefore multiplied by ``sqrt((n + 1) / (n - 1))``, which makes the
variance unbiased, and by ``sqrt((n - 1) / chi2(n - 1))``, which turns a normal distribution into
Student's t; ``n`` is the number of clusters on the side that has fewest. With many clusters both
factors are 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hear_aesthetics.metrics.intervals import Array

__all__ = ["Resampled", "resample_difference"]

RESAMPLES = 4000
BLOCK = 2**22  # weights held at once
SAME = 1e-6  # score differences below are ties: rows of scores are rounded to it

Labels = Sequence[Sequence[str]]  # of each take: its label in every clustering


@dataclass(frozen=True)
class Resampled:
    """Difference of the means, B minus A, under resampling.

    Attributes:
        clusters: Number of clusters on the side with fewest; None: takes were resampled.
        probability: Share of resamples in which B's mean is higher, ties counted half; NaN where
            the difference is the same in all of them, which tells nothing, unless it is zero.
        error: Standard error of the difference.

    Shape:
        - probability, error: ``(columns,)``
    """

    clusters: int | None
    probability: Array
    error: Array


def resample_difference(
    a: Array | None, b: Array, a_labels: Labels, b_labels: Labels, seed: int = 0
) -> Resampled | None:
    """Resample the difference of the means of two sides, or the mean of differences of pairs.

    Args:
        a: Scores of the takes of A; None: ``b`` holds the differences of pairs.
        b: Scores of the takes of B.
        a_labels: Labels of each take of A, the same clusterings in the same order for all; no
            clustering: the takes are resampled.
        b_labels: Likewise of B, or of the pairs.
        seed: Random seed.

    Shape:
        - a, b: ``(takes, columns)``

    Returns:
        None if a side has fewer than two takes.
    """
    tables = [b] if a is None else [a, b]
    if min(map(len, tables)) < 2:
        return None
    sizes = [len(table) for table in tables]
    factors, clusters = _clusterings(sizes, [*([] if a is None else a_labels), *b_labels])
    count = clusters or min(sizes)
    rng = np.random.default_rng(seed)
    deviations = []
    block = max(1, BLOCK // sum(sizes))
    for first in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - first)
        weights = np.ones((rows, sum(sizes)))
        for levels in factors or [np.arange(sum(sizes))]:
            weights *= rng.exponential(size=(rows, levels.max() + 1))[:, levels]
        means = []
        for part, table in zip(np.split(weights, [sizes[0]], axis=1), tables, strict=False):
            centred = table - table.mean(axis=0)
            means.append(part @ centred / part.sum(axis=1, keepdims=True))
        deviations.append(means[-1] - (means[0] if a is not None else 0))
    deviation = np.concatenate(deviations) * np.sqrt((count + 1) / (count - 1))
    error = deviation.std(axis=0)
    deviation *= np.sqrt((count - 1) / rng.chisquare(count - 1, (RESAMPLES, 1)))
    change = b.mean(axis=0) - (a.mean(axis=0) if a is not None else 0)
    drawn = change + deviation
    probability = (drawn > SAME).mean(axis=0) + (np.abs(drawn) <= SAME).mean(axis=0) / 2
    unvaried = (error <= SAME) & (np.abs(change) > SAME)
    return Resampled(clusters, np.where(unvaried, np.nan, probability), error)


def _clusterings(sizes: Sequence[int], labels: Labels) -> tuple[list[Any], int | None]:
    """Return each clustering as level numbers of all takes, and the fewest levels on a side.

    Those that have one level on a side are left out.
    """
    names = np.array(labels, dtype=str).reshape(sum(sizes), -1)
    factors, fewest = [], []
    for column in names.T:
        levels = np.unique(column, return_inverse=True)[1]
        counts = [len(np.unique(part)) for part in np.split(levels, np.cumsum(sizes)[:-1])]
        if min(counts) > 1:
            factors.append(levels)
            fewest.append(min(counts))
    return factors, min(fewest, default=None)
