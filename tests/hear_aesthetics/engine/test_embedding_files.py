"""Embedding files: what goes in comes out, whole or not at all; kinds are those of the API."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import hear_aesthetics
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.engine.embedding_files import (
    KINDS,
    embed,
    is_done,
    origin,
    read_embedding,
    read_meta,
    sample_rate_of,
    save,
    write_embedding,
)
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.model import HearModel

ARRAYS = (np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0, 40, 80], np.float32))


@dataclass(frozen=True)
class File:
    path: Path
    start: float | None = None
    end: float | None = None


@pytest.fixture(scope="module")
def model() -> HearModel:
    return hear_aesthetics.load_model("mini", precision="float32", device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "clip.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((22_050, 2)), 44_100)
    return path


def test_scene_and_timestamps_are_those_of_the_hear_functions(model: HearModel, clip: Path) -> None:
    audio = torch.from_numpy(load_audio(clip, model.sample_rate))[None]
    (scene,) = embed([File(clip)], model, "scene")
    torch.testing.assert_close(
        scene.output["embedding"], hear_aesthetics.get_scene_embeddings(audio, model)[0]
    )
    assert scene.output["timestamps_ms"].shape == (0,)
    (frames,) = embed([File(clip)], model, "timestamps")
    embedding, timestamps = hear_aesthetics.get_timestamp_embeddings(audio, model)
    torch.testing.assert_close(frames.output["embedding"], embedding[0])
    torch.testing.assert_close(frames.output["timestamps_ms"], timestamps[0])


def test_features_are_the_published_ones_at_24_khz(model: HearModel, clip: Path) -> None:
    (result,) = embed([File(clip)], model, "features")
    expected = model.features(torch.from_numpy(load_audio(clip))[None])[0]
    torch.testing.assert_close(result.output["embedding"], expected)
    assert result.output["timestamps_ms"].tolist() == [40.0 * i for i in range(len(expected))]


def test_an_unknown_kind_lists_the_kinds(model: HearModel) -> None:
    with pytest.raises(ValueError, match="'scene' or 'timestamps' or 'features'"):
        embed([], model, "frames")


def test_each_kind_has_its_rate() -> None:
    assert {kind: sample_rate_of(kind) for kind in KINDS} == {
        "scene": 48_000,
        "timestamps": 48_000,
        "features": 24_000,
    }


def test_features_of_an_earlier_length_rule_are_refused(
    model: HearModel, clip: Path, tmp_path: Path
) -> None:
    """Other lengths of the audio at 24 kHz would be mixed in silence."""
    made = {kind: origin(model, kind) for kind in KINDS}
    del made["features"]["fingerprint"]["length_rule"]
    path = tmp_path / "clip.npz"
    for kind, earlier in made.items():
        (result,) = embed([File(clip)], model, kind)
        save(path, result, earlier)
        if kind == "features":
            with pytest.raises(InputError, match="length_rule was not recorded, now librosa"):
                is_done(path, origin(model, kind), File(clip))
        else:
            assert is_done(path, origin(model, kind), File(clip))


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "song.mp3.npz"
    meta = {"path": "Müsik/\udcff.mp3", "start": None, "model": {"layer": 4}}
    write_embedding(path, *ARRAYS, meta)
    embedding, timestamps, read = read_embedding(path)
    np.testing.assert_array_equal(embedding, ARRAYS[0])
    np.testing.assert_array_equal(timestamps, ARRAYS[1])
    assert read == read_meta(path) == meta
    assert [file.name for file in path.parent.iterdir()] == ["song.mp3.npz"]


def test_numpy_alone_reads_a_file(tmp_path: Path) -> None:
    write_embedding(tmp_path / "a.npz", *ARRAYS, {"kind": "scene"})
    with np.load(tmp_path / "a.npz") as file:
        assert sorted(file) == ["embedding", "meta", "timestamps_ms"]
        assert json.loads(str(file["meta"])) == {"kind": "scene"}


def test_what_is_not_finite_is_never_written(tmp_path: Path, clip: Path) -> None:
    output = {"embedding": torch.tensor([0.0, torch.nan]), "timestamps_ms": torch.empty(0)}
    with pytest.raises(AudioError, match=r"clip\.wav: its embedding holds what is not a number"):
        save(tmp_path / "a.npz", Result(File(clip), 0.5, output), {})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    write_embedding(path, *ARRAYS, {"run": 1})

    def fail(file, **_: np.ndarray) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space"):
        write_embedding(path, *ARRAYS, {"run": 2})
    assert read_meta(path) == {"run": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=1)
    np.savez(tmp_path / "text.npz", meta="no json", embedding=1, timestamps_ms=1)
    np.save(tmp_path / "array.npy", np.zeros(3))
    write_embedding(tmp_path / "whole.npz", *ARRAYS, {})
    (tmp_path / "torn.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:100])
    (tmp_path / "empty.npz").touch()
    for name in ("other.npz", "text.npz", "array.npy", "torn.npz", "empty.npz", "absent.npz"):
        with pytest.raises(InputError, match=rf"{name}: not an embedding file.*make it again"):
            read_embedding(tmp_path / name)
