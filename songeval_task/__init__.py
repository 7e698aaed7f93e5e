"""SongEval: five dimensions of song aesthetics, from files to scores, training and reports.

The names are loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from songeval_task.scoring.outputs.read_scores import read_scores
    from songeval_task.scoring.scorer import AestheticScorer, Scores
    from songeval_task.service.client import RemoteScorer

__all__ = ["AestheticScorer", "RemoteScorer", "Scores", "read_scores"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(("AestheticScorer", "Scores"), "songeval_task.scoring.scorer"),
        "RemoteScorer": "songeval_task.service.client",
        "read_scores": "songeval_task.scoring.outputs.read_scores",
    },
)
