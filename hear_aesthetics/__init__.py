"""Music representations at segment and track scale, behind the HEAR benchmark's three functions.

``load_model``, ``get_scene_embeddings`` and ``get_timestamp_embeddings`` are loaded on first use,
so that importing the package costs nothing: torch is imported when one of them is touched.
"""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names
from hear_aesthetics.version import __version__

if TYPE_CHECKING:
    from hear_aesthetics.model import (
        get_scene_embeddings,
        get_timestamp_embeddings,
        load_model,
    )

__all__ = ["__version__", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"]
__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__[1:], "hear_aesthetics.model"))
