"""HEAR module of an untrained pair of the sizes of ``mini`` (Apache-2.0, as this project)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hear_aesthetics
from benchmarks.common.small_pairs import write_untrained
from hear_aesthetics import get_scene_embeddings, get_timestamp_embeddings

__all__ = ["get_scene_embeddings", "get_timestamp_embeddings", "load_model"]


def load_model(model_file_path: str = "", *, layer: int = 2, **options: Any) -> Any:
    """Return a pair with random weights and calibrated batch norms, pooled to two moments."""
    with TemporaryDirectory() as folder:
        write_untrained(Path(folder), layer, "mean+std")
        return hear_aesthetics.load_model(folder, **options)
