"""Tab "Compare": takes of A against takes of B, in numbers, in a sentence, and for the ear."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from songeval_task.scoring.comparison import (
    Comparison,
    Difference,
    compare_takes,
    probabilities_of_ratings,
)
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.service.page.parts import QUIET, Parts, html
from songeval_task.service.page.songs import Song, Visit, name_html

__all__ = ["add_compare_tab", "compare_songs", "comparison_html"]

LEVEL_REMEDY = "score them again with equal loudness ticked"
UNKNOWN = "\N{EN DASH}"
EMPTY = '<p class="ha-note">Choose at least one song on each side.</p>'


def add_compare_tab(parts: Parts) -> list[gr.Dropdown]:
    """Add the contents of the tab; return what songs are chosen from."""
    html(
        '<p class="ha-note">Songs that were scored on the first tab: one on each side, or several '
        "takes of each.</p>"
    )
    with gr.Row():
        sides = [
            gr.Dropdown([], multiselect=True, label=label, min_width=240)
            for label in ("A: one song, or several takes", "B: one song, or several takes")
        ]
    button = gr.Button("Compare", variant="primary", elem_classes="ha-go")
    shown = html("", script="player.js")

    def compare(visit: Visit, a: list[str], b: list[str]) -> str:
        left, right = visit.of(a or []), visit.of(b or [])
        if not left or not right:
            return EMPTY
        return comparison_html(compare_songs(parts.jobs.scorer, left, right), left, right)

    button.click(compare, [parts.visit, *sides], shown, **QUIET)
    return sides


def compare_songs(
    scorer: AestheticScorer, left: Sequence[Song], right: Sequence[Song]
) -> Comparison:
    """Compare songs that were scored, as ``hear-aesthetics compare`` does files."""
    columns = scorer.scorer_set.all_columns
    a, b = ([{**song.row, "distance": song.distance} for song in side] for side in (left, right))
    single = len(a) == len(b) == 1
    return compare_takes(
        a,
        b,
        columns,
        paired=False,
        demo=scorer.demo,
        may_be_calibrated=bool(scorer.scorer_set.heads),
        probabilities=(
            probabilities_of_ratings(scorer.scorer_set, columns, a[0], b[0]) if single else None
        ),
    )


def comparison_html(result: Comparison, left: Sequence[Song], right: Sequence[Song]) -> str:
    """Return a comparison as a sentence, a table, and players at equal loudness."""
    differences = [*result.differences, *filter(None, [result.loudness])]
    loudness = [song.row["loudness_lufs"] for song in (*left, *right)]
    quietest = min((value for value in loudness if value is not None), default=None)
    sides = "".join(
        f'<div class="ha-side"><h2>{label}</h2>'
        f"{''.join(_player(song, quietest) for song in side)}</div>"
        for label, side in (("A", left), ("B", right))
    )
    swap = (
        '<button type="button" class="ha-link ha-swap">'
        "Switch to the other song, same moment</button>"
        if len(left) == len(right) == 1
        else ""
    )
    said = result.conclusion(LEVEL_REMEDY)
    return f"""
<p class="ha-sentence" role="status">{escape(said[:1].upper() + said[1:])}</p>
{_table(differences)}
<p class="ha-equal"><label><input type="checkbox" checked> Play at equal loudness: louder songs are
turned down to the quietest</label> {swap}</p>
<div class="ha-sides">{sides}</div>"""


def _table(differences: Sequence[Difference]) -> str:
    """Return a line per dimension; what is known of none has no column."""
    intervals = any(d.low is not None for d in differences)
    chances = any(d.probability is not None for d in differences)
    head = ["A", "B", "B - A", *["95 % interval"] * intervals, *["P (B is better)"] * chances]
    lines = []
    for d in differences:
        interval = UNKNOWN if d.low is None or d.high is None else f"{d.low:+.2f} to {d.high:+.2f}"
        chance = UNKNOWN if d.probability is None else f"{d.probability:.2f}"
        cells = [f"{d.a:.2f}", f"{d.b:.2f}", f"{d.difference:+.2f}"]
        cells += [interval] * intervals + [chance] * chances
        values = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row" class="ha-text">{escape(_name(d))}</th>{values}</tr>')
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    return (
        '<div class="ha-scroll" tabindex="0" role="region" aria-label="Differences"><table>'
        f'<thead><tr><th scope="col" class="ha-text">Dimension</th>{titles}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _name(difference: Difference) -> str:
    if difference.name == "loudness_lufs":
        return "Loudness (LUFS)"
    return re.sub(r"\bmean$", "Mean", difference.name)


def _player(song: Song, quietest: float | None) -> str:
    own: Any = song.row["loudness_lufs"]
    gain = 1.0 if own is None or quietest is None else 10 ** ((quietest - own) / 20)
    said = "silent" if own is None else f"{own:.1f} LUFS"
    return (
        f"<figure data-player><figcaption>{name_html(song.name)} <small>{said}</small></figcaption>"
        f'<audio controls preload="metadata" data-song="{escape(song.song_id)}" '
        f'data-gain="{gain:.4f}" aria-label="Play {escape(song.name)}"></audio>'
        '<p class="ha-fault" role="status"></p></figure>'
    )
