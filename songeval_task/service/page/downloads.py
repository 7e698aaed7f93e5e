"""Downloads: the rows as ``hear-aesthetics score`` writes them, and the picture of ``--plot``.

They travel as the answer to an event, so that the server keeps no file of them.
"""

from base64 import b64encode
from typing import Any

import gradio as gr

from hear_aesthetics.files import json_text
from hear_aesthetics.plotting.style import png
from songeval_task.scoring.outputs.formats import rows_csv
from songeval_task.scoring.plots.scores_figure import scores_figure
from songeval_task.scoring.rows import row_columns
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.service.page.parts import QUIET, Parts, html
from songeval_task.service.page.songs import Visit

__all__ = ["add_downloads", "scores_csv", "scores_json", "scores_png"]


def scores_csv(scorer: AestheticScorer, visit: Visit) -> bytes:
    """Return the rows in the order in which songs were dropped."""
    return rows_csv(visit.rows, row_columns(scorer.scorer_set)).encode()


def scores_json(scorer: AestheticScorer, visit: Visit) -> bytes:
    """Return the rows with their windows, in the order in which songs were dropped."""
    return json_text(visit.rows, ensure_ascii=False).encode()


def scores_png(scorer: AestheticScorer, visit: Visit) -> bytes:
    """Return the picture of the best songs, of which there is at least one."""
    return png(scores_figure([song.row for song in visit.scored], scorer))


FILES = (
    ("scores.csv", "text/csv", scores_csv),
    ("scores.json", "application/json", scores_json),
    ("scores.png", "image/png", scores_png),
)


def add_downloads(parts: Parts) -> None:
    """Add a button for each format."""
    saver = html(None, template="", script="save.js")
    with gr.Row():
        for name, kind, make in FILES:
            label = f"Download {name.rpartition('.')[2].upper()}"
            button = gr.Button(label, size="sm", min_width=90)

            def save(
                visit: Visit, name: str = name, kind: str = kind, make: Any = make
            ) -> dict[str, str] | None:
                if not (visit.rows if name.endswith(("csv", "json")) else visit.scored):
                    gr.Info("There are no scores yet: drop songs first.")
                    return gr.skip()
                content = b64encode(make(parts.jobs.scorer, visit)).decode()
                return {"name": name, "type": kind, "content": content}

            button.click(save, parts.visit, saver, **QUIET)
