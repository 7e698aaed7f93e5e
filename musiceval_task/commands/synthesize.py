"""``musiceval synthesize``: synthetic clips with prompts and simulated scores."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.console import Report
from hear_aesthetics.commands.options import OverwriteOption

__all__ = ["synthesize"]


def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder for wav/, sets/ and the prompts.")],
    prompts: Annotated[
        int, typer.Option(min=5, help="Number of prompts, each answered by 16 systems.")
    ] = 60,
    seconds: Annotated[float, typer.Option(help="Length of a clip in seconds.")] = 6.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of clips and scores.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render clips.")] = 2,
    overwrite: OverwriteOption = False,
) -> None:
    """Compose and render clips with simulated scores: a set for tests and demos only.

    The layout is MusicEval's. OUT/text_encoder is a tiny RoBERTa with random weights, so that
    `musiceval train OUT --model mini --text OUT/text_encoder` runs offline. The same command
    resumes an interrupted set.
    """
    from hear_aesthetics.synthesis.folder import begin_set
    from musiceval_task.data.synthetic import Recipe, plan, render_clips, write_lists
    from musiceval_task.features.tiny_text import write_tiny_roberta

    recipe = Recipe(prompts, seconds, seed)
    begin_set(out, recipe, overwrite=overwrite)
    planned = plan(recipe)
    with Report(len(planned), "ready", "clip") as report:
        report.done(sum((out / "wav" / clip.name).is_file() for clip in planned))
        for _ in render_clips(planned, out, workers):
            report.done()
    write_tiny_roberta(out / "text_encoder", [clip.prompt.text for clip in planned])
    write_lists(out, planned)
    typer.echo(f"{out}: a test and demo set; its scores are simulated", err=True)
