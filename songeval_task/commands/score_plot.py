"""``score --plot``: the picture of the songs that were scored."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hear_aesthetics.commands.console import warning_line
from songeval_task.commands.listing import ranked

if TYPE_CHECKING:
    from songeval_task.scoring.feature_scorer import FeatureScorer

__all__ = ["plot_scores"]


def plot_scores(
    path: Path, rows: list[dict[str, Any]], scorer: "FeatureScorer", top: int | None
) -> None:
    """Write a PNG of the best or the first songs: of one scorer radars, of several a panel each."""
    from hear_aesthetics.plotting.style import save
    from songeval_task.scoring.plots.judges_plot import judges_figure
    from songeval_task.scoring.plots.radar_plot import score_figure
    from songeval_task.scoring.plots.song_rows import MAX_SONGS

    good = ranked(rows)[:top] if top else [row for row in rows if row["error"] is None]
    if not good:
        return
    if len(good) > MAX_SONGS:
        which = "best" if top else "first"
        warning_line(f"{path}: shows the {which} {MAX_SONGS} of {len(good)} songs")
    scorer_set = scorer.scorer_set
    several = len(scorer_set.groups) > 1
    (name, dimensions), *_ = scorer_set.groups.items()
    facts = [f"model {scorer.model_name}"] if scorer.model_name else []
    facts.append("every head on its own scale" if several else f"head {name}")
    text = ", ".join(facts)
    if scorer.demo:
        text += "; demo: the scores say nothing"
    elif not several:
        text += "; after each name: the mean"
    if scorer_set.calibrated:
        text += f"; {'bars' if several else 'bands'}: {scorer_set.coverage:.0%} intervals"
    titles = {"title": "Song scores" if len(good) > 1 else "Song score", "subtitle": text}
    if several:
        figure = judges_figure(good, scorer_set.groups, scorer_set.means, **titles)
    else:
        figure = score_figure(good, dimensions, **titles)
    save(figure, path)
