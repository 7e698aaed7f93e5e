"""``hear-aesthetics musiceval``: AudioMOS 2025 Track 1, from data to answer file."""

import typer

from musiceval_task.commands.ensemble import ensemble
from musiceval_task.commands.evaluate import evaluate
from musiceval_task.commands.predict import predict
from musiceval_task.commands.synthesize import synthesize
from musiceval_task.commands.train import train

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
for command in (synthesize, train, predict, ensemble, evaluate):
    app.command()(command)


@app.callback()
def musiceval() -> None:
    """Predict music impression and text alignment of generated clips (MusicEval)."""
