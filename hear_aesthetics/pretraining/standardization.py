"""Standardization constants of a model, measured on synthetic audio, never on benchmark data."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import save_file
from torch import Tensor

from hear_aesthetics.features.standardize import measure_constants
from hear_aesthetics.files import write_text
from hear_aesthetics.model import HearModel, load_model
from hear_aesthetics.pretraining.data.augmentation import draw_batch, generator
from hear_aesthetics.pretraining.data.pool import open_pool
from hear_aesthetics.pretraining.export import MODEL_JSON
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["standardize_model"]

CONSTANTS = "centring.safetensors"
CLIPS, BATCHES, ROWS, SECONDS = 256, 128, 4, 2


def standardize_model(directory: Path) -> None:
    """Measure the constants of a model directory; write them and their name into it."""
    path = directory / MODEL_JSON
    about = json.loads(path.read_text(encoding="utf-8"))
    for key in ("centring", "standardizer"):
        about.pop(key, None)
    write_text(path, json.dumps(about, indent=2) + "\n")
    model = load_model(str(directory))
    save_file(measure_constants(_rendered_features(model)), directory / CONSTANTS)
    write_text(path, json.dumps({**about, "standardizer": CONSTANTS}, indent=2) + "\n")


def _rendered_features(model: HearModel) -> Iterator[Tensor]:
    """Yield the features of rendered clips, with their levels and backgrounds."""
    with TemporaryDirectory() as folder:
        pool = open_pool(Path(folder), None, 0, CLIPS)
        for step in range(BATCHES):
            rng = generator(0, "centring", step)
            yield model.features(draw_batch(pool, rng, ROWS, SECONDS * SAMPLE_RATE))
