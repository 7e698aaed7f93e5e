"""Rows: the scores of clips as flat records, the same in every format.

``path, start, end, duration``, the columns of the scores and their means, ``loudness_lufs, model,
head, demo, status, error``; a value that does not exist is None. ``status`` is ``ok`` or ``error``.
In formats that nest, ``timeline`` and ``explain`` follow where they were asked for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from hear_aesthetics.engine.inputs import Input
from songeval_task.scoring.details import Detail
from songeval_task.scoring.panel import Panel

__all__ = [
    *("ERROR", "OK", "AnyClip", "Clip", "Row", "Scores"),
    *("error_row", "row_columns", "score_row"),
]

Row = dict[str, Any]

OK, ERROR = "ok", "error"
SCORE_DECIMALS = 6  # float32 has no more
TIME_DECIMALS = 3
LOUDNESS_DECIMALS = 2


@dataclass(frozen=True)
class Clip:
    """A file, or a span of it in seconds, and the text it was made from."""

    path: str | PathLike[str]
    start: float | None = None
    end: float | None = None
    prompt: str | None = None


AnyClip = Clip | Input


@dataclass(frozen=True)
class Scores:
    """The scores of a clip and where they come from.

    Attributes:
        values: Column -> score.
        means: ``"mean"`` -> mean over the dimensions of the first head, ``"<head>:mean"`` -> of a
            further one.
        path: The file, as it was given.
        start: Beginning of the span in seconds; None is that of the file.
        end: Likewise its end.
        duration: Seconds of audio that were scored.
        loudness_lufs: Integrated loudness of the clip as it is in the file; None for silence and
            for less than 400 ms.
        model: Name of the model.
        head: Name of the head, or several joined by ``+``.
        demo: Whether model or head is untrained or a demonstration: such scores say nothing about
            the music.
        timeline: If asked for: :func:`songeval_task.scoring.details.timeline`.
        explain: If asked for: :func:`songeval_task.scoring.details.explanation`.
        provenance: Of the model and, under ``heads``, of the heads.
    """

    values: dict[str, float]
    means: dict[str, float]
    path: str
    start: float | None
    end: float | None
    duration: float
    loudness_lufs: float | None
    model: str
    head: str
    demo: bool
    timeline: Detail | None = None
    explain: Detail | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)


def row_columns(panel: Panel) -> list[str]:
    """The columns of a table of rows, in order."""
    scores = [c for name, group in panel.groups.items() for c in (*group, panel.means[name])]
    return [
        *("path", "start", "end", "duration"),
        *scores,
        *("loudness_lufs", "model", "head", "demo", "status", "error"),
    ]


def score_row(scores: Scores, columns: Sequence[str]) -> Row:
    """The row of a clip that was scored, in the order of ``columns``; numbers are rounded."""
    rounded = {name: round(v, SCORE_DECIMALS) for name, v in (scores.values | scores.means).items()}
    known = {
        **rounded,
        "path": scores.path,
        "start": _rounded(scores.start, TIME_DECIMALS),
        "end": _rounded(scores.end, TIME_DECIMALS),
        "duration": round(scores.duration, TIME_DECIMALS),
        "loudness_lufs": _rounded(scores.loudness_lufs, LOUDNESS_DECIMALS),
        "model": scores.model,
        "head": scores.head,
        "demo": scores.demo,
        "status": OK,
        "error": None,
    }
    row: Row = {column: known[column] for column in columns}
    for name, detail in (("timeline", scores.timeline), ("explain", scores.explain)):
        if detail is not None:
            row[name] = [_round_record(record) for record in detail]
    return row


def error_row(clip: AnyClip, error: object, columns: Sequence[str], **known: Any) -> Row:
    """The row of a clip that was not scored: ``error`` says why, ``known`` is what is known."""
    row = dict.fromkeys(columns)
    start, end = (_rounded(seconds, TIME_DECIMALS) for seconds in (clip.start, clip.end))
    row |= {"path": fspath(clip.path), "start": start, "end": end, **known}
    row |= {"status": ERROR, "error": " ".join(str(error).split())}
    return row


def _round_record(record: Mapping[str, float | None]) -> dict[str, float | None]:
    return {
        name: _rounded(value, TIME_DECIMALS if name in {"start", "end"} else SCORE_DECIMALS)
        for name, value in record.items()
    }


def _rounded(value: float | None, decimals: int) -> float | None:
    """None too where there is no number: JSON knows neither NaN nor infinities."""
    return None if value is None or not math.isfinite(value) else round(value, decimals)
