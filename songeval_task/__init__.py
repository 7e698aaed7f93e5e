"""SongEval: five dimensions of song aesthetics, from files to scores, training and reports.

``AestheticScorer`` and ``Scores`` are loaded on first use, so that importing the package costs
nothing.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from songeval_task.scoring.scorer import AestheticScorer, Scores

__all__ = ["AestheticScorer", "Scores"]
__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "songeval_task.scoring.scorer"))
