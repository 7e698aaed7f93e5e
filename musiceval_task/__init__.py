"""AudioMOS 2025 Track 1 (MusicEval): is generated music good, and does it follow its prompt?

Built on the dual-branch system of ASTAR-NTU, the winner of the challenge: frozen MuQ hears the
clip, frozen RoBERTa reads the prompt, and a small head predicts both scores. ``load_scorer`` is
loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musiceval_task.scorer import MusicEvalScorer, load_scorer

__all__ = ["MusicEvalScorer", "load_scorer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from musiceval_task import scorer

        return getattr(scorer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
