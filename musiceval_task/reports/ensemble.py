"""Ensembles of runs: mean of scores, mean of distributions, or the released ridge stacking.

A run without distributions takes part with Gaussians around its scores, of standard deviation 0.35.
Stacking is fitted on the inner split, on which no run was trained and which is not reported.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from hear_aesthetics.errors import InputError
from musiceval_task.predictions import ClipPredictions
from musiceval_task.scale import HIGH, LOW
from musiceval_task.training.loop import INNER
from musiceval_task.training.objective import as_distribution, centers

__all__ = ["Method", "combine", "distributions_of", "ridge_stacking"]

Method = Literal["scores", "distributions", "ridge"]
RIDGE_ALPHA = 1.0  # as released

Array = NDArray[np.float64]


def combine(runs: Sequence[ClipPredictions], method: Method = "distributions") -> ClipPredictions:
    """Return the predictions of an ensemble of runs for the same clips, in any order.

    Raises:
        InputError: If there is no run, the clips differ, or there is no inner split to fit on.
    """
    if not runs:
        raise InputError("an ensemble of no runs; name at least one")
    if method not in get_args(Method):
        raise InputError(f"unknown method {method!r}; choose one of: {', '.join(get_args(Method))}")
    first = runs[0]
    runs = [run.aligned_with(first.clips, f"run {n}") for n, run in enumerate(runs, start=1)]
    distributions = np.mean([distributions_of(run) for run in runs], axis=0)
    if method == "scores":
        scores = np.mean([run.scores for run in runs], axis=0)
    elif method == "distributions":
        scores = distributions @ centers().double().numpy()
    else:
        scores, distributions = _stacked(runs), None
    return replace(first, scores=scores, distributions=distributions)


def distributions_of(run: ClipPredictions) -> Array:
    """Return the distributions of a run, ``(clips, 2, BINS)``; Gaussians if it has only scores."""
    if run.distributions is not None:
        return run.distributions
    return as_distribution(torch.from_numpy(run.scores)).double().numpy()


def ridge_stacking(fitted_on: Sequence[Array], truth: Array, applied_to: Sequence[Array]) -> Array:
    """Return scores by the released rule: ridge regression on the runs' distributions side by side.

    Shape:
        - fitted_on: runs x ``(clips, BINS)``; truth: ``(clips,)``
        - applied_to: runs x ``(others, BINS)``; output: ``(others,)`` in [1, 5]
    """
    known, others = (
        np.concatenate(part, axis=1, dtype=np.float64) for part in (fitted_on, applied_to)
    )
    mean, intercept = known.mean(axis=0), truth.mean(dtype=np.float64)
    centred = known - mean
    gram = centred.T @ centred + RIDGE_ALPHA * np.eye(len(mean))  # the intercept is not penalised
    weights = np.linalg.solve(gram, centred.T @ (truth - intercept))
    return np.clip((others - mean) @ weights + intercept, LOW, HIGH)


def _stacked(runs: Sequence[ClipPredictions]) -> Array:
    inner = [run.of_split(INNER).scored() for run in runs]
    if len(inner[0]) < 2:
        raise InputError(
            "ridge stacking is fitted on the inner split, of which the runs predict nothing; take "
            "the predictions of `musiceval train`"
        )
    fitted_on, applied_to = ([distributions_of(run) for run in part] for part in (inner, runs))
    columns = [
        ridge_stacking(
            [table[:, column] for table in fitted_on],
            inner[0].truth[:, column],
            [table[:, column] for table in applied_to],
        )
        for column in range(runs[0].scores.shape[1])
    ]
    return np.stack(columns, axis=1)
