"""``Embedder`` gives the embeddings of files, whatever column of a batch holds the audio."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.distributed import Embedder
from hear_aesthetics.engine.embedding_files import embed
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.errors import InputError


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder("mini", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"{index}.wav" for index in range(3)]
    for index, path in enumerate(paths):
        noise = np.random.default_rng(index).normal(0, 0.1, 22_050 + 11_025 * (index % 2))
        soundfile.write(path, noise.astype("f4"), 22_050, subtype="FLOAT")
    return paths


@pytest.fixture(scope="module")
def expected(embedder: Embedder, clips: list[Path]) -> np.ndarray:
    items = [Input(path, path.name) for path in clips]
    return np.stack([r.output["embedding"].numpy() for r in embed(items, embedder.model)])


def _structs(clips: list[Path]) -> dict[str, list]:
    return {"audio": [{"bytes": path.read_bytes(), "path": path.name} for path in clips]}


def _decoded(clips: list[Path]) -> dict[str, list]:
    read = [soundfile.read(path, dtype="float32") for path in clips]
    return {"audio": [{"array": samples, "sampling_rate": rate} for samples, rate in read]}


def _arrays(clips: list[Path]) -> dict[str, list]:
    read = [soundfile.read(path, dtype="float32") for path in clips]
    return {"array": [a for a, _ in read], "sampling_rate": [rate for _, rate in read]}


def _paths(clips: list[Path]) -> dict[str, list]:
    return {"path": [str(path) for path in clips]}


@pytest.mark.parametrize("columns", [_structs, _decoded, _arrays, _paths])
def test_every_kind_of_column_gives_the_embeddings_of_the_files(
    columns: Callable[[list[Path]], dict[str, list]],
    embedder: Embedder,
    clips: list[Path],
    expected: np.ndarray,
) -> None:
    made = embedder({**columns(clips), "label": np.arange(3)})
    np.testing.assert_allclose(np.stack(list(made["embedding"])), expected, atol=1e-6)
    assert made["label"].tolist() == [0, 1, 2]
    assert made["status"].tolist() == ["ok"] * 3
    assert made["duration"] == pytest.approx([1.0, 1.5, 1.0])
    assert not {"audio", "array"} & made.keys()


def test_a_bad_row_says_why_and_the_others_are_embedded(
    embedder: Embedder, clips: list[Path], expected: np.ndarray
) -> None:
    rows = [{"bytes": b"no audio", "path": "bad.wav"}, {"path": None, "bytes": None}]
    made = embedder({"audio": [*rows, {"path": str(clips[1])}]})  # alone of its length, as before
    assert made["status"].tolist() == ["error", "error", "ok"]
    assert made["error"][0].startswith("bad.wav: ")
    assert "no audio; remove the row" in made["error"][1]
    assert made["embedding"][0] is None
    np.testing.assert_allclose(made["embedding"][2], expected[1], atol=1e-6)


def test_a_batch_without_audio_is_refused(embedder: Embedder) -> None:
    with pytest.raises(InputError, match="columns text; one of audio, bytes, array, path"):
        embedder({"text": ["a"]})
