"""``hear-aesthetics songeval``: the SongEval task from its data to its tables, in order of use."""

import typer

from songeval_task.commands.ablation import ablation
from songeval_task.commands.augment import augment
from songeval_task.commands.evaluate import evaluate
from songeval_task.commands.features import features
from songeval_task.commands.hear_task import hear_task
from songeval_task.commands.prepare import prepare
from songeval_task.commands.synthesize import synthesize
from songeval_task.commands.train import train

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
for command in (synthesize, prepare, augment, features, train, evaluate, ablation, hear_task):
    app.command()(command)


@app.callback()
def songeval() -> None:
    """SongEval: data, features, training, the published protocol and its ablation."""
