"""Training data: rated songs, their splits, and their stored features."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import digest
from songeval_task.data.dataset import RATINGS_KEY
from songeval_task.data.prepared import read_prepared
from songeval_task.data.splits import SPLITS
from songeval_task.dimensions import Track
from songeval_task.features.augmentation import ORIGINAL
from songeval_task.features.store import FeatureStore
from songeval_task.training.config import SongEvalConfig
from songeval_task.training.standardize import Standardizer

__all__ = ["FeatureRow", "TrainingData", "load_data"]

INDEX_COLUMNS = ("song", "version", "frames", "sha256", "seed", "augmentation")


@dataclass(frozen=True)
class FeatureRow:
    """One version of a song, with stored features.

    Attributes:
        song: Name in the data set.
        version: ``"original"`` or the name of an augmented version.
        frames: Length of its features.
        labels: One per dimension of the track.
        system: The generator that made the song; empty where that is not known.
    """

    song: str
    version: str
    frames: int
    labels: tuple[float, ...]
    system: str = ""


@dataclass(frozen=True)
class TrainingData:
    """Rows by split, and their features.

    Attributes:
        splits: ``"train"`` (with augmented versions if they are used), ``"valid"`` and ``"test"``.
        store: The features.
        name: Name of the tensor to read.
        width: Width of the features.
        track: Track whose dimensions the labels are of.
        provenance: Hash of the table of songs, and the fingerprint of the features.
        standardizer: Applied to features as they are loaded; None: they are as stored.
    """

    splits: dict[str, tuple[FeatureRow, ...]]
    store: FeatureStore
    name: str
    width: int
    track: Track
    provenance: dict[str, Any]
    standardizer: Standardizer | None = None

    def load(self, row: FeatureRow) -> Tensor:
        """Return the features of a row, ``(frames, width)``, mapped into memory."""
        (features,) = self.store.load(row.song, row.version, (self.name,))
        return self.standardizer(features) if self.standardizer else features

    def standardized(self) -> "TrainingData":
        """Return the same with features standardized over the frames of the training rows."""
        return replace(self, standardizer=Standardizer.fit(map(self.load, self.splits["train"])))

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the numbers of a run: songs, features, and the rows of each split."""
        rows = {
            split: {"count": len(found), "sha256": digest({"rows": list(map(astuple, found))})}
            for split, found in self.splits.items()
        }
        return {**self.provenance, "features": self.store.fingerprint(), "rows": rows}

    def labels(self, split: str) -> Tensor:
        """Return the labels of a split, ``(rows, dimensions)`` float32."""
        return torch.tensor([row.labels for row in self.splits[split]], dtype=torch.float32)

    def with_shuffled_labels(self, seed: int) -> "TrainingData":
        """Return the same with the labels of training and valid songs permuted at random."""
        rows = [row for split in ("train", "valid") for row in self.splits[split]]
        labels = {row.song: row.labels for row in rows}
        order = np.random.default_rng(seed).permutation(len(labels))
        dealt = dict(zip(labels, [list(labels.values())[i] for i in order], strict=True))
        splits = {
            split: tuple(replace(row, labels=dealt.get(row.song, row.labels)) for row in rows)
            for split, rows in self.splits.items()
        }
        return replace(self, splits=splits)


def load_data(
    prepared: Path, features: Path, config: SongEvalConfig, wanted: Sequence[str] = SPLITS
) -> TrainingData:
    """Return the rows of a prepared data set whose features are in a store.

    Args:
        prepared: Folder of ``songeval prepare``.
        features: Folder of ``songeval features``.
        config: Its track, its features, and which versions train.
        wanted: Splits to load; the songs of others need no features.

    Raises:
        InputError: If something is missing; says what, and which command makes it.
    """
    store, track, name = FeatureStore(features), config.dimensions, config.features
    data, index = read_prepared(prepared, need_audio=False), store.index()
    entries = list(zip(*(index[column] for column in INDEX_COLUMNS), strict=True))
    frames: dict[str, dict[str, int]] = {}
    for key, version, count, *_ in entries:
        frames.setdefault(key, {})[version] = int(count)
    splits: dict[str, list[FeatureRow]] = {split: [] for split in wanted}
    for song in data.songs:
        split = song.split
        if split == "valid" and not config.hold_out_valid:
            split = "train"
        if split not in splits:
            continue
        found = frames.get(song.name, {})
        if ORIGINAL not in found:
            raise InputError(f"{features}: no features of {song.name}; run `songeval features`")
        labels = song.labels_of(track)
        splits[split] += [
            FeatureRow(song.name, version, found[version], labels, song.system)
            for version in _chosen(found, split, config)
        ]
    needed = [split for split in wanted if split != "valid" or config.hold_out_valid]
    for split in needed:
        if len({row.song for row in splits[split]}) < 2:
            raise InputError(
                f"{prepared}: {split!r} has fewer than 2 songs; prepare it again with --overwrite "
                "and a larger --valid-fraction or --test-songs"
            )
    if config.augmented and config.last_version_only:
        _check_augmented(features, splits["train"])
    first = splits[needed[0]][0]
    (sample,) = store.load(first.song, first.version, (name,))
    used = {(row.song, row.version) for rows in splits.values() for row in rows}
    made_of = [entry for entry in entries if entry[:2] in used]
    provenance = {
        "songs_sha256": data.about["table_sha256"],
        "rows_sha256": digest({"rows": sorted(map(str, made_of))}),
        "features": store.fingerprint(),
    }
    if RATINGS_KEY in data.about:  # simulated: heads keep it, and their scores say demo
        provenance[RATINGS_KEY] = data.about[RATINGS_KEY]
    by_split = {split: tuple(rows) for split, rows in splits.items()}
    return TrainingData(by_split, store, name, sample.shape[1], track, provenance)


def _check_augmented(features: Path, rows: Iterable[FeatureRow]) -> None:
    """Check that the last version of every song is an augmented one, or of none."""
    versions = {row.song: row.version for row in rows}
    lacking = [song for song, version in versions.items() if version == ORIGINAL]
    if lacking and len(lacking) < len(versions):
        raise InputError(
            f"{features}: {len(lacking)} songs that train have no augmented version, such as "
            f"{lacking[0]}; prepare with --valid-fraction 0, then run `songeval features` again"
        )


def _chosen(found: Iterable[str], split: str, config: SongEvalConfig) -> list[str]:
    """Return the versions of a song to use: augmented ones neither select nor test."""
    if split != "train" or not config.augmented:
        return [ORIGINAL]
    numbers = {version: re.sub(r"\D", "", version) for version in found if version != ORIGINAL}
    versions = sorted(numbers, key=lambda version: (int(numbers[version] or 0), version))
    return (versions[-1:] or [ORIGINAL]) if config.last_version_only else [ORIGINAL, *versions]
