"""Parts of the page that its tabs share."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from hear_aesthetics.errors import HearAestheticsError
from songeval_task.service.job_queue import Job, JobQueue
from songeval_task.service.page.songs import line_html, work

__all__ = [
    *("QUIET", "SEND", "SEND_ALL", "Parts"),
    *("errors_told", "html", "message", "shown_results", "static"),
]

# Of events: no veil over what is being changed, and no queue besides that of the service.
QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_limit": None,
    "api_visibility": "private",
}
# Before an event: the browser sends a song, or all, again; the last input holds what has arrived.
SEND = """async (id, ...rest) => {
  const sent = window.hearSongs?.has(id) ? [await window.hearSend(id)] : [];
  return [id, ...rest.slice(0, -1), sent];
}"""
SEND_ALL = """async (id) => {
  const sent = [];
  for (const song of window.hearScored?.() ?? []) sent.push(await window.hearSend(song));
  return [id, sent];
}"""


@dataclass(frozen=True)
class Parts:
    """What tabs are made of.

    Attributes:
        jobs: Queue of the service.
        visit: State of one visitor, a :class:`songs.Visit`.
        upload_folder: Folder that Gradio stores uploads in.
        max_file_mb: Largest upload.
    """

    jobs: JobQueue
    visit: gr.State
    upload_folder: Path
    max_file_mb: float

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Columns of the first head."""
        return next(iter(self.jobs.scorer.scorer_set.groups.values()))

    @property
    def prompted(self) -> list[str]:
        """Names of the scorers that read a prompt."""
        scorers = self.jobs.scorer.scorer_set.scorers
        return [n for n, scorer in scorers.items() if getattr(scorer, "reads_prompt", False)]

    @property
    def prompted_columns(self) -> list[str]:
        """Columns of the scorers that read a prompt."""
        groups = self.jobs.scorer.scorer_set.groups
        return [column for name in self.prompted for column in groups[name]]


def message(text: str) -> str:
    """Return a message in place of a result."""
    return f'<p class="ha-note" role="status">{line_html(text)}</p>'


async def errors_told(shown: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Yield what is shown, and an error that ends it as a message."""
    async with aclosing(shown) as parts:
        try:
            async for part in parts:
                yield part
        except HearAestheticsError as error:
            yield message(str(error))


async def shown_results(
    jobs: JobQueue,
    todo: Sequence[Job],
    found: dict[int, Any],
    show: Callable[[Mapping[int, Any]], str],
) -> AsyncGenerator[str, None]:
    """Yield what is shown while jobs are worked on: messages, and what is known after each result.

    Args:
        jobs: Queue of the service.
        todo: The jobs.
        found: Takes the results: index of a job -> result.
        show: Results so far -> what is shown of them.

    Raises:
        HearAestheticsError: If one of the jobs fails.
    """
    async with aclosing(work(jobs, todo)) as results:
        async for index, result in results:
            if index is None:
                yield message(result)
                continue
            if isinstance(result, Exception):
                raise result
            found[index] = result
            yield show(found)


def static(name: str) -> str:
    """Return the text of a file that the page is made of."""
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def html(
    value: Any = "",
    *,
    template: str = "${value}",
    script: str | None = None,
    server_functions: list[Callable[..., Any]] | None = None,
    **props: Any,
) -> gr.HTML:
    """Return an element with a script of its own; ``props`` are known to template and script.

    Args:
        value: What the script or the template shows.
        template: Of the element, as ``gr.HTML`` takes it.
        script: File that runs when the element is there.
        server_functions: Functions that the script may call.
        **props: Further values.
    """
    return gr.HTML(
        value,
        html_template=template,
        js_on_load=static(script) if script else None,
        server_functions=server_functions,
        apply_default_css=False,
        **props,
    )
