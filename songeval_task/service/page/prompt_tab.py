"""Tab "Prompt": one clip against several texts, by the scorers that read a prompt."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from html import escape
from typing import Any

import gradio as gr

from hear_aesthetics.errors import InputError
from songeval_task.service.job_queue import ScoreJob
from songeval_task.service.page.parts import (
    QUIET,
    SEND,
    Parts,
    errors_told,
    html,
    shown_results,
)
from songeval_task.service.page.songs import open_uploads

__all__ = ["add_prompt_tab", "prompt_table"]

MAX_TEXTS = 20


def add_prompt_tab(parts: Parts) -> list[gr.Dropdown]:
    """Add the contents of the tab; return what songs are chosen from."""
    html(
        '<p class="ha-note">How good a clip is, and how well it follows each of several texts. '
        "The first 30 s count.</p>"
    )
    clip = gr.Dropdown([], label="Clip")
    texts = gr.Textbox(
        label="Texts, one a line",
        lines=4,
        placeholder="a slow waltz for piano\nfast rock with guitars",
    )
    button = gr.Button("Score the texts", variant="primary", elem_classes="ha-go")
    shown = html()
    sent = gr.JSON(visible=False)

    async def score(_: Any, written: str | None, sent: Any) -> AsyncGenerator[str, None]:
        async with aclosing(errors_told(_score(parts, written or "", sent))) as shown:
            async for part in shown:
                yield part

    button.click(score, [clip, texts, sent], shown, js=SEND, **QUIET)
    return [clip]


async def _score(parts: Parts, written: str, sent: Any) -> AsyncGenerator[str, None]:
    """Yield the table of the texts as their scores become known."""
    lines = [line.strip() for line in written.splitlines() if line.strip()]
    if not 0 < len(lines) <= MAX_TEXTS:
        raise InputError(f"{len(lines)} texts; write 1 to {MAX_TEXTS}, one a line")
    with open_uploads(sent, parts.upload_folder) as opened:
        if not opened:
            raise InputError("choose a clip; clips are dropped on the first tab")
        todo = [ScoreJob(upload=opened[0][1], prompt=line) for line in lines]

        def table(found: Mapping[int, Any]) -> str:
            return prompt_table(parts.prompted_columns, lines, found)

        async with aclosing(shown_results(parts.jobs, todo, {}, table)) as shown:
            async for part in shown:
                yield part


def prompt_table(columns: Sequence[str], texts: Sequence[str], found: Mapping[int, Any]) -> str:
    """Return a line per text with its scores; texts that wait have dots.

    Args:
        columns: Columns to show.
        texts: The texts.
        found: Index of a text -> its scores.
    """
    titles = [column.rpartition(":")[2] for column in columns]
    head = '<th scope="col" class="ha-text">Text</th>'
    head += "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = []
    for index, text in enumerate(texts):
        values = found.get(index)
        cells = "".join(f"<td>{f'{values.values[c]:.2f}' if values else '…'}</td>" for c in columns)
        lines.append(f'<tr><th scope="row" class="ha-text">{escape(text)}</th>{cells}</tr>')
    return (
        '<div class="ha-scroll" tabindex="0" role="region" aria-label="Scores of the texts"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
