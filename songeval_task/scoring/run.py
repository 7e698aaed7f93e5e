"""Scoring run: inputs to rows, kept in a journal where they are to survive the process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hear_aesthetics.engine.inputs import Input, Inputs, holds_features, kinds_of
from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.scoring.feature_scorer import FeatureScorer
from songeval_task.scoring.outputs.journal import Journal, Key, clip_key
from songeval_task.scoring.rows import (
    AudioSpan,
    ScoreRow,
    error_row,
    row_columns,
    score_row,
    with_corpus,
)

__all__ = ["ScoreOptions", "check_features", "score_inputs"]


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options of :meth:`AestheticScorer.score_files`."""

    timeline: bool = False
    explain: bool = False
    loudness: float | None = None


def check_features(scorer: FeatureScorer, inputs: Inputs, options: ScoreOptions) -> None:
    """Check that the scorer can take the audio and the features among the inputs.

    Raises:
        InputError: If audio meets heads alone, or features a loudness or heads that do not all
            read the same, or if windows are asked for that no scorer has.
    """
    for kind in ("timeline", "explain"):
        if getattr(options, kind) and kind not in scorer.scorer_set.gives:
            name = scorer.scorer_set.name
            raise InputError(f"--{kind}: {name} does not give it; add a head that reads features")
    kinds = kinds_of(inputs.inputs)
    if False in kinds and not hasattr(scorer, "score_files"):
        raise InputError("heads alone score features; audio needs an AestheticScorer")
    if True in kinds and options.loudness is not None:
        raise InputError("--loudness needs audio, but some inputs are features (.npy)")
    if True in kinds:
        scorer.check_reads()


def score_inputs(
    scorer: FeatureScorer,
    inputs: Inputs,
    options: ScoreOptions,
    journal: Journal | None = None,
    max_minutes: float = MAX_MINUTES,
    *,
    rounded: bool = True,
) -> Iterator[ScoreRow]:
    """Yield the rows of all inputs in order, each as soon as it is known; then those of bad ones.

    Args:
        scorer: Model and heads; heads alone where all inputs are features.
        inputs: Inputs to score, and the errors of the others.
        options: Outputs besides the scores.
        journal: Takes each new row before it is yielded; its rows are not computed again.
        max_minutes: Longest clip; a longer one is an error.
        rounded: Whether scores are rounded.

    Raises:
        InputError: See :func:`check_features`.
    """
    check_features(scorer, inputs, options)
    columns, head = row_columns(scorer.scorer_set), scorer.scorer_set.name
    known: dict[str, Any] = {"model": scorer.model_name, "head": head, "demo": scorer.demo}
    of_features = {**known, "model": None, "demo": scorer.scorer_set.demo}
    done = journal.done if journal else {}
    # Keys as the files are before the run. A corpus makes its inputs anew for each reader.
    keys: Sequence[Key] = [clip_key(item) for item in inputs.inputs] if journal else ()

    def todo(arrays: bool) -> Iterator[Input]:
        for index, item in enumerate(inputs.inputs):
            if holds_features(item.path) is arrays and not (keys and keys[index] in done):
                yield item

    windows = {"timeline": options.timeline, "explain": options.explain}
    results = {True: scorer.score_features(todo(arrays=True), **windows)}
    if hasattr(scorer, "score_files"):
        results[False] = scorer.score_files(
            todo(arrays=False), max_minutes=max_minutes, **vars(options)
        )
    for index, item in enumerate(inputs.inputs):
        row = done.get(keys[index]) if keys else None
        if row is None:
            is_array = holds_features(item.path)
            result = next(results[is_array])
            if result.error is None:
                row = score_row(result.output, columns, rounded=rounded)
            else:
                facts = {**(of_features if is_array else known), "duration": result.seconds or None}
                row = error_row(item, result.error, columns, **facts)
            if journal:
                journal.add(keys[index], row)
        yield with_corpus(row, inputs, item)
    for bad in inputs.errors:
        row = error_row(AudioSpan(bad.path or bad.source), bad.message, columns, **known)
        yield with_corpus(row, inputs, None)
