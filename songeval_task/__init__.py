"""SongEval: five dimensions of song aesthetics, from files to scores, training and reports.

``AestheticScorer``, ``Scores`` and ``read_scores`` are loaded on first use, so that importing the
package costs nothing.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from songeval_task.scoring.read_scores import read_scores
    from songeval_task.scoring.scorer import AestheticScorer, Scores

__all__ = ["AestheticScorer", "Scores", "read_scores"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(__all__[:2], "songeval_task.scoring.scorer"),
        "read_scores": "songeval_task.scoring.read_scores",
    },
)
