"""``hear-aesthetics songeval``: the SongEval task from its data to its tables, in order of use."""

import typer

from songeval_task.commands.prepare import prepare
from songeval_task.commands.synthesize import synthesize

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.command()(synthesize)
app.command()(prepare)


@app.callback()
def songeval() -> None:
    """SongEval: data, features, training, the published protocol and its ablation."""
