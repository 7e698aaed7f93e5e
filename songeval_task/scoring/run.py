"""Scoring run: inputs to rows, kept in a journal where they are to survive the process."""

from collections.abc import Iterator
from dataclasses import dataclass

from hear_aesthetics.engine.inputs import Inputs
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.scoring.journal import Journal, clip_key
from songeval_task.scoring.rows import AudioSpan, ScoreRow, error_row, row_columns, score_row
from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["ScoreOptions", "score_inputs"]


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options of :meth:`AestheticScorer.score_files`."""

    timeline: bool = False
    explain: bool = False
    loudness: float | None = None


def score_inputs(
    scorer: AestheticScorer,
    inputs: Inputs,
    options: ScoreOptions,
    journal: Journal | None = None,
    max_minutes: float = MAX_MINUTES,
) -> Iterator[ScoreRow]:
    """Yield the rows of all inputs in order, each as soon as it is known; then those of bad ones.

    Args:
        scorer: Model and heads.
        inputs: Inputs to score, and the errors of the others.
        options: Outputs besides the scores.
        journal: Takes each new row before it is yielded; its rows are not computed again.
        max_minutes: Longest clip; a longer one is an error.
    """
    columns = row_columns(scorer.scorer_set)
    known = {"model": scorer.model.name, "head": scorer.scorer_set.name, "demo": scorer.demo}
    done = journal.done if journal else {}
    keyed = [(clip_key(item), item) for item in inputs.inputs]  # as the files are before the run
    todo = (item for key, item in keyed if key not in done)
    results = scorer.score_files(todo, max_minutes=max_minutes, **vars(options))
    for key, item in keyed:
        row = done.get(key)
        if row is None:
            result = next(results)
            if result.error is None:
                row = score_row(result.output, columns)
            else:
                facts = {**known, "duration": result.seconds or None}
                row = error_row(item, result.error, columns, **facts)
            if journal:
                journal.add(key, row)
        yield row
    for bad in inputs.errors:
        yield error_row(AudioSpan(bad.path or bad.source), bad.message, columns, **known)
