"""Calibration of a run's head by the songs that selected it.

The head saw their ratings once, as it was chosen among the epochs, so its errors on them are a
little smaller than on new songs; ``hear-aesthetics calibrate`` takes songs that it never saw.
"""

from songeval_task.features.augmentation import ORIGINAL
from songeval_task.protocol import SongPredictions
from songeval_task.training.config import SongEvalConfig, TrainableHead
from songeval_task.training.data import TrainingData
from songeval_task.training.predict import pool_songs
from songeval_task.uncertainty.calibration import Calibration, check_songs, fingerprint_of
from songeval_task.uncertainty.reference import ReferenceSongs

__all__ = ["calibrate_run"]


def calibrate_run(
    head: TrainableHead, data: TrainingData, config: SongEvalConfig, valid: SongPredictions
) -> Calibration:
    """Return the calibration of a head by the predictions of its valid songs.

    Novelty is the distance from the training songs as they are, without augmented versions.

    Args:
        head: Takes features as they are stored.
        data: The run's songs, with features as they are stored.
        config: The run's configuration.
        valid: Predictions of the valid songs.

    Raises:
        InputError: If they are too few, or do not differ in a dimension.
    """
    check_songs(valid.track.names, valid.target)
    train = [row for row in data.splits["train"] if row.version == ORIGINAL]
    reference = ReferenceSongs.of(pool_songs(head, data, train or data.splits["train"]).cpu())
    distance = reference.distance(pool_songs(head, data, data.splits["valid"]).cpu())
    made = fingerprint_of(head.fingerprint(), config.features, data.store.fingerprint())
    origin = {"from": "the songs that selected the head", **data.provenance}
    tables = valid.preds, valid.target, distance, valid.systems
    return Calibration.of(data.track.names, *tables, reference, made, origin)
