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
    from songeval_task.scoring.plots.scores_figure import scores_figure
    from songeval_task.scoring.plots.song_rows import MAX_SONGS

    good = ranked(rows)[:top] if top else [row for row in rows if row["error"] is None]
    if not good:
        return
    if len(good) > MAX_SONGS:
        which = "best" if top else "first"
        warning_line(f"{path}: shows the {which} {MAX_SONGS} of {len(good)} songs")
    save(scores_figure(good, scorer), path)
