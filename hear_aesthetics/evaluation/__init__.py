"""The HEAR benchmark: task folders, embeddings, probes and scores.

Stages, each usable alone: a task folder (:mod:`task`) and a module give an embedding folder
(:mod:`embedding`), an embedding folder gives scores (:mod:`pipeline`), scores give a leaderboard
(:mod:`leaderboard`). Folders are laid out as heareval's, so that either kit's next stage can go on.
"""

from typing import Any

__all__ = ["evaluate_embeddings"]


def __getattr__(name: str) -> Any:
    """The pipeline, loaded on first use: reading tasks and scores needs no torch."""
    if name == "evaluate_embeddings":
        from hear_aesthetics.evaluation.pipeline import evaluate_embeddings

        return evaluate_embeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
