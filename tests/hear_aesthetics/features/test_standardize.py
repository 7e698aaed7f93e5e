"""Constants that standardize embeddings: applied to what they belong to and nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hear_aesthetics import get_scene_embeddings, get_timestamp_embeddings, load_model
from hear_aesthetics.errors import CheckpointError
from hear_aesthetics.features.standardize import Standardizer, measure_constants
from hear_aesthetics.model import HearModel

RATE = 48_000
DIM = 32


def clips(seed: int, rows: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    levels = torch.logspace(-2, -0.3, rows).unsqueeze(1)
    return levels * torch.randn(rows, RATE, generator=generator)


@pytest.fixture(scope="module")
def measured(tiny_model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pair with constants measured on noise."""
    folder = shutil.copytree(tiny_model_directory, tmp_path_factory.mktemp("model") / "measured")
    (folder / "hear_aesthetics.json").write_text('{"layer": 3}')
    features = load_model(str(folder)).frame_embeddings(clips(0))
    save_file(measure_constants([features[:6], features[6:]]), folder / "constants.safetensors")
    values = {"layer": 3, "standardizer": "constants.safetensors"}
    (folder / "hear_aesthetics.json").write_text(json.dumps(values))
    return folder


def both(model: HearModel, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return get_scene_embeddings(audio, model), get_timestamp_embeddings(audio, model)[0]


@pytest.mark.parametrize("pooling", ["mean", "mean+std"])
def test_what_was_measured_has_mean_0_and_deviation_1(measured: Path, pooling: str) -> None:
    scenes, frames = both(load_model(str(measured), pooling=pooling), clips(0))
    for embeddings in (scenes, frames.flatten(0, 1)):
        torch.testing.assert_close(
            embeddings.mean(0), torch.zeros_like(embeddings[0]), atol=1e-3, rtol=0
        )
        assert (embeddings.std(0) - 1).abs().median() < 1e-3  # dimensions that hardly vary: below


def test_constants_hold_for_the_states_that_are_joined(measured: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(measured, tmp_path / "joined")
    features = load_model(str(folder), layer=[3, 1]).frame_embeddings(clips(0))
    save_file(measure_constants([features]), folder / "constants.safetensors")
    values = {"layer": [3, 1], "standardizer": "constants.safetensors"}
    (folder / "hear_aesthetics.json").write_text(json.dumps(values))
    model = load_model(str(folder), layer=(3, 1))
    assert both(model, clips(0))[1].flatten(0, 1).mean(0).abs().max() < 1e-3
    assert load_model(str(folder), layer=[1, 3]).standardizer is None


def test_constants_of_some_parts_are_those_of_the_whole(measured: Path) -> None:
    audio = clips(1, 3)
    whole_scenes, whole_frames = both(load_model(str(measured), pooling="mean+std"), audio)
    part = load_model(str(measured), pooling="mean+std", sources=("muq",), views=("track",))
    scenes, frames = both(part, audio)
    torch.testing.assert_close(frames, whole_frames[..., 3 * DIM :])
    moments = whole_scenes.view(-1, 2, 4, DIM)
    torch.testing.assert_close(scenes, moments[:, :, 3].flatten(1))


def test_another_layer_stays_as_it_is_and_says_so(
    measured: Path, tiny_model_directory: Path
) -> None:
    audio = clips(2, 2)
    other, plain = (
        load_model(str(measured), layer=2),
        load_model(str(tiny_model_directory), layer=2),
    )
    assert not other.provenance()["standardized"]
    assert load_model(str(measured)).provenance()["standardized"]
    for ours, theirs in zip(both(other, audio), both(plain, audio), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_features_are_never_standardized(measured: Path, tiny_model_directory: Path) -> None:
    audio = clips(2, 2)
    plain = load_model(str(tiny_model_directory), layer=3)
    features = load_model(str(measured)).features(audio)
    torch.testing.assert_close(features, plain.features(audio), rtol=0, atol=1e-6)


def test_dimensions_that_hardly_vary_are_not_blown_up() -> None:
    features = torch.randn(4, 50, 4 * DIM)
    features[..., 5] = 1.0
    constants = measure_constants([features])
    embeddings = Standardizer(constants).timestamps(features)
    assert embeddings.isfinite().all()
    assert embeddings[..., 5].abs().max() < 1e-3


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.zero_(),
        lambda tensor: tensor.fill_(torch.nan),
        lambda tensor: tensor.fill_(torch.inf),
        lambda tensor: tensor.bfloat16(),
        lambda tensor: tensor.long(),
    ],
)
def test_constants_that_spoil_embeddings_are_refused(
    measured: Path, tmp_path: Path, change
) -> None:
    folder = shutil.copytree(measured, tmp_path / "wrong")
    path = folder / "constants.safetensors"
    constants = load_file(path)
    save_file({**constants, "scene_std": change(constants["scene_std"])}, path)
    with pytest.raises(CheckpointError, match=r"constants\.safetensors: scene_std holds"):
        load_model(str(folder))


def test_a_file_of_other_encoders_is_named(measured: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(measured, tmp_path / "wrong")
    path = folder / "constants.safetensors"
    save_file({k: v[..., :8].clone() for k, v in load_file(path).items()}, path)
    with pytest.raises(CheckpointError, match=r"constants\.safetensors holds .*need"):
        load_model(str(folder))
    path.unlink()
    with pytest.raises(CheckpointError, match=r"constants\.safetensors"):
        load_model(str(folder))
