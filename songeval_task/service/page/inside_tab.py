"""Tab "Look inside": what the model hears of a song, and which songs are alike to it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import gradio as gr
import numpy as np

from hear_aesthetics.errors import InputError
from songeval_task.service.job_queue import EmbedJob
from songeval_task.service.page.inside_charts import neighbours, song_map, song_svg
from songeval_task.service.page.parts import (
    QUIET,
    SEND,
    SEND_ALL,
    Parts,
    errors_told,
    html,
    message,
    shown_results,
)
from songeval_task.service.page.songs import decoded, open_uploads

__all__ = ["add_inside_tab"]

FEWEST = 3  # songs of a map


def add_inside_tab(parts: Parts) -> list[gr.Dropdown]:
    """Add the contents of the tab; return what songs are chosen from."""
    song = gr.Dropdown([], label="Song")
    look = gr.Button("Look inside this song", variant="primary", elem_classes="ha-go")
    picture = html()
    html(
        '<p class="ha-note">A map of all songs that were dropped: those whose embeddings are alike '
        "lie close to each other.</p>"
    )
    place = gr.Button("Map all songs", elem_classes="ha-go")
    atlas = html()
    sent = gr.JSON(visible=False)

    async def draw(_: Any, sent: Any) -> AsyncGenerator[str, None]:
        async with aclosing(errors_told(_draw(parts, sent))) as shown:
            async for part in shown:
                yield part

    async def arrange(_: Any, sent: Any) -> AsyncGenerator[str, None]:
        async with aclosing(errors_told(_arrange(parts, sent))) as shown:
            async for part in shown:
                yield part

    look.click(draw, [song, sent], picture, js=SEND, **QUIET)
    place.click(arrange, [song, sent], atlas, js=SEND_ALL, **QUIET)
    return [song]


async def _draw(parts: Parts, sent: Any) -> AsyncGenerator[str, None]:
    """Yield messages, and then the picture of the first song that a browser sent."""
    yield message("Listening")
    with open_uploads(sent, parts.upload_folder) as opened:
        if not opened:
            raise InputError("choose a song; songs are dropped on the first tab")
        upload = opened[0][1]
        todo = [EmbedJob(upload=upload, embedding="timestamps")]
        found: dict[int, Any] = {}
        heard = message("Drawing")
        async with aclosing(shown_results(parts.jobs, todo, found, lambda _: heard)) as shown:
            async for part in shown:
                yield part
        waveform = await decoded(parts.jobs, upload)
        yield await asyncio.to_thread(song_svg, waveform, found[0].embedding)


async def _arrange(parts: Parts, sent: Any) -> AsyncGenerator[str, None]:
    """Yield messages, and then the map of all songs that a browser sent."""
    with open_uploads(sent, parts.upload_folder) as opened:
        if len(opened) < FEWEST:
            raise InputError(f"a map takes {FEWEST} songs or more; drop them on the first tab")
        todo = [EmbedJob(upload=upload) for _, upload in opened]
        found: dict[int, Any] = {}

        def heard(found: Mapping[int, Any]) -> str:
            return message(f"{len(found)} of {len(todo)} heard")

        yield heard(found)
        async with aclosing(shown_results(parts.jobs, todo, found, heard)) as shown:
            async for part in shown:
                yield part
        names = [song.name for song, _ in opened]
        embeddings = np.stack([found[index].embedding for index in range(len(opened))])
        yield song_map(names, embeddings) + neighbours(names, embeddings)
