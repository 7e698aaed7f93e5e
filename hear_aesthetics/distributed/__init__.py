"""Many files on many machines: Ray Data for the commands, and callable classes for any pipeline.

:class:`Embedder` and :class:`Scorer` are plain callable classes, batches in and batches out, for
``ray.data.Dataset.map_batches`` and whatever else maps batches; they do not need Ray.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names

if TYPE_CHECKING:
    from hear_aesthetics.distributed.embedder import Embedder

__all__ = ["Embedder", "Scorer"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Embedder": "hear_aesthetics.distributed.embedder",
        "Scorer": "songeval_task.distributed",
    },
)
