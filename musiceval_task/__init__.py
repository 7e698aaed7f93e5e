"""AudioMOS 2025 Track 1 (MusicEval): is generated music good, and does it follow its prompt?

Built on the dual-branch system of ASTAR-NTU, the winner of the challenge: frozen MuQ hears the
clip, frozen RoBERTa reads the prompt, and a small head predicts both scores. ``load_scorer`` is
loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from musiceval_task.scorer import MusicEvalScorer, load_scorer

__all__ = ["MusicEvalScorer", "load_scorer"]
__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "musiceval_task.scorer"))
