"""``hear-aesthetics serve``: scores, embeddings and rewards over HTTP."""

from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.commands.options import DeviceOption, ModelOption, PrecisionOption
from songeval_task.commands.score_options import (
    TOKEN_VARIABLE,
    CalibrationOption,
    CoverageOption,
    HeadOption,
    WindowOption,
)
from songeval_task.commands.scorers import load_aesthetic_scorer

if TYPE_CHECKING:
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["serve"]


def serve(
    model: ModelOption = "large",
    head: HeadOption = None,
    window: WindowOption = None,
    calibration: CalibrationOption = None,
    coverage: CoverageOption = 0.9,
    host: Annotated[
        str, typer.Option(help="Name or address to listen on; off loopback a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = 7860,
    token: Annotated[
        str,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            show_default=False,
            help="Token that requests have to bring; the environment hides it from other users.",
        ),
    ] = "",
    max_file_mb: Annotated[
        float, typer.Option(min=0.001, help="Largest request in MB, its files together.")
    ] = 200,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Longest audio in seconds.")] = 1200,
    queue: Annotated[
        int, typer.Option(min=1, help="Number of clips that wait or are computed at a time.")
    ] = 64,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Leave out the page for browsers, and Gradio.")
    ] = False,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
) -> None:
    """Score and embed over HTTP: one process, one model, one queue, and a page for browsers.

    POST /v1/score, /v1/embed, /v1/reward; GET /v1/models, /healthz, /readyz, /metrics and
    /openapi.json. Nothing is kept of what is sent, and nothing is loaded from another host.

    Files are decoded in processes of their own, with limits on memory and time. A full queue
    answers 503. SIGTERM ends it when the requests that were begun are answered.
    """
    from songeval_task.service.server import serve as run
    from songeval_task.service.settings import ServiceSettings

    settings = ServiceSettings(
        host=host,
        port=port,
        token=token,
        max_file_mb=max_file_mb,
        max_seconds=max_seconds,
        queue=queue,
        page=not no_page,
    )

    def load() -> "AestheticScorer":
        scorer = load_aesthetic_scorer(
            head, model, precision=precision, device=device, window=window
        )
        scorer.calibrate(calibration or (), coverage)
        return scorer

    run(settings, load, lambda address: typer.echo(f"serving at {address}", err=True))
