"""AudioMOS 2025 Track 1 (MusicEval): music impression and text alignment of generated clips.

The dual-branch system of ASTAR-NTU, the winner of the challenge: frozen MuQ encodes the clip,
frozen RoBERTa the prompt, and a small head predicts both scores. The public names are imported on
first use, so that importing the package is quick.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from musiceval_task.scorer import MusicEvalScorer, load_scorer

__all__ = ["MusicEvalScorer", "load_scorer"]
__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "musiceval_task.scorer"))
