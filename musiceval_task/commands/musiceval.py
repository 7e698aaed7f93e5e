"""``hear-aesthetics musiceval``: AudioMOS 2025 Track 1 from its data to its answer file."""

import typer

from musiceval_task.commands.ensemble import ensemble
from musiceval_task.commands.evaluate import evaluate
from musiceval_task.commands.predict import predict
from musiceval_task.commands.synthesize import synthesize
from musiceval_task.commands.train import train

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.command()(synthesize)
app.command()(train)
app.command()(predict)
app.command()(ensemble)
app.command()(evaluate)


@app.callback()
def musiceval() -> None:
    """MusicEval: music impression and text alignment of generated clips, by eight members."""
