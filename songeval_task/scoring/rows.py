"""Score rows: the scores of clips as flat records, the same in every format.

``path, start, end, duration``, the columns of the scores and their means, of calibrated heads their
``<column>_low, <column>_high`` and ``novelty``, then ``loudness_lufs, model, head``, of MuQ-Eval
its ``window``, then ``demo, status, error, warnings``; a value that does not exist is None.
``status`` is ``ok`` or ``error``; ``warnings`` are one text in every format. In formats that nest,
``timeline`` and ``explain`` follow where they were asked for. Rows of a corpus, a Parquet or tar
file, begin with their ``key`` and end with the columns that they carry; a carried column named as
one of these becomes ``input_<name>``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from hear_aesthetics.engine.inputs import Input, Inputs
from hear_aesthetics.files import finite_or_null
from songeval_task.scoring.scorer_set import HIGH, LOW, Detail, ScorerSet

__all__ = [
    *("ERROR", "OK", "AnySpan", "AudioSpan", "ScoreRow", "Scores"),
    *("error_row", "row_columns", "rounded_row", "score_row"),
    *("DETAILS", "table_columns", "with_corpus"),
]

ScoreRow = dict[str, Any]

OK, ERROR = "ok", "error"
DETAILS = ("timeline", "explain")
WARNINGS_JOIN = "; "
SCORE_DECIMALS = 6  # float32 has no more
DECIMALS = {"start": 3, "end": 3, "duration": 3, "loudness_lufs": 2, "novelty": 1}


@dataclass(frozen=True)
class AudioSpan:
    """A file, or a span of it in seconds, and its prompt."""

    path: str | PathLike[str]
    start: float | None = None
    end: float | None = None
    prompt: str | None = None


AnySpan = AudioSpan | Input


@dataclass(frozen=True)
class Scores:
    """The scores of a clip and their origin.

    Attributes:
        values: Column -> score.
        means: ``"mean"`` -> mean over the dimensions of the first head, ``"<head>:mean"`` -> of a
            further one.
        path: The file, as it was given.
        start: Beginning of the span in seconds; None: of the file.
        end: End of the span in seconds; None: of the file.
        duration: Seconds of audio that were scored.
        intervals: Column -> ends of the interval that is to hold a listener's mean rating, of heads
            that are calibrated.
        novelty: ``"novelty"`` -> percentile of the distance from the songs that calibrated the
            first head, 0 to 100; ``"<head>:novelty"`` of a further one.
        distance: Name of a calibrated head -> that distance.
        loudness_lufs: Integrated loudness of the clip as it is in the file; None for silence and
            for less than 400 ms, and for features.
        model: Name of the model; None: the features came from a file.
        head: Name of the head, or several joined by ``+``.
        demo: Whether model or head is untrained or a demonstration: such scores say nothing about
            the music.
        timeline: If asked for: :meth:`ScorerSet.timeline`.
        explain: If asked for: :meth:`ScorerSet.explanation`.
        provenance: Provenance of the model and, under ``heads``, of the heads.
        notes: What is said of how it was scored, by the name of the column.
        warnings: What is doubtful about the scores, such as faults of the audio; often nothing.
    """

    values: dict[str, float]
    means: dict[str, float]
    path: str
    start: float | None
    end: float | None
    duration: float
    loudness_lufs: float | None
    model: str | None
    head: str
    demo: bool
    timeline: Detail | None = None
    explain: Detail | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    novelty: Mapping[str, float] = field(default_factory=dict)
    distance: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notes: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def row_columns(scorer_set: ScorerSet) -> list[str]:
    """Return the columns of a table of rows, in order."""
    return [
        *("path", "start", "end", "duration"),
        *scorer_set.all_columns,
        *scorer_set.interval_columns,
        *("loudness_lufs", "model", "head"),
        *scorer_set.notes,
        *("demo", "status", "error", "warnings"),
    ]


def score_row(scores: Scores, columns: Sequence[str], *, rounded: bool = True) -> ScoreRow:
    """Return the row of a clip that was scored, in the order of ``columns``.

    Args:
        scores: Scores of the clip.
        columns: Columns of the row.
        rounded: Whether scores lose what float32 does not hold; times always do.
    """
    said = {"status": OK, "error": None, "warnings": WARNINGS_JOIN.join(scores.warnings) or None}
    known = {**vars(scores), **scores.values, **scores.means, **said}
    known |= {**_ends(scores.intervals), **scores.novelty, **scores.notes}
    values = {column: known[column] for column in columns}
    row = rounded_row(values) | ({} if rounded else {**scores.values, **scores.means})
    for name, detail in (("timeline", scores.timeline), ("explain", scores.explain)):
        if detail is not None:
            row[name] = list(map(rounded_row, detail))
    return row


def error_row(clip: AnySpan, error: object, columns: Sequence[str], **known: Any) -> ScoreRow:
    """Return the row of a clip that was not scored, with its error and the ``known`` columns."""
    span = rounded_row({"start": clip.start, "end": clip.end})
    fault = {"status": ERROR, "error": " ".join(str(error).split())}
    return {**dict.fromkeys(columns), "path": fspath(clip.path), **span, **known, **fault}


def table_columns(scorer_set: ScorerSet, inputs: Inputs) -> list[str]:
    """Return the columns of a table of rows of these inputs, in order.

    Rows of a corpus begin with their ``key`` and end with the columns that they carry.
    """
    columns = row_columns(scorer_set)
    names = _carried_names(inputs, columns).values()
    return ["key", *columns, *names] if inputs.keyed else columns


def with_corpus(row: ScoreRow, inputs: Inputs, item: Input | None) -> ScoreRow:
    """Return a row with what its corpus knows of it; an unusable input, None, has nothing."""
    if not inputs.keyed:
        return row
    names = _carried_names(inputs, [name for name in row if name not in DETAILS])
    fields = dict(item.fields) if item and names else {}
    carried = finite_or_null({out: fields.get(name) for name, out in names.items()})
    details = {name: row[name] for name in DETAILS if name in row}
    return {"key": item.key if item else None, **row, **carried, **details}


def _carried_names(inputs: Inputs, columns: Sequence[str]) -> dict[str, str]:
    """Return the column of the output of each that is carried; own columns keep their names."""
    taken = {"key", *DETAILS, *columns}
    return {name: f"input_{name}" if name in taken else name for name in inputs.carried}


def _ends(intervals: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    return {
        f"{column}{end}": value
        for column, ends in intervals.items()
        for end, value in zip((LOW, HIGH), ends, strict=True)
    }


def rounded_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with rounded numbers; NaN and infinity, which JSON lacks, become None."""
    row = dict(values)
    for name, value in values.items():
        if isinstance(value, float):
            decimals = DECIMALS.get(name, SCORE_DECIMALS)
            row[name] = round(value, decimals) if math.isfinite(value) else None
    return row
