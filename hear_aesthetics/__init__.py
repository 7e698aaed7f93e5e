"""Music representations at segment and track scale, behind the HEAR benchmark's three functions.

``load_model``, ``get_scene_embeddings`` and ``get_timestamp_embeddings`` are loaded on first use,
so that importing the package costs nothing: torch is imported when one of them is touched.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hear_aesthetics.model import (
        get_scene_embeddings,
        get_timestamp_embeddings,
        load_model,
    )

__version__ = "0.1.0"
__all__ = ["__version__", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from hear_aesthetics import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
