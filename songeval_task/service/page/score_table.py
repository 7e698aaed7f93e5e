"""Table of scores on the page: what its script draws, and the messages beside it."""

from collections.abc import Sequence
from typing import Any

from hear_aesthetics.errors import HearAestheticsError
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.scoring.rows import AudioSpan, Scores, error_row, row_columns, score_row
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.scoring.scorer_set import NOVELTY
from songeval_task.service.decoding.pool import Upload
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.page.charts import peaks
from songeval_task.service.page.songs import Song, Visit, decoded, line_html

__all__ = ["conclusion", "errors_of", "keep_result", "table_value"]

PEAK_RATE = SAMPLE_RATE // 3  # Hz: enough to draw


async def keep_result(
    jobs: JobQueue, song: Song, upload: Upload, found: Scores | HearAestheticsError
) -> None:
    """Give a song its row and, where it was scored, its waveform."""
    scorer = jobs.scorer
    columns = row_columns(scorer.scorer_set)
    try:
        if isinstance(found, HearAestheticsError):
            raise found
        song.waveform = peaks(await decoded(jobs, upload, PEAK_RATE))
    except HearAestheticsError as error:
        known = {"model": scorer.model_name, "head": scorer.scorer_set.name, "demo": scorer.demo}
        song.row = error_row(AudioSpan(song.name), error, columns, **known)
        return
    song.distance = found.distance
    song.row = score_row(found, columns)


def table_value(scorer: AestheticScorer, visit: Visit, ticked: Sequence[Song] = ()) -> Any:
    """Return what ``table.js`` draws.

    Args:
        scorer: Scorer of the rows.
        visit: Songs of the visitor; those that failed are told elsewhere.
        ticked: Songs to tick, of which the first is shown as chosen; none: as the visitor left it.
    """
    shown = scorer.scorer_set
    means = set(shown.means.values())
    first = next(iter(shown.means.values()))
    scores = [first, *(column for column in shown.all_columns if column != first)]
    novelty = [column for column in shown.interval_columns if column.endswith(NOVELTY)]
    columns = [
        {"key": "name", "label": "Song"},
        *({"key": c, "label": _label(c, c in means), "digits": 2} for c in scores),
        *({"key": column, "label": column.capitalize(), "digits": 0} for column in novelty),
        {"key": "loudness_lufs", "label": "LUFS", "digits": 1},
    ]
    keys = [*shown.all_columns, *shown.interval_columns, "loudness_lufs", "warnings"]
    rows = []
    for song in visit.songs.values():
        row = song.row
        if not row:
            rows.append({"id": song.song_id, "name": song.name, "state": "waiting"})
        elif song.scored:
            rows.append({"id": song.song_id, "name": song.name, **{k: row[k] for k in keys}})
    ids = [song.song_id for song in ticked]
    return {"columns": columns, "rows": rows, "ticked": ids, "chosen": ids[0] if ids else None}


def _label(column: str, is_mean: bool) -> str:
    return column.replace("mean", "Mean") if is_mean else column


def errors_of(visit: Visit) -> str:
    """Return the messages of songs that could not be scored."""
    failed = [song.row["error"] for song in visit.songs.values() if song.row and not song.scored]
    if not failed:
        return ""
    count = f"{len(failed)} file{'s' if len(failed) > 1 else ''} could not be scored"
    lines = "".join(f"<li>{line_html(error)}</li>" for error in failed)
    return f'<div class="ha-errors" role="alert"><p>{count}</p><ul>{lines}</ul></div>'


def conclusion(visit: Visit) -> str:
    """Return in a sentence how many songs there are."""
    good, bad = len(visit.scored), len(visit.songs) - len(visit.scored)
    said = f"{good} song{'' if good == 1 else 's'} scored"
    return f"{said}, {bad} could not be" if bad else said
