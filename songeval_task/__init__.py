"""SongEval: five dimensions of song aesthetics, from files to scores, training and reports.

``AestheticScorer`` and ``Scores`` are loaded on first use, so that importing the package costs
nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from songeval_task.scoring.scorer import AestheticScorer, Scores

__all__ = ["AestheticScorer", "Scores"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from songeval_task.scoring import scorer

        return getattr(scorer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
