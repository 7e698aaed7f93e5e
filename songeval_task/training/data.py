"""What a head is trained on: rated songs, their splits, and where their features are."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import digest
from songeval_task.data.prepared import read_prepared
from songeval_task.data.splits import SPLITS
from songeval_task.dimensions import Track
from songeval_task.features.store import FeatureStore
from songeval_task.training.scale import Scale, measure_scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ORIGINAL", "Data", "Row", "load_data"]

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

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the numbers of a run: songs, features, and the rows of each split."""
        rows = {
            split: {"count": len(found), "sha256": digest({"rows": list(map(astuple, found))})}
            for split, found in self.splits.items()
        }
        return {**self.provenance, "features": self.store.fingerprint(), "rows": rows}

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
    data, index = read_prepared(prepared, need_audio=False), store.index()
    versions = _versions(index)
    splits: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for song in data.songs:
        found = versions.get(song.name, {})
        if ORIGINAL not in found:
            raise InputError(f"{features}: no features of {song.name}; run `songeval features`")
        labels = song.labels_of(track)
        splits[song.split] += [
            Row(song.name, version, found[version], labels, song.system)
            for version in _chosen(found, song.split, augmented, protocol)
        ]
    _check_rows(splits, prepared)
    (sample,) = store.load(splits["train"][0].song, splits["train"][0].version, (name,))
    used = {(row.song, row.version) for found in splits.values() for row in found}
    columns = ("song", "version", "sha256", "frames", "seed", "augmentation")
    made_of = [row for row in zip(*(index[c] for c in columns), strict=True) if row[:2] in used]
    provenance = {
        "songs_sha256": data.about["table_sha256"],
        "rows_sha256": digest({"rows": sorted(map(str, made_of))}),
        "features": store.fingerprint(),
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
    copies = sorted((version for version in found if version != ORIGINAL), key=_number)
    if protocol == "published":
        return copies[-1:] or [ORIGINAL]
    return [ORIGINAL, *copies]


def _number(version: str) -> tuple[int, str]:
    """Return the key that puts ``copy2`` before ``copy10``."""
    return int("".join(filter(str.isdigit, version)) or 0), version


def _check_rows(splits: dict[str, list[Row]], prepared: Path) -> None:
    for split, rows in splits.items():
        if len({row.song for row in rows}) < 2:
            raise InputError(
                f"{prepared}: the split {split!r} has fewer than 2 songs; prepare it again"
            )
