"""The scores of HEAR tasks by name.

A score compares ``predictions`` with ``targets`` and returns named values, the first being *the*
score: ``{"": value}`` where there is only one, otherwise ``{"f_measure": ..., "precision": ...}``.
Scene scores take ``(rows, labels)`` probabilities and one-hot or multi-hot targets, regression
scores ``(rows, targets)`` values, event scores :class:`~hear_aesthetics.metrics.events.Events`.
Names, definitions and directions are those of HEAR 2021; ``lcc srcc ktau mse tta`` are ours.

Sources: Turian et al., "HEAR: Holistic Evaluation of Audio Representations" (2022); Hershey et al.,
"CNN Architectures for Large-Scale Audio Classification" (2017), for macro averages and d-prime.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from hear_aesthetics.metrics.classification import average_precision, roc_auc
from hear_aesthetics.metrics.events import OnsetFMeasure, SegmentErrorRate
from hear_aesthetics.metrics.intervals import Array

__all__ = ["SCORES", "Score", "ScoreInfo", "make_scores", "named_values"]


class Score(Protocol):
    """What the evaluator asks of a score."""

    @property
    def name(self) -> str:
        """As in ``task_metadata.json``."""

    @property
    def maximise(self) -> bool:
        """Whether more is better."""

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Named values, the first of which is the score."""

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        """The score of every replicate, ``(replicates,)``; ``weights``: ``(replicates, units)``."""


@dataclass(frozen=True)
class SceneScore:
    """A score of whole files: the mean over labels (or rows) of what the kernel returns."""

    name: str
    kernel: Callable[..., Array]
    maximise: bool = True
    skip_undefined: bool = False
    undefined: float = math.nan  # what a label counts that is not left out

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        parts = self.kernel(predictions, targets)
        if self.skip_undefined:
            return {"": float(_defined_mean(parts[None])[0])}
        return {"": float(np.mean(np.where(np.isnan(parts), self.undefined, parts)))}

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        # a label without a positive in a replicate has no AUC there: the others decide
        return _defined_mean(self.kernel(predictions, targets, weights))


@dataclass(frozen=True)
class RegressionScore:
    """A score of predicted values: the mean over targets, and each target's by name."""

    name: str
    kernel: Callable[..., Array]
    targets: tuple[str, ...]
    maximise: bool = True

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        scores = self.kernel(predictions, targets).tolist()
        mean = {"mean": float(np.mean(scores))}
        return mean | dict(zip(self.targets, scores, strict=True))

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        return self.kernel(predictions, targets, weights=weights).mean(axis=1)


@dataclass(frozen=True)
class EventScore:
    """A score of events; counts are pooled over the files of both lists."""

    name: str
    kernel: OnsetFMeasure | SegmentErrorRate
    maximise: bool = True

    def values(self, predictions: Any, targets: Any) -> dict[str, float]:
        files = 1 + int(max(e.file.max(initial=0) for e in (predictions, targets)))
        counts = self.kernel.counts(predictions, targets, files)
        return {key: float(v) for key, v in self.kernel.values(counts.sum(0)).items()}

    def resampled(self, predictions: Any, targets: Any, weights: Array) -> Array:
        counts = self.kernel.counts(predictions, targets, weights.shape[1])
        return next(iter(self.kernel.values(weights @ counts).values()))


def named_values(
    scores: Sequence[Score], predictions: Any, targets: Any, prefix: str = ""
) -> dict[str, float]:
    """All values as heareval names them: ``<score>``, then ``<score>_<part>`` if it has parts."""
    named: dict[str, float] = {}
    for score in scores:
        parts = score.values(predictions, targets)
        named[f"{prefix}{score.name}"] = next(iter(parts.values()))
        named |= {f"{prefix}{score.name}_{part}": v for part, v in parts.items() if part}
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


def _regression(name: str) -> Callable[..., Array]:
    def kernel(predictions: Any, targets: Any, weights: Array | None = None) -> Array:
        from hear_aesthetics.metrics import (
            correlation as metrics,  # imports scipy.stats, which other tasks do without
        )

        metric: Callable[..., Array] = getattr(metrics, name)
        return metric(predictions, targets, weights=weights)

    return kernel


def _top_tier_f1(
    predictions: Any, targets: Any, weights: Array | None = None, *, thresholds: Sequence[float]
) -> Array:
    from hear_aesthetics.metrics.correlation import top_tier_f1

    return top_tier_f1(predictions, targets, thresholds, weights=weights)


@dataclass(frozen=True)
class ScoreInfo:
    """What a score is computed by, on which tasks, and whether more is better."""

    kernel: Any
    kinds: tuple[str, ...]
    maximise: bool = True
    undefined: float = math.nan  # what heareval counts for a label without a positive


_CLASSES = ("multiclass", "multilabel")
SCORES: Mapping[str, ScoreInfo] = {
    "top1_acc": ScoreInfo(_correct, _CLASSES),
    "pitch_acc": ScoreInfo(_correct, _CLASSES),
    "chroma_acc": ScoreInfo(partial(_correct, classes=12), _CLASSES),
    "mAP": ScoreInfo(average_precision, _CLASSES, undefined=0.0),
    "d_prime": ScoreInfo(_d_prime, _CLASSES),
    "aucroc": ScoreInfo(roc_auc, _CLASSES),
    "event_onset_200ms_fms": ScoreInfo(OnsetFMeasure(0.2), ("event",)),
    "event_onset_50ms_fms": ScoreInfo(OnsetFMeasure(0.05), ("event",)),
    "event_onset_offset_50ms_20perc_fms": ScoreInfo(OnsetFMeasure(0.05, 0.2), ("event",)),
    "segment_1s_er": ScoreInfo(SegmentErrorRate(1.0), ("event",), maximise=False),
    "lcc": ScoreInfo(_regression("lcc"), ("regression",)),
    "srcc": ScoreInfo(_regression("srcc"), ("regression",)),
    "ktau": ScoreInfo(_regression("ktau"), ("regression",)),
    "mse": ScoreInfo(_regression("mse"), ("regression",), maximise=False),
    "tta": ScoreInfo(_top_tier_f1, ("regression",)),
}


def make_scores(
    names: Sequence[str],
    labels: Sequence[str] = (),
    thresholds: Sequence[float] = (),
    *,
    skip_undefined: bool = False,
) -> tuple[Score, ...]:
    """The scores of a task.

    Args:
        names: Keys of :data:`SCORES`; the first drives selection.
        labels: Target names, for regression.
        thresholds: Top-tier threshold of each target, for ``tta``.
        skip_undefined: Average a scene score over the labels for which it is defined; otherwise
            one label with a single class makes ``aucroc`` and ``d_prime`` NaN, and counts 0 in
            ``mAP``, as in heareval.
    """
    scores: list[Score] = []
    for name in names:
        info = SCORES[name]
        if info.kinds == ("event",):
            scores.append(EventScore(name, info.kernel, info.maximise))
        elif info.kinds == ("regression",):
            kernel = partial(info.kernel, thresholds=thresholds) if name == "tta" else info.kernel
            scores.append(RegressionScore(name, kernel, tuple(labels), info.maximise))
        else:
            plan = SceneScore(name, info.kernel, info.maximise, skip_undefined, info.undefined)
            scores.append(plan)
    return tuple(scores)
