"""Predictions of a head for the songs of a split, from stored features."""

from pathlib import Path

from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.errors import InputError
from songeval_task.reports.read_predictions import NamedPredictions
from songeval_task.scoring.head_scorers import load_saved_head
from songeval_task.training.config import SongEvalConfig
from songeval_task.training.data import load_data
from songeval_task.training.predict import predict

__all__ = ["predict_split"]


def predict_split(
    source: str, prepared: Path, features: Path, *, split: str = "test"
) -> NamedPredictions:
    """Return a head's scores of the songs of a split, computed in float32.

    Args:
        source: Head, by name, file or folder.
        prepared: Folder of ``songeval prepare``.
        features: Folder of ``songeval features``; needs the songs of the split alone.
        split: Split of the songs.

    Raises:
        InputError: If features are missing, of another width, or too short for the head.
    """
    loaded = load_saved_head(source)
    head, track = loaded.head, loaded.options()["track"]
    config = SongEvalConfig(track=track, features=loaded.reads, augmented=False)
    data = load_data(prepared, features, config, (split,))
    if data.width != head.feature_dim:
        raise InputError(
            f"{features}: {loaded.reads} is {data.width} wide, {loaded.file} takes "
            f"{head.feature_dim}; name features of the model that it was trained on"
        )
    for row in data.splits[split]:
        if row.frames < head.min_frames:
            raise InputError(
                f"{features}: {row.song} has {row.frames} frames, {loaded.file} needs "
                f"{head.min_frames}; leave the song out of {prepared}"
            )
    found = predict(head.to(usable_device()), data, split)
    details = {"head": loaded.file, "sha256": loaded.sha256, "features": loaded.reads}
    if "training" in head.provenance:
        details["selected_on"] = head.provenance["training"].get("select_on")
    return NamedPredictions(Path(source).name, split, found, details)
