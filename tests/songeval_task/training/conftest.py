"""A small rated set with features that say what its songs are worth, written by the tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from songeval_task.data.prepared import PreparedSong, write_prepared
from songeval_task.dimensions import DIMENSIONS
from songeval_task.features.store import Entry, FeatureStore
from songeval_task.training.config import SongEvalConfig, TrainableHead, build_head
from songeval_task.training.data import TrainingData, load_data

WIDTH, STATE_WIDTH = 16, 8
AUGMENTED = ("aug1", "aug2")
HEAD = "projection_dim=16,dim=16,ffn_dim=16,layers=1,pooling_bottleneck=8,dropout=0.1"


class Folders(NamedTuple):
    """A prepared data set and its feature store."""

    prepared: Path
    features: Path


def write_set(root: Path, songs: int = 40, valid: int = 8, test: int = 12) -> Folders:
    """Write songs whose frames carry their ratings, with noise."""
    rng = np.random.default_rng(0)
    folders = Folders(root / "prepared", root / "features")
    folders.prepared.mkdir(parents=True)
    store = FeatureStore.create(folders.features, {"model": "tiny", "status": "made for a test"})
    directions = rng.normal(size=(len(DIMENSIONS), WIDTH))
    labels = rng.uniform(1.2, 4.8, (songs, len(DIMENSIONS)))
    labels = 0.5 * labels + 0.5 * labels.mean(axis=1, keepdims=True)
    rows, entries = [], []
    for number in range(songs):
        split = "test" if number < test else "valid" if number < test + valid else "train"
        name = f"mp3/{number}.mp3"
        rated = tuple(float(value) for value in labels[number])
        system = f"S{number % 4:03d}"
        rows.append(PreparedSong(name, rated, 4, system, split, "0" * 64, 1.0))
        for version in ("original", *(AUGMENTED if split == "train" else ())):
            frames = int(rng.integers(12, 40))
            fused = rng.normal(size=(frames, WIDTH)) + (labels[number] - 3) @ directions
            entries.append(Entry(name, version, "0" * 64, frames, "tiny"))
            tensors = {"fused": torch.tensor(fused), "muq_02": torch.tensor(fused[:, :STATE_WIDTH])}
            store.write(entries[-1], {key: value.half() for key, value in tensors.items()})
    store.write_index(entries)
    write_prepared(folders.prepared, root, rows, [], {})
    return folders


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return write_set(tmp_path_factory.mktemp("songeval"))


@pytest.fixture(scope="session")
def write_rated_set() -> Callable[..., Folders]:
    """:func:`write_set`, for sets of other sizes."""
    return write_set


@pytest.fixture
def config() -> SongEvalConfig:
    """Small, fast, and with everything on."""
    return SongEvalConfig(
        head_size=HEAD,
        epochs=4,
        batch_size=4,
        accumulation=2,
        learning_rate=3e-3,
        precision="float32",
    )


@pytest.fixture
def data(folders: Folders) -> TrainingData:
    return load_data(*folders, SongEvalConfig())


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """Accelerate keeps the precision of the process; each test chooses its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def tiny_head(config: SongEvalConfig, data: TrainingData) -> TrainableHead:
    """A small aesthetic head for the features of the set."""
    return build_head(config, data.width)
