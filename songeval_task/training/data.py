"""What a head is trained on: rated songs, their splits, and where their features are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.errors import InputError
from songeval_task.dimensions import DIMENSIONS, Track
from songeval_task.splits import SPLITS
from songeval_task.store import FeatureStore
from songeval_task.training.scale import Scale, measure_scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ORIGINAL", "Data", "Row", "load_data", "read_songs"]

SONGS = "songs.csv"
ORIGINAL = "original"


@dataclass(frozen=True)
class Row:
    """One version of a song.

    Attributes:
        song: Name in the data set.
        version: ``"original"`` or a copy's name.
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
class Data:
    """Rows by split, and the features they stand for.

    Attributes:
        splits: ``"train"`` (with copies if they are used), ``"inner"`` and ``"test"``.
        store: Where the features are.
        name: Of the tensor to read.
        width: Of the features.
        track: Which dimensions the labels are of.
        provenance: Hash of the table of songs, and what made the features.
        scale: Applied to features as they are loaded; None: they are as stored.
    """

    splits: dict[str, tuple[Row, ...]]
    store: FeatureStore
    name: str
    width: int
    track: Track
    provenance: dict[str, Any]
    scale: Scale | None = None

    def load(self, row: Row) -> Tensor:
        """Features of a row, ``(frames, width)``, mapped into memory."""
        (features,) = self.store.load(row.song, row.version, (self.name,))
        return self.scale(features) if self.scale else features

    def standardised(self) -> "Data":
        """The same with features of mean 0 and deviation 1 over the frames of the training rows."""
        return replace(self, scale=measure_scale(map(self.load, self.splits["train"])))

    def labels(self, split: str) -> Tensor:
        """``(rows, dimensions)`` float32."""
        return torch.tensor([row.labels for row in self.splits[split]], dtype=torch.float32)

    def with_shuffled_labels(self, seed: int) -> "Data":
        """The same with the labels of training and inner songs dealt out again at random."""
        rows = [row for split in ("train", "inner") for row in self.splits[split]]
        labels = {row.song: row.labels for row in rows}
        order = np.random.default_rng(seed).permutation(len(labels))
        dealt = dict(zip(labels, [list(labels.values())[i] for i in order], strict=True))
        splits = {
            split: tuple(replace(row, labels=dealt.get(row.song, row.labels)) for row in rows)
            for split, rows in self.splits.items()
        }
        return replace(self, splits=splits)


def read_songs(prepared: Path) -> "pd.DataFrame":
    """The table that ``songeval prepare`` wrote.

    Raises:
        InputError: If it is not there or lacks a column.
    """
    import pandas as pd

    path = prepared / SONGS
    try:
        table = pd.read_csv(path, dtype={"name": str, "system": str}, keep_default_na=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `songeval prepare`") from error
    needed = ["name", *(dimension.name for dimension in DIMENSIONS), "split"]
    missing = [column for column in needed if column not in table]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}; run `songeval prepare` again")
    if "system" not in table:
        table["system"] = ""
    return table.assign(system=table["system"].fillna(""))


def load_data(
    prepared: str | Path,
    features: str | Path,
    *,
    track: Track,
    name: str = "fused",
    augmented: bool = True,
    protocol: str = "honest",
) -> Data:
    """Rows of a prepared data set whose features are in a store.

    Args:
        prepared: Folder of ``songeval prepare``.
        features: Folder of ``songeval features``.
        track: Which dimensions.
        name: Tensor of the store.
        augmented: Whether copies train too.
        protocol: ``"published"`` trains on the last copy of each song alone, as the released code
            came to do.

    Raises:
        InputError: If something is missing; says what, and which command makes it.
    """
    prepared, store = Path(prepared), FeatureStore(features)
    songs, index = read_songs(prepared), store.index()
    versions = _versions(index)
    splits: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for record in songs.to_dict("records"):
        found = versions.get(record["name"], {})
        if ORIGINAL not in found:
            raise InputError(
                f"{features}: no features of {record['name']}; run `songeval features`"
            )
        labels = tuple(float(record[dimension]) for dimension in track.names)
        chosen = _chosen(found, record["split"], augmented, protocol)
        splits[record["split"]] += [
            Row(record["name"], version, found[version], labels, str(record["system"]))
            for version in chosen
        ]
    _check_rows(splits, prepared)
    (sample,) = store.load(splits["train"][0].song, splits["train"][0].version, (name,))
    provenance = {
        "songs_sha256": hashlib.sha256((prepared / SONGS).read_bytes()).hexdigest(),
        "features": store.identity(),
    }
    rows = {split: tuple(found) for split, found in splits.items()}
    return Data(rows, store, name, sample.shape[1], track, provenance)


def _versions(index: "pd.DataFrame") -> dict[str, dict[str, int]]:
    """Song -> version -> frames."""
    found: dict[str, dict[str, int]] = {}
    for song, version, frames in zip(index["song"], index["version"], index["frames"], strict=True):
        found.setdefault(song, {})[version] = int(frames)
    return found


def _chosen(found: dict[str, int], split: str, augmented: bool, protocol: str) -> Sequence[str]:
    """Which versions of a song to use: copies never select or test."""
    if split != "train" or not augmented:
        return [ORIGINAL]
    copies = sorted(version for version in found if version != ORIGINAL)
    if protocol == "published":
        return copies[-1:] or [ORIGINAL]
    return [ORIGINAL, *copies]


def _check_rows(splits: dict[str, list[Row]], prepared: Path) -> None:
    for split, rows in splits.items():
        if len({row.song for row in rows}) < 2:
            raise InputError(
                f"{prepared / SONGS}: the split {split!r} has fewer than 2 songs; prepare it again"
            )
