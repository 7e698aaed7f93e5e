"""Tab "Score": songs are dropped and become rows of a table, radars, and a view of one song."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cache
from typing import Any

import gradio as gr

from hear_aesthetics.audio.saving import encode_audio
from hear_aesthetics.errors import HearAestheticsError, InputError
from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis import Qualities, compose, render
from songeval_task.scoring.plots.song_rows import MAX_SONGS as MAX_RADARS
from songeval_task.service.job_queue import ScoreJob
from songeval_task.service.page.charts import radar, song_view
from songeval_task.service.page.downloads import add_downloads
from songeval_task.service.page.parts import QUIET, Parts, html, static
from songeval_task.service.page.score_table import conclusion, errors_of, keep_result, table_value
from songeval_task.service.page.songs import MAX_SONGS, Visit, open_uploads, work

__all__ = ["add_score_tab"]

LEVEL_LUFS = -14.0
FIRST_RADARS = 3  # ticked when songs have been scored
EXAMPLE_SECONDS = 42.0
EXAMPLES = (  # name, seed, style, qualities
    ("Composed pop, everything right", 3, "pop", Qualities()),
    ("Composed jazz, wrong notes", 8, "jazz", Qualities(musicality=1.5, memorability=2.5)),
    ("Composed folk, muddy and stiff", 5, "folk", Qualities(clarity=1.5, naturalness=1.5)),
)


def example_songs(_: Any = None) -> list[dict[str, str]]:
    """Return composed songs as ``{"name": ..., "flac": base64}``; the browser sends nothing."""
    return _composed()


@cache
def _composed() -> list[dict[str, str]]:
    return [
        {
            "name": f"{name}.flac",
            "flac": b64encode(
                encode_audio(
                    render(compose(seed, EXAMPLE_SECONDS, qualities, style=style), SAMPLE_RATE),
                    SAMPLE_RATE,
                    format="FLAC",
                    subtype="PCM_16",
                )
            ).decode(),
        }
        for name, seed, style, qualities in EXAMPLES
    ]


def add_score_tab(parts: Parts) -> Any:
    """Add the contents of the tab; return its event, after which the visit has new songs."""
    jobs = parts.jobs
    dimensions = parts.dimensions
    drop = html(
        _said(""),
        template=static("drop.html"),
        script="drop.js",
        server_functions=[example_songs],
        limit=MAX_SONGS,
        max_mb=f"{parts.max_file_mb:g}",
        max_minutes=round(jobs.decoder.max_seconds / 60),
    )
    with gr.Row():
        level = gr.Checkbox(
            label=f"Equal loudness: bring every song to {LEVEL_LUFS:g} LUFS before it is scored",
            container=False,
        )
    prompt = gr.Textbox(
        label="Prompt that the songs were made from",
        info=f"{', '.join(parts.prompted)} scores how well a song follows it.",
        visible=bool(parts.prompted),
    )
    errors = html()
    table = html(
        table_value(jobs.scorer, Visit()), template=static("table.html"), script="table.js"
    )
    add_downloads(parts)
    radars, song_html = html(), html("", script="player.js")

    async def score(
        visit: Visit, equal: bool, text: str | None, event: gr.EventData
    ) -> AsyncGenerator[dict[Any, Any], None]:
        options = {
            "loudness": LEVEL_LUFS if equal else None,
            "prompt": (text or "").strip() or None,
        }
        try:
            async with aclosing(_score(parts, visit, event.files, options)) as progress:
                async for said in progress:
                    yield {
                        drop: said,
                        table: table_value(jobs.scorer, visit),
                        errors: errors_of(visit),
                    }
        except HearAestheticsError as error:
            yield {drop: _said(str(error))}
            return
        best = visit.scored[:FIRST_RADARS]
        yield {
            parts.visit: visit,
            table: table_value(jobs.scorer, visit, best),
            drop: _said(conclusion(visit)),
            radars: radar(best, dimensions) if best else "",
            song_html: song_view(best[0], dimensions) if best else "",
        }

    outputs = [parts.visit, drop, table, errors, radars, song_html]
    scoring = drop.songs(score, [parts.visit, level, prompt], outputs, **QUIET)
    scoring.failure(lambda: _said("The server failed; its log says how"), None, drop, **QUIET)

    def tick(visit: Visit, event: gr.EventData) -> str:
        return radar(visit.of(event.ids)[:MAX_RADARS], dimensions)

    def choose(visit: Visit, event: gr.EventData) -> str:
        return "".join(song_view(song, dimensions) for song in visit.of([event.id]))

    table.tick(tick, parts.visit, radars, **QUIET)
    table.choose(choose, parts.visit, song_html, **QUIET)
    return scoring


async def _score(
    parts: Parts, visit: Visit, sent: Any, options: dict[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    """Score the songs that a browser sent; yield the progress, which the drop zone shows."""
    with open_uploads(sent, parts.upload_folder) as opened:
        if parts.prompted and not options["prompt"]:
            raise InputError("write below the prompt that the songs were made from; then drop them")
        visit.songs.update({song.song_id: song for song, _ in opened})
        yield _progress(0, len(opened))
        gives = parts.jobs.scorer.scorer_set.gives
        windows: dict[str, Any] = {"timeline": "timeline" in gives, "explain": "explain" in gives}
        todo = [ScoreJob(upload=upload, **windows, **options) for _, upload in opened]
        done = 0
        async with aclosing(work(parts.jobs, todo)) as results:
            async for index, found in results:
                if index is None:
                    yield _progress(done, len(todo), found)
                    continue
                await keep_result(parts.jobs, *opened[index], found)
                done += 1
                yield _progress(done, len(todo))


def _said(text: str) -> dict[str, Any]:
    """Return the value of a drop zone that is ready for songs."""
    return {"text": text, "done": 0, "total": None}


def _progress(done: int, total: int, note: str = "") -> dict[str, Any]:
    """Return the value of a drop zone whose songs are being scored."""
    return {"text": note or f"{done} of {total} done", "done": done, "total": total}
