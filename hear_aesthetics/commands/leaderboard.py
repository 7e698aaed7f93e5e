"""``hear-aesthetics leaderboard``: results of several models as tables and a picture."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.commands.console import error_line, exit_code, write_json
from hear_aesthetics.commands.options import JsonOption
from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from hear_aesthetics.errors import TaskError

__all__ = ["leaderboard"]


def leaderboard(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Evaluated embedding folders, folders of results of mteb, or folders of these."
        ),
    ],
    official: Annotated[
        Path | None, typer.Option(help="CSV of the official leaderboard, to compare with.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Also write a section for the card of each model.")
    ] = False,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MTEB_NAME=NAME",
            help="Name of a model in mteb, and that of its embedding folders: they share a column. "
            "Those of this package are known.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for tables, picture and cards.")] = Path(
        "leaderboard"
    ),
    as_json: JsonOption = False,
) -> None:
    """Compare models over HEAR and MTEB tasks in leaderboard.md, .csv (official layout) and .png.

    Takes results of this kit, of heareval and of mteb; HEAR results of another protocol than robust
    are marked.
    Exit codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some folders have no result.
    """
    from hear_aesthetics.evaluation.results import leaderboard_text as text
    from hear_aesthetics.evaluation.results.leaderboard import collect_results, make_leaderboard
    from hear_aesthetics.evaluation.results.leaderboard_plot import draw_leaderboard
    from hear_aesthetics.evaluation.results.submissions import read_official
    from hear_aesthetics.files import write_text

    submissions = read_official(official) if official else None
    failures: list[TaskError] = []
    aliases = dict(_alias(pair) for pair in alias or ())
    found = collect_results(results, failures.append, aliases=aliases)
    for failure in failures:
        error_line(failure)
    if not found:
        raise typer.Exit(exit_code(0, len(failures)))
    board = make_leaderboard(found, submissions)
    out.mkdir(parents=True, exist_ok=True)
    markdown = text.as_markdown(board)
    write_text(out / "leaderboard.md", markdown)
    write_text(out / "leaderboard.csv", text.as_csv(board))
    draw_leaderboard(out / "leaderboard.png", board)
    written = [out / f"leaderboard.{kind}" for kind in ("md", "csv", "png")]
    for model in board.models if card else ():
        name = re.sub(r"[^\w.=-]+", "-", model).strip("-")
        written.append(out / f"card-{name}.md")
        write_text(written[-1], text.card(board, model))
    if as_json:
        write_json([result.as_json() for result in board.results.values()])
    else:
        typer.echo(markdown, nl=False)
    typer.echo(f"written: {', '.join(map(str, written))}", err=True)
    raise typer.Exit(exit_code(len(found), len(failures)))


def _alias(pair: str) -> tuple[str, str]:
    name, equals, here = pair.partition("=")
    if not (name and equals and here):
        raise InputError(f"--alias {pair}: write MTEB_NAME=NAME, such as org/model=my_module")
    return name, here
