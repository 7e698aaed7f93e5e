"""Scorers of the commands, loaded as options say, with warnings of what their scores lack."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from hear_aesthetics.commands.console import warning_line
from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.distributed import RayScorer
    from songeval_task.scoring.feature_scorer import FeatureScorer
    from songeval_task.scoring.judges.muq_eval import WindowChoice
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = [
    "load_aesthetic_scorer",
    "load_ray_scorer",
    "load_scorer",
    "open_server",
    "say_what_intervals_need",
    "say_what_is_not_explained",
]


def load_aesthetic_scorer(
    head: list[str] | None,
    model: str,
    *,
    precision: str,
    device: str | None,
    window: "WindowChoice | None" = None,
) -> "AestheticScorer":
    """Return a scorer; write a warning if its scores say nothing about music.

    Raises:
        InputError: If a name is unknown or a head does not fit the model.
    """
    from songeval_task.scoring.scorer import AestheticScorer

    scorer = AestheticScorer.from_pretrained(
        *(head or ()), model=model, precision=precision, device=device, window=window
    )
    _warn_if_demo(scorer)
    return scorer


def load_ray_scorer(
    ctx: typer.Context,
    address: str,
    head: list[str] | None,
    model: str,
    *,
    precision: str,
    device: str | None,
    window: "WindowChoice | None" = None,
) -> "RayScorer":
    """Return a scorer whose songs are scored on a cluster of Ray until the command ends.

    Raises:
        InputError: As :func:`load_aesthetic_scorer`, or if no cluster can be joined.
    """
    from hear_aesthetics.commands.cluster import join_cluster
    from songeval_task.distributed import RayScorer, ScorerRecipe

    cluster = join_cluster(ctx, address, device)
    scorer = RayScorer.on(cluster, ScorerRecipe(tuple(head or ()), model, precision, window))
    _warn_if_demo(scorer)
    return scorer


def load_scorer(
    found: "Inputs",
    *,
    head: list[str] | None,
    model: str,
    precision: str,
    device: str | None,
    window: "WindowChoice | None" = None,
) -> "FeatureScorer":
    """Return the scorer of these inputs: heads alone where all of them are features."""
    from hear_aesthetics.engine.inputs import kinds_of
    from songeval_task.scoring.feature_scorer import FeatureScorer

    if False in kinds_of(found.inputs):
        return load_aesthetic_scorer(head, model, precision=precision, device=device, window=window)
    if window is not None:
        raise InputError("--window is for muq-eval and audio; the inputs are features")
    scorer = FeatureScorer.from_pretrained(*(head or ()), model=model, device=device)
    _warn_if_demo(scorer)
    return scorer


def open_server(url: str, token: str, own: Mapping[str, Any]) -> "FeatureScorer":
    """Return the scorer of a server.

    Args:
        url: Address of the server.
        token: Its token; empty if it has none.
        own: Options of a model of our own, which must have been left out.

    Raises:
        InputError: If one was not, or the server cannot be reached.
    """
    from songeval_task.service.client import RemoteScorer

    given = [name for name, value in own.items() if value not in (None, "large", "auto")]
    if given:
        raise InputError(f"--server scores by its own model; leave out --{given[0]}")
    scorer: Any = RemoteScorer(url, token)  # has the methods that are called here
    _warn_if_demo(scorer)
    return scorer  # type: ignore[no-any-return]


def _warn_if_demo(scorer: "FeatureScorer") -> None:
    if scorer.demo:
        learned = "never learned from people's ratings and says nothing about the music"
        warning_line(f"demo scores: {scorer.demo_title} {learned}")


def say_what_intervals_need(scorer: "FeatureScorer", coverage: float) -> None:
    """Say in one line why scores have no intervals, if they have none."""
    from songeval_task.uncertainty.calibration import songs_for

    if scorer.scorer_set.heads and not scorer.scorer_set.calibrated:
        typer.echo(
            "no intervals: nothing is known of the head's errors; `hear-aesthetics calibrate` "
            "learns them from rated songs",
            err=True,
        )
    for name, calibration in scorer.scorer_set.calibrated.items():
        if len(calibration.preds) < (needed := songs_for(coverage)):
            warning_line(
                f"{name}: {len(calibration.preds)} calibration songs promise no coverage of "
                f"{coverage:g}, which takes {needed}; intervals are empty"
            )


def say_what_is_not_explained(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say in one line which songs ``--explain`` has nothing to say of, if there are any."""
    if short := sum(len(row.get("explain") or ()) == 1 for row in rows):
        typer.echo(
            f"--explain: {short} of {len(rows)} songs last under 15 s, which is one window; "
            "without it nothing is left to score",
            err=True,
        )
