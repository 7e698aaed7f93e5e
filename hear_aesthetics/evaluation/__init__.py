"""The HEAR benchmark: task folders, embeddings, probes and scores.

Stages, each usable alone: a task folder (``tasks``) and a module give an embedding folder
(``embeddings``), an embedding folder gives scores (``probes``, in one call: ``pipeline``), scores
give a leaderboard (``results``). Folders are laid out as heareval's, so that either kit's next
stage can go on.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from hear_aesthetics.evaluation.pipeline import evaluate_embeddings

__all__ = ["evaluate_embeddings"]
__getattr__, __dir__ = lazy_names(
    __name__, {"evaluate_embeddings": "hear_aesthetics.evaluation.pipeline"}
)
