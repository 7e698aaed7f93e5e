"""Report on one run or several: tables with intervals in Markdown, plots, and JSON."""

import math
from collections.abc import Mapping
from pathlib import Path

from hear_aesthetics.files import json_text, write_text
from hear_aesthetics.markdown import markdown_table
from hear_aesthetics.metrics.intervals import METHOD
from hear_aesthetics.version import __version__
from musiceval_task.predictions import ClipPredictions
from musiceval_task.protocol import LEVELS, METRICS, Measure, Measures, as_table, compute_metrics
from musiceval_task.reports.plots import TITLES, draw_runs, draw_scatter
from musiceval_task.scale import TARGETS
from musiceval_task.training.objective import centers

__all__ = ["write_report"]

COVERAGE = 0.9  # of the predicted intervals that the report checks


def write_report(
    out: Path, runs: Mapping[str, ClipPredictions], *, data: str = ""
) -> dict[str, Measures]:
    """Write ``report.md``, ``metrics.json`` and the plots of a comparison of runs.

    The runs predict the same clips; ``data`` names these in the headings. Returns the metrics of
    each run by its name.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {name: compute_metrics(run) for name, run in runs.items()}
    clips = next(iter(figures.values()))[TARGETS[0], LEVELS[0], "MSE"].count
    what = f"{data}, {clips} clips" if data else f"{clips} clips"
    lines = [f"# MusicEval: {data}".rstrip(": "), ""]
    lines += [f"{clips} clips. After each figure: its 95 % interval ({METHOD}).", ""]
    for target in TARGETS:
        lines += _section(target, figures)
    lines += ["## Predicted uncertainty", "", *_uncertainty(runs), "", "## Pictures", ""]
    if len(runs) > 1:
        subtitle = f"{what}; lines: 95 % intervals"
        draw_runs(out / "runs.png", figures, title="All runs", subtitle=subtitle)
        lines += ["![all runs](runs.png)", ""]
    for name, run in runs.items():
        path = out / f"{name}.png"
        draw_scatter(path, run.scored(), figures[name], title=name, subtitle=what)
        lines += [f"![{name}]({path.name})", ""]
    lines += [f"hear-aesthetics {__version__}"]
    write_text(out / "report.md", "\n".join(lines) + "\n")
    table = {name: as_table(measures) for name, measures in figures.items()}
    write_text(out / "metrics.json", json_text(table))
    return figures


def _section(target: str, figures: Mapping[str, Measures]) -> list[str]:
    lines = [f"## {TITLES[target]}", ""]
    for level in LEVELS:
        rows = [
            [name, *map(_cell, found)]
            for name, measures in figures.items()
            if (found := [m for key, m in measures.items() if key[:2] == (target, level)])
        ]
        if rows:
            count = next(iter(figures.values()))[target, level, "MSE"].count
            table = markdown_table(["run", *METRICS], rows)
            lines += [f"{level.capitalize()} level ({count}):", "", table, ""]
    return lines


def _cell(measure: Measure) -> str:
    if math.isnan(measure.low):
        return f"{measure.value:.3f} (interval not estimable)"
    return f"{measure.value:.3f} ({measure.low:.3f} to {measure.high:.3f})"


def _uncertainty(runs: Mapping[str, ClipPredictions]) -> list[str]:
    """Return a table of how often true scores lie in the intervals that each run predicts."""
    import torch

    from heads import score_deviation, score_interval

    rows = []
    for name, run in runs.items():
        known = run.scored()
        if known.distributions is None:
            continue
        bins = centers().double()
        cells = []
        for column in range(len(TARGETS)):
            dist = torch.from_numpy(known.distributions[:, column])
            low, high = score_interval(dist, bins, COVERAGE)
            truth = torch.from_numpy(known.truth[:, column])
            inside = ((low <= truth) & (truth <= high)).double().mean()
            cells += [f"{inside:.2f}", f"{score_deviation(dist, bins).mean():.2f}"]
        rows.append([name, *cells])
    header = [column for t in TARGETS for column in (f"{TITLES[t]}: inside", "deviation")]
    return [
        f"Share of clips whose true score lies in the predicted {COVERAGE:.0%} interval, and mean "
        "predicted standard deviation; runs without distributions predict none.",
        "",
        markdown_table(["run", *header], rows),
    ]
