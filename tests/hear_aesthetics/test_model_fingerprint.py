"""What decides a model's numbers, per kind of result: all of it, and nothing else."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hear_aesthetics.model import HearModel, load_model

KINDS = ("states", "features", "timestamps", "scene")
STATS = {"melspec_2048_mean": 1.5, "melspec_2048_std": 2.5}


@pytest.fixture
def folder(tiny_model_directory, tmp_path):
    return shutil.copytree(tiny_model_directory, tmp_path / "own")


def deciding(before: HearModel, after: HearModel) -> list[str]:
    """The kinds of results that differ between two models."""
    return [kind for kind in KINDS if before.fingerprint(kind) != after.fingerprint(kind)]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, ()),
        ({"pooling": "mean+std"}, KINDS[3:]),
        ({"layer": 3}, KINDS[1:]),
        ({"layer": [10]}, ()),
        ({"layer": [1, 3]}, KINDS[1:]),
        ({"views": ("track",)}, KINDS[1:]),
        ({"segment_seconds": 20}, KINDS[1:]),
        ({"sources": ("muq",)}, KINDS),
        ({"track_limit_seconds": 60}, KINDS),
        ({"precision": "bfloat16"}, KINDS),
    ],
)
def test_an_option_decides_what_it_changes(folder, options, kinds):
    before = load_model(str(folder), precision="float32")
    after = load_model(str(folder), **{"precision": "float32", **options})
    assert deciding(before, after) == list(kinds)


def test_a_delay_decides_embeddings_alone_and_a_status_nothing(folder):
    before = load_model(str(folder))
    config = {"status": "untrained", "licence": "mine"}
    (folder / "hear_aesthetics.json").write_text(json.dumps(config))
    assert deciding(before, load_model(str(folder))) == []
    (folder / "hear_aesthetics.json").write_text(json.dumps({**config, "delay_ms": 20}))
    assert deciding(before, load_model(str(folder))) == list(KINDS[2:])


def test_values_of_standardization_constants_decide_embeddings(tmp_path):
    own = shutil.copytree(load_model("mini").files.config.parent, tmp_path / "own")
    before = load_model(str(own))
    constants = load_file(own / "centring.safetensors")
    constants["scene_mean"] += 1
    save_file(constants, own / "centring.safetensors")
    assert deciding(before, load_model(str(own))) == list(KINDS[2:])


@pytest.mark.parametrize("file", ["muq/config.json", "musicfm/msd_stats.json"])
def test_mel_statistics_decide(folder, file):
    before = load_model(str(folder))
    values = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**values, "stat": STATS, **STATS}))
    assert deciding(before, load_model(str(folder))) == list(KINDS)


def test_the_file_that_is_read_decides_and_no_other(folder):
    before = load_model(str(folder))
    save_file({"x": torch.zeros(1)}, folder / "musicfm" / "model.safetensors")
    assert deciding(before, load_model(str(folder))) == []
    path = folder / "musicfm" / "pretrained_msd.pt"
    values = torch.load(path, weights_only=True)
    values["state_dict"]["model.conformer.layer_norm.bias"] += 1
    path.unlink()  # the model that was read may be mapped to it
    torch.save(values, path)
    assert deciding(before, load_model(str(folder))) == list(KINDS)


def test_where_a_model_lies_decides_nothing(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "elsewhere")
    assert deciding(load_model(str(folder)), load_model(str(other))) == []


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind is .*'states' or"):
        load_model().fingerprint("scenes")
