"""Scores of HEAR tasks by name.

A score compares ``predictions`` with ``targets`` and returns named values, the first being *the*
score: ``{"": value}`` where there is only one, otherwise ``{"f_measure": ..., "precision": ...}``.
Scene scores take ``(rows, labels)`` probabilities and one-hot or multi-hot targets, regression
scores ``(rows, targets)`` values, event scores :class:`~hear_aesthetics.metrics.events.Events`.
Names, definitions and directions are those of HEAR 2021; ``lcc srcc ktau mse tta`` are ours.

Sources: Turian et al., "HEAR: Holistic Evaluation of Audio Representations" (2022); Hershey et al.,
"CNN Architectures for Large-Scale Audio Classification" (2017), for macro averages and d-prime.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from hear_aesthetics.metrics.classification import average_precision, roc_auc
from hear_aesthetics.metrics.correlation import ktau, lcc, mse, srcc, top_tier_f1
from hear_aesthetics.metrics.events import OnsetFMeasure, SegmentErrorRate
from hear_aesthetics.metrics.intervals import Array

__all__ = ["SCORES", "Score", "make_scores", "named_values"]


@dataclass(frozen=True)
class Score:
    """A score of predictions; base of those of files, values and events."""

    name: str  # in task_metadata.json
    kernel: Any  # metric that computes it
    higher_is_better: bool = True
    kinds: ClassVar[tuple[str, ...]]  # of tasks that it can score

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return named values, the first of which is the score."""
        raise NotImplementedError

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        """Return the score of every replicate, ``(replicates,)``, from ``(replicates, units)``."""
        raise NotImplementedError


@dataclass(frozen=True)
class SceneScore(Score):
    """A score of whole files: the mean over labels (or rows) of what the kernel returns."""

    skip_undefined: bool = False
    undefined: float = math.nan  # value of an undefined label that is not left out, as in heareval
    kinds = ("multiclass", "multilabel")

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        parts = self.kernel(predictions, targets)
        if self.skip_undefined:
            return {"": float(_defined_mean(parts[None])[0])}
        return {"": float(np.mean(np.where(np.isnan(parts), self.undefined, parts)))}

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        # a label without a positive in a replicate has no AUC there: the others decide
        return _defined_mean(self.kernel(predictions, targets, weights))


@dataclass(frozen=True)
class RegressionScore(Score):
    """A score of predicted values: the mean over targets, and each target's by name."""

    targets: tuple[str, ...] = ()
    kinds = ("regression",)

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        scores = self.kernel(predictions, targets).tolist()
        mean = {"mean": float(np.mean(scores))}
        return mean | dict(zip(self.targets, scores, strict=True))

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        return self.kernel(predictions, targets, weights=weights).mean(axis=1)


@dataclass(frozen=True)
class EventScore(Score):
    """A score of events; counts are pooled over the files of both lists."""

    kinds = ("event",)

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        files = 1 + int(max(e.file.max(initial=0) for e in (predictions, targets)))
        counts = self.kernel.counts(predictions, targets, files)
        return {key: float(v) for key, v in self.kernel.values(counts.sum(0)).items()}

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        counts = self.kernel.counts(predictions, targets, weights.shape[1])
        return next(iter(self.kernel.values(weights @ counts).values()))


def named_values(scores: Sequence[Score], predictions: Any, targets: Any) -> dict[str, float]:
    """Return all values as heareval names them: ``<score>``, then ``<score>_<part>`` if any."""
    named: dict[str, float] = {}
    for score in scores:
        parts = score.values(predictions, targets)
        named[score.name] = next(iter(parts.values()))
        named |= {f"{score.name}_{part}": v for part, v in parts.items() if part}
    return named


def _correct(
    predictions: Any, targets: Any, weights: Array | None = None, *, classes: int = 0
) -> Array:
    predicted, true = predictions.argmax(1), targets.argmax(1)
    if classes:
        predicted, true = predicted % classes, true % classes
    correct = (predicted == true).astype(np.float64)
    if weights is None:
        return correct
    return weights @ correct[:, None] / weights.sum(1, keepdims=True)


def _d_prime(predictions: Any, targets: Any, weights: Array | None = None) -> Array:
    from scipy.special import ndtri  # the inverse of the normal distribution function

    return math.sqrt(2) * ndtri(roc_auc(predictions, targets, weights))


def _defined_mean(values: Array) -> Array:
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=1)
    return np.where(defined.any(axis=1), total / np.maximum(defined.sum(axis=1), 1), np.nan)


SCORES: Mapping[str, Score] = {
    score.name: score
    for score in (
        SceneScore("top1_acc", _correct),
        SceneScore("pitch_acc", _correct),
        SceneScore("chroma_acc", partial(_correct, classes=12)),
        SceneScore("mAP", average_precision, undefined=0.0),
        SceneScore("d_prime", _d_prime),
        SceneScore("aucroc", roc_auc),
        EventScore("event_onset_200ms_fms", OnsetFMeasure(0.2)),
        EventScore("event_onset_50ms_fms", OnsetFMeasure(0.05)),
        EventScore("event_onset_offset_50ms_20perc_fms", OnsetFMeasure(0.05, 0.2)),
        EventScore("segment_1s_er", SegmentErrorRate(1.0), higher_is_better=False),
        RegressionScore("lcc", lcc),
        RegressionScore("srcc", srcc),
        RegressionScore("ktau", ktau),
        RegressionScore("mse", mse, higher_is_better=False),
        RegressionScore("tta", top_tier_f1),
    )
}


def make_scores(
    names: Sequence[str],
    labels: Sequence[str] = (),
    thresholds: Sequence[float] = (),
    *,
    skip_undefined: bool = False,
) -> tuple[Score, ...]:
    """Return the scores of a task, given the names, and thresholds for ``tta``, of its targets.

    ``skip_undefined`` averages a scene score over the labels for which it is defined; otherwise one
    label with a single class makes ``aucroc`` and ``d_prime`` NaN, and counts 0 in ``mAP``, as in
    heareval.
    """
    scores: list[Score] = []
    for score in map(SCORES.__getitem__, names):
        if isinstance(score, RegressionScore):
            kernel = partial(score.kernel, thresholds=thresholds) if score.name == "tta" else None
            score = replace(score, targets=tuple(labels), kernel=kernel or score.kernel)
        elif isinstance(score, SceneScore):
            score = replace(score, skip_undefined=skip_undefined)
        scores.append(score)
    return tuple(scores)
