"""Leaderboards as Markdown, as CSV in the official layout, and as sections of model cards."""

import json
import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from hear_aesthetics.evaluation.results.leaderboard import Leaderboard
from hear_aesthetics.evaluation.results.submissions import ABOUT_COLUMNS
from hear_aesthetics.evaluation.results.task_result import HEAR, MTEB, TaskResult
from hear_aesthetics.files import csv_text
from hear_aesthetics.markdown import markdown_table

__all__ = ["as_csv", "as_markdown", "card"]

NORMALISED = {
    True: "0 is the lowest and 1 the highest official submission to the task, where there are any",
    False: "the score itself, 1 is perfect; an error rate counts as one minus the rate",
}


def as_markdown(board: Leaderboard) -> str:
    """Return tasks by models; the best of several in bold, with places among the submissions."""
    header = ["task", "score", *board.models]
    if board.official:
        header.append("best official submission")
    rows = []
    for benchmark, name in ((HEAR, "mean normalised"), (MTEB, "mean of mteb tasks")):
        if tasks := board.tasks_of(benchmark):
            rows += [_markdown_row(board, task) for task in tasks]
            means = [_mean(board, model, benchmark) for model in board.models]
            rows.append([name, "", *means, *([""] if board.official else [])])
    note = f"Normalised: {NORMALISED[board.official is not None]}."
    if board.tasks_of(MTEB):
        note += " mteb states no intervals, and its tasks have a mean of their own."
    if any(result.width for result in board.results.values()):
        note = "In brackets: 95 % interval over the test clips, where it is estimable. " + note
    return _table(header, rows) + f"\n{note}\n"


def _markdown_row(board: Leaderboard, task: str) -> list[str]:
    found = {m: board.results[task, m] for m in board.models if (task, m) in board.results}
    any_result = next(iter(found.values()))
    defined = [r.score for r in found.values() if not math.isnan(r.score)]
    best = (max if any_result.higher_is_better else min)(defined, default=math.nan)
    cells = []
    for model in board.models:
        cell = "-"
        if result := found.get(model):
            cell = result.describe()
            if len(found) > 1 and result.score == best:
                cell = f"**{cell}**"
            if place := board.rank(task, result.score):
                cell += " ({} of {})".format(*place)
        cells.append(cell)
    if board.official:
        submission = board.best_official(task)
        cells.append(f"{submission[1]:.3f} {submission[0]}" if submission else "-")
    return [task, any_result.score_name, *cells]


def _mean(board: Leaderboard, model: str, benchmark: str) -> str:
    value, tasks = board.mean(model, benchmark)
    if not tasks:
        return "-"
    return f"{value:.3f} ({tasks} task{'' if tasks == 1 else 's'})"


def _table(header: list[str], rows: list[list[str]]) -> str:
    return markdown_table(list(map(_escaped, header)), (map(_escaped, row) for row in rows)) + "\n"


def _escaped(cell: str) -> str:
    """Return text that Markdown shows as it is: no tags, links, code or line breaks."""
    return re.sub(r"\\|`|\||<|(?<=\])\(", r"\\\g<0>", _printable(cell))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _harmless(cell: str) -> str:
    """Return a cell of a CSV file that no spreadsheet takes for a formula."""
    cell = _printable(cell)
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell.startswith(tuple("=+-@")) else cell
    return cell


def as_csv(board: Leaderboard) -> str:
    """Return one row per model in the layout of the official leaderboard, whose rows follow."""
    official = board.official
    columns = list(official.columns if official else ABOUT_COLUMNS)
    place = {task: (official.column(task) if official else None) or task for task in board.tasks}
    columns += [column for column in place.values() if column not in columns]
    rows: list[Mapping[str, str]] = [dict(zip(columns, columns, strict=True))]
    for model in board.models:
        row = {"Model": model}
        for task in board.tasks:
            result = board.results.get((task, model))
            if result and not math.isnan(result.score):
                row[place[task]] = f"{result.score:.6g}"
        rows.append(row)
    rows += official.rows if official else ()
    return csv_text([_harmless(row.get(c) or "") for c in columns] for row in rows)


def card(board: Leaderboard, model: str) -> str:
    """Return a section for the card of one of our models: scores, settings, how to reproduce them.

    Raises:
        KeyError: If the leaderboard has no such model.
    """
    found = [r for task in board.tasks if (r := board.results.get((task, model)))]
    if not found:
        raise KeyError(model)
    parts = {name: [r for r in found if r.benchmark == name] for name in (HEAR, MTEB)}
    return "\n".join(_section(name, results) for name, results in parts.items() if results)


def _section(benchmark: str, results: list[TaskResult]) -> str:
    rows = []
    for result in results:
        interval = result.width.replace(",", " to") or "-"
        rows.append([result.task, result.score_name, f"{result.score:.3f}", interval])
    facts = _facts(results[0]) if benchmark == HEAR else _mteb_facts(results)
    lines = [
        f"## {benchmark} benchmark",
        "",
        _table(["task", "score", "value", "95 % interval"], rows),
        *(f"- {name}: {_escaped(str(value))}" for name, value in facts.items()),
    ]
    if benchmark == HEAR:
        lines.append(f"- Reproduce: {_code(_command(results[0]))}")
    return "\n".join(lines) + "\n"


def _mteb_facts(results: list[TaskResult]) -> dict[str, Any]:
    first, versions = results[0].settings, {str(r.settings["mteb_version"]) for r in results}
    return {
        "Model": f"{first['model']}, revision {first['model_revision']}",
        "Evaluation": f"mteb {', '.join(sorted(versions))}",
    }


def _code(text: str) -> str:
    """Return a span of code, whose marks are longer than any within."""
    ticks = max(map(len, re.findall("`+", text)), default=0)
    mark, space = "`" * (ticks + 1), " " if ticks else ""
    return f"{mark}{space}{_printable(text)}{space}{mark}"


def _facts(result: TaskResult) -> dict[str, Any]:
    provenance, settings = result.provenance, dict(result.settings)
    facts = {"Module": result.model}
    if provenance:
        version = provenance.get("version")
        facts["Module"] = f"{provenance['module']} {version}" if version else provenance["module"]
        facts["Sample rate"] = f"{provenance['sample_rate']} Hz"
        facts["Embedding sizes"] = _pairs(provenance["sizes"])
        if provenance.get("provenance"):
            facts["Provenance"] = _pairs(provenance["provenance"])
    facts["Evaluation"] = _pairs(settings) or "the official heareval"
    return facts


def _pairs(values: Mapping[str, Any]) -> str:
    given = {name: value for name, value in values.items() if value not in (None, "", {}, [])}
    return ", ".join(f"{name} {_plain(value)}" for name, value in given.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_pairs(value)})"
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def _command(result: TaskResult) -> str:
    """Return the command that evaluates the model again."""
    provenance, settings = result.provenance, result.settings
    if not settings:
        return f"python -m heareval.predictions.runner embeddings/{result.model}/*"
    words = ["hear-aesthetics", "evaluate", "TASKS", "--out", "embeddings"]
    if not provenance:
        words = ["hear-aesthetics", "evaluate-embeddings", f"embeddings/{result.model}"]
    else:
        words += ["--module", provenance["module"]]
        words += ["--model", provenance["model"]] if provenance["model"] else []
        words += (
            ["--model-options", json.dumps(provenance["options"])] if provenance["options"] else []
        )
    for name in ("protocol", "grid", "grid_points", "seeds", "precision"):
        if name in settings:
            words += [f"--{name.replace('_', '-')}", str(settings[name])]
    return shlex.join(words)
