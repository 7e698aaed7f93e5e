"""Inference over many files: inputs, batches, embedding files, worker processes."""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from hear_aesthetics.engine.inference import Output, Result, run

__all__ = ["Output", "Result", "run"]
__getattr__, __dir__ = lazy_names(
    __name__, dict.fromkeys(__all__, "hear_aesthetics.engine.inference")
)
