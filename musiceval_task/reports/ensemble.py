"""Ensembles of runs: mean of scores, mean of distributions, or stacking.

A run without distributions takes part with Gaussians around its scores, of standard deviation 0.35.
Stacking is a regression of the listeners' scores on the runs' distributions side by side. "ridge"
is fitted on the inner split, on which no run was trained and which is not reported; "released" on
the dev list, as ASTAR-NTU's: its figures there are optimistic. Theirs is ridge regression, or
LightGBM with its defaults; each is an answer of its own.
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

__all__ = [
    "Method",
    "Regressor",
    "combine",
    "distributions_of",
    "lightgbm_stacking",
    "ridge_stacking",
]

Method = Literal["scores", "distributions", "ridge", "released"]
Regressor = Literal["ridge", "lightgbm"]
RIDGE_ALPHA = 1.0  # as released
LIGHTGBM_SEED, LIGHTGBM_ROUNDS = 42, 100  # as released
DEV = "dev"
WHERE = {INNER: "the inner split", DEV: "the dev list"}
REMEDY = {
    INNER: "take the predictions of `musiceval train`",
    DEV: "give them by --dev and --truth, or take runs of `musiceval train`",
}

Array = NDArray[np.float64]


def combine(
    runs: Sequence[ClipPredictions],
    method: Method = "distributions",
    regressor: Regressor = "ridge",
) -> ClipPredictions:
    """Return the predictions of an ensemble of runs for the same clips, in any order.

    ``regressor`` is that of the method "released".

    Raises:
        InputError: If there is no run, the clips differ, there is nothing to fit on, or LightGBM is
            asked for and not installed.
    """
    if not runs:
        raise InputError("an ensemble of no runs; name at least one")
    for what, chosen, known in (("method", method, Method), ("regressor", regressor, Regressor)):
        if chosen not in get_args(known):
            raise InputError(
                f"unknown {what} {chosen!r}; choose one of: {', '.join(get_args(known))}"
            )
    if regressor != "ridge" and method != "released":
        raise InputError(f"method {method} takes no regressor {regressor}; take method released")
    first = runs[0]
    runs = [run.aligned_with(first.clips, f"run {n}") for n, run in enumerate(runs, start=1)]
    distributions = np.mean([distributions_of(run) for run in runs], axis=0)
    if method == "scores":
        scores = np.mean([run.scores for run in runs], axis=0)
    elif method == "distributions":
        scores = distributions @ centers().double().numpy()
    else:
        split = DEV if method == "released" else INNER
        scores, distributions = _stacked(runs, split, regressor), None
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


def lightgbm_stacking(
    fitted_on: Sequence[Array], truth: Array, applied_to: Sequence[Array]
) -> Array:
    """Return scores by the released rule: LightGBM's default regression, seed 42, in float32.

    Columns that tell the same make the order of the runs matter. Shapes are those of
    :func:`ridge_stacking`.

    Raises:
        InputError: If LightGBM is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise InputError(
            "the regressor lightgbm is an extra; run `pip install 'hear-aesthetics[boost]'`"
        ) from error
    known, others = (
        np.concatenate(part, axis=1, dtype=np.float32) for part in (fitted_on, applied_to)
    )
    data = lightgbm.Dataset(known, truth.astype(np.float32))
    options = {"objective": "regression", "seed": LIGHTGBM_SEED, "verbosity": -1}
    fitted = lightgbm.train(options, data, num_boost_round=LIGHTGBM_ROUNDS)
    return np.clip(np.asarray(fitted.predict(others), np.float64), LOW, HIGH)


def _stacked(runs: Sequence[ClipPredictions], split: str, regressor: Regressor) -> Array:
    known = [run.of_split(split).scored() for run in runs]
    if len(known[0]) < 2:
        raise InputError(
            f"stacking is fitted on {WHERE[split]}, of which the runs predict nothing with known "
            f"scores; {REMEDY[split]}"
        )
    stacking = ridge_stacking if regressor == "ridge" else lightgbm_stacking
    fitted_on, applied_to = ([distributions_of(run) for run in part] for part in (known, runs))
    columns = [
        stacking(
            [table[:, column] for table in fitted_on],
            known[0].truth[:, column],
            [table[:, column] for table in applied_to],
        )
        for column in range(runs[0].scores.shape[1])
    ]
    return np.stack(columns, axis=1)
