"""Report of an evaluation: metrics, an answer file, a page of Markdown and its plots."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hear_aesthetics.files import json_text, write_text
from hear_aesthetics.markdown import markdown_table
from hear_aesthetics.metrics.intervals import METHOD
from songeval_task.protocol import METRICS, compare, evaluate, write_scp
from songeval_task.reports.rater_agreement import CEILING, RELIABILITY, Ratings, agreement
from songeval_task.reports.read_predictions import NamedPredictions
from songeval_task.reports.report_plots import (
    draw_bars,
    draw_confusion,
    draw_residuals,
    draw_scatter,
)

__all__ = ["interval_text", "write_report"]

PICTURES = {
    "scatter.png": "Predicted against rated scores",
    "residuals.png": "Residuals (predicted minus rated)",
    "confusion.png": "Top tier: predicted against rated",
    "bars.png": "Figures per dimension with 95 % intervals",
}
LEVELS = {"utterance": "songs", "system": "systems"}
OPTIMISTIC = (
    "**Selected on the test songs:** the head was chosen on the very songs reported here, after "
    "every update, as the released code did. These figures are optimistic; compare them only with "
    "published ones."
)


def write_report(
    folder: Path,
    source: NamedPredictions,
    other: NamedPredictions | None = None,
    ratings: Ratings | None = None,
) -> dict[str, Any]:
    """Write everything about some predictions into a folder.

    Args:
        folder: Made if missing.
        source: The predictions.
        other: Predictions of the same songs to compare with.
        ratings: Single ratings of the songs, for the agreement of raters.

    Returns:
        The figures, as in ``metrics.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = source.predictions
    figures: dict[str, Any] = {
        "predictions": source.name,
        "track": found.track.name,
        "split": source.split,
        "method": METHOD,
        **evaluate(found),
    }
    if other is not None:
        figures["against"] = other.name
        figures["difference"] = compare(found, other.predictions)
    if ratings is not None:
        figures["raters"] = agreement(ratings, found.track)
    write_text(folder / "predictions.csv", found.table().to_csv(index=False))
    write_scp(folder / f"{found.track.name}_pred.scp", found)
    draw_scatter(folder / "scatter.png", found, figures["utterance"])
    draw_residuals(folder / "residuals.png", found)
    draw_confusion(folder / "confusion.png", found, figures["utterance"])
    draw_bars(folder / "bars.png", figures)
    write_text(folder / "report.md", _page(source, figures))
    write_text(folder / "metrics.json", json_text(figures))
    return figures


def interval_text(values: Sequence[float], *, signed: bool = False) -> str:
    """Return a value with its interval as text.

    >>> interval_text([0.9123, 0.88, 0.93])
    '0.912 [0.880, 0.930]'
    >>> interval_text([0.0, math.nan, math.nan], signed=True)
    '+0.000 [not estimable]'
    """
    value, low, high = (f"{number:{'+' if signed else ''}.3f}" for number in values)
    return f"{value} [{'not estimable' if math.isnan(values[1]) else f'{low}, {high}'}]"


def _page(source: NamedPredictions, figures: Mapping[str, Any]) -> str:
    track = source.predictions.track
    parts = [f"# {source.name}: {track.name}, {source.split} songs"]
    if source.details.get("selected_on") == "test":
        parts.append(OPTIMISTIC)
    for level, noun in LEVELS.items():
        if level in figures:
            count = figures[level]["count"]
            parts += [f"## {level.capitalize()} level, {count} {noun}", _figures(figures[level])]
    if "difference" in figures:
        parts += [
            f"## Difference to {figures['against']}",
            "Positive: better than the other; paired over the same songs.",
            _figures(figures["difference"], signed=True),
        ]
    if "raters" in figures:
        parts += _agreement(figures)
    parts.append(
        f"Brackets are 95 % intervals ({METHOD}); not estimable: there are too few songs, or the "
        "figure is the same without any of them. TTA is the F1 of "
        + ", ".join(f"{d.name} >= {d.top_tier:g}" for d in track.dimensions)
        + ". A system is the generator of a song."
    )
    parts += [f"## {title}\n\n![{title}]({name})" for name, title in PICTURES.items()]
    if source.details:
        rows = [item for item in source.details.items() if not isinstance(item[1], dict)]
        parts += ["## The run", markdown_table(["key", "value"], rows, numbers=True)]
    return "\n\n".join(parts) + "\n"


def _agreement(figures: Mapping[str, Any]) -> list[str]:
    """Return the section on raters, each dimension of the model beside theirs."""
    raters, model = figures["raters"], figures["utterance"]
    left_out = f"; {raters['left_out']} songs with fewer are left out" * (raters["left_out"] > 0)
    rows = []
    for name in model:
        if name != "count":
            said = (raters[name][metric] for metric in (*METRICS, RELIABILITY, CEILING))
            rows.append([name, "model", *(f"{model[name][m][0]:.3f}" for m in METRICS), "", ""])
            rows.append(["", "raters", *map(interval_text, said)])
    header = ["dimension", "", *(metric.upper() for metric in METRICS)]
    return [
        f"## Agreement of raters, {raters['count']} songs",
        f"Raters: each against the mean of the others of the same song, averaged over "
        f"{raters['raters']} raters{left_out}. Raters are anonymous: the first of one song need "
        "not be that of another. Reliability is that of the mean of all of them, ICC(1, k); a "
        "model that knew what all people think on average would reach the LCC ceiling, its square "
        "root. "
        "A model is compared with the mean of all raters, which is more exact than that of the "
        "others: it may be above raters and still below the ceiling.",
        markdown_table([*header, "reliability", "LCC ceiling"], rows, numbers=True),
    ]


def _figures(figures: Mapping[str, Any], *, signed: bool = False) -> str:
    rows = [
        [name, *(interval_text(values[metric], signed=signed) for metric in METRICS)]
        for name, values in figures.items()
        if name != "count"
    ]
    header = ["dimension", *(metric.upper() for metric in METRICS)]
    return markdown_table(header, rows, numbers=True)
