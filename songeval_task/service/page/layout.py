"""Layout of the page, and the settings that keep it private and offline.

Gradio's analytics, history of runs, links and fonts from elsewhere are off. It serves no file but
its own, and what is left of an upload goes after ten minutes.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

# Read when Gradio is imported. The folder is for uploads: no other user can read it.
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(
    prefix="hear-aesthetics-page-", dir=os.environ.get("GRADIO_TEMP_DIR")
)
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from fastapi import FastAPI

from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.service.decoding.pool import DecoderPool
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.page.about_tab import add_about_tab, demo_banner, what_scores
from songeval_task.service.page.compare_tab import add_compare_tab
from songeval_task.service.page.inside_tab import add_inside_tab
from songeval_task.service.page.parts import QUIET, Parts, html, static
from songeval_task.service.page.prompt_tab import add_prompt_tab
from songeval_task.service.page.score_tab import add_score_tab
from songeval_task.service.page.songs import Visit

__all__ = ["UPLOAD_FOLDER", "build_page", "launch_page", "page_app", "page_settings"]

logger = logging.getLogger(__name__)
UPLOAD_FOLDER = Path(os.environ["GRADIO_TEMP_DIR"])
atexit.register(shutil.rmtree, UPLOAD_FOLDER, ignore_errors=True)

TITLE = "Song aesthetics"
CACHE_SECONDS = 600
# Shades of the pictures' blue, from the lightest to the darkest.
BLUES = (
    *("#f0f5fa", "#dbe7f2", "#bcd3e7", "#93b8d8", "#6f9fc8", "#4a80b0"),
    *("#2f5d8a", "#294f76", "#234263", "#1c344e", "#12222f"),
)
FONTS = ("system-ui", "sans-serif")


class _Blocks(gr.Blocks):
    """Page whose events take no file by its path or address, and fail in one line of the log.

    Where it is mounted, Gradio fetches for its visitor any file that the server can read.
    """

    async def process_api(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Return the answer to an event, as Gradio does.

        Raises:
            gr.Error: If it fails.
        """
        try:
            return await super().process_api(*args, **options)
        except gr.Error:
            raise
        except Exception as error:
            logger.error("an event of the page failed", exc_info=error)
            raise gr.Error("the event failed", print_exception=False) from None

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any
    ) -> list[Any]:
        """Return the inputs of an event, as Gradio does.

        Raises:
            gr.Error: If there is a file among them.
        """
        if _names_files(inputs):
            raise gr.Error("this page takes no files by their place", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *args, **options)


def _names_files(value: Any) -> bool:
    """Return whether there is Gradio's description of a file in a value of JSON."""
    if isinstance(value, dict):
        return {"path", "meta"} <= value.keys() or any(map(_names_files, value.values()))
    return isinstance(value, list | tuple) and any(map(_names_files, value))


def build_page(jobs: JobQueue, *, max_file_mb: float = 200) -> gr.Blocks:
    """Return the page, to be mounted or launched with :func:`page_settings`.

    Args:
        jobs: Queue of the service, which has been entered by the time the page is used.
        max_file_mb: Largest upload in megabytes.
    """
    scorer = jobs.scorer
    with _Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)
    ) as page:
        parts = Parts(jobs, gr.State(Visit()), UPLOAD_FOLDER, max_file_mb)
        html(
            f'<header class="ha-top"><h1>{TITLE}</h1><p>{escape(what_scores(scorer))}</p>'
            f"{demo_banner(scorer)}</header>"
        )
        choices: list[gr.Dropdown] = []
        with gr.Tabs():
            with gr.Tab("Score"):
                scored = add_score_tab(parts)
            with gr.Tab("Compare"):
                choices += add_compare_tab(parts)
            if parts.prompted:
                with gr.Tab("Prompt"):
                    choices += add_prompt_tab(parts)
            if scorer.model is not None:
                with gr.Tab("Look inside"):
                    choices += add_inside_tab(parts)
            with gr.Tab("About"):
                add_about_tab(parts)

        def offer(visit: Visit) -> list[Any]:
            songs = [(song.name, song.song_id) for song in visit.scored]
            return [gr.update(choices=songs) for _ in choices]

        scored.then(offer, parts.visit, choices, **QUIET)
    page.queue(max_size=None, default_concurrency_limit=None)
    return page


def page_settings(*, max_file_mb: float = 200) -> dict[str, Any]:
    """Return the settings of ``gr.mount_gradio_app`` and of ``Blocks.launch`` that go with it."""
    return {
        "allowed_paths": [],
        "blocked_paths": [str(Path.cwd())],
        "max_file_size": round(max_file_mb * 1_000_000),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "show_error": False,
        "theme": gr.themes.Base(
            primary_hue=gr.themes.Color(*BLUES),
            neutral_hue="slate",
            font=FONTS,
            font_mono=("ui-monospace", "monospace"),
        ).set(
            body_text_color_subdued="#4e5564",
            body_text_color_subdued_dark="#c2c8d3",
            button_primary_background_fill="*primary_600",
            button_primary_background_fill_hover="*primary_700",
        ),
        "css": static("style.css"),
    }


def page_app(jobs: JobQueue, *, max_file_mb: float = 200) -> FastAPI:
    """Return an application that is the page; arguments as those of :func:`build_page`."""
    page = build_page(jobs, max_file_mb=max_file_mb)
    settings = page_settings(max_file_mb=max_file_mb)
    app = FastAPI(openapi_url=None)
    gr.mount_gradio_app(app, page, path="/", **settings)
    return app


def launch_page(
    *heads: str | PathLike[str],
    model: str | PathLike[str] = "large",
    calibration: Iterable[Path] = (),
) -> None:
    """Launch the page, and block until it ends.

    Gradio's variables, such as ``GRADIO_SERVER_NAME``, say where; a Space sets them.

    Args:
        *heads: As those of :meth:`AestheticScorer.from_pretrained`.
        model: Likewise.
        calibration: Files of ``hear-aesthetics calibrate``.
    """
    scorer = AestheticScorer.from_pretrained(*heads, model=model)
    scorer.calibrate(calibration)
    with DecoderPool() as decoder, JobQueue(scorer, decoder) as jobs:
        build_page(jobs).launch(share=False, **page_settings())
