"""``hear-aesthetics songeval``: the SongEval task from its data to its tables, in order of use."""

import typer

from songeval_task.commands.songeval.ablation import ablation
from songeval_task.commands.songeval.augment import augment
from songeval_task.commands.songeval.evaluate import evaluate
from songeval_task.commands.songeval.features import features
from songeval_task.commands.songeval.hear_task import hear_task
from songeval_task.commands.songeval.prepare import prepare
from songeval_task.commands.songeval.synthesize import synthesize
from songeval_task.commands.songeval.train import train

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
for command in (synthesize, prepare, augment, features, train, evaluate, ablation, hear_task):
    app.command()(command)


@app.callback()
def songeval() -> None:
    """SongEval: data, features, training, the published protocol and its ablation."""
