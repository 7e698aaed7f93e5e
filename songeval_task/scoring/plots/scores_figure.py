"""Figure of the scores of a run: of one scorer radars, of several a panel each."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from songeval_task.scoring.feature_scorer import FeatureScorer
from songeval_task.scoring.plots.judges_plot import judges_figure
from songeval_task.scoring.plots.radar_plot import MIN_RADAR, score_figure
from songeval_task.scoring.rows import ScoreRow

__all__ = ["scores_figure"]


def scores_figure(rows: Sequence[ScoreRow], scorer: FeatureScorer) -> Figure:
    """Return a figure whose title says what made the scores.

    Args:
        rows: Rows of songs that were scored, at least one; ``MAX_SONGS`` of them are drawn.
        scorer: What scored them.
    """
    scorer_set = scorer.scorer_set
    several = len(scorer_set.groups) > 1
    (name, dimensions), *_ = scorer_set.groups.items()
    facts = [f"model {scorer.model_name}"] if scorer.model_name else []
    facts.append("every head on its own scale" if several else f"head {name}")
    text = ", ".join(facts)
    if scorer.demo and not several:
        text += "; demo: the scores say nothing"
    elif not several and len(dimensions) >= MIN_RADAR:
        text += "; below each name: the mean"
    if scorer_set.interval_columns:
        text += f"; {'bars' if several else 'bands'}: {scorer_set.coverage:.0%} intervals"
    titles = {"title": "Song scores" if len(rows) > 1 else "Song score", "subtitle": text}
    if several:
        demo = scorer.demo_heads
        return judges_figure(rows, scorer_set.groups, scorer_set.means, demo=demo, **titles)
    return score_figure(rows, dimensions, **titles)
