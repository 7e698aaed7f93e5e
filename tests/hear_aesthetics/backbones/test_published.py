import json
import math

import pytest
import torch
from safetensors.torch import save_file

from hear_aesthetics.backbones import Backbone, MuQ, MusicFM
from hear_aesthetics.backbones.conformer import ConformerConfig, ConformerEncoder
from hear_aesthetics.backbones.published import config_from_tensors, encoder_state, published_state
from hear_aesthetics.errors import CheckpointError

LISTINGS = {
    "muq_large_msd_iter.tensors.json": 333_401_472,
    "musicfm_msd.tensors.json": 328_932_480,
}
BUFFERS = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "inv_freq",
    "stale_counter",
    "mel_stft.spectrogram.window",
    "mel_scale.fb",
    "random_projection",
    "codebook",
)


def without_prefix(tensors):
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def assert_every_tensor_finds_its_place(shapes):
    meta = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    config = config_from_tensors(without_prefix(meta))
    native = encoder_state(without_prefix(meta), config)
    with torch.device("meta"):
        expected = ConformerEncoder(config).state_dict()
    assert {name: tensor.shape for name, tensor in native.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }
    assert config == ConformerConfig()


@pytest.mark.parity
@pytest.mark.parametrize(
    "listing", ["muq_tiny/muq_state_dict.json", "musicfm_tiny/musicfm_state_dict.json"]
)
def test_the_full_size_names_and_shapes_fit(listing, golden):
    assert_every_tensor_finds_its_place(json.loads((golden / listing).read_text()))


@pytest.mark.parity
@pytest.mark.parametrize("listing", LISTINGS)
def test_the_published_files_names_shapes_and_sizes_fit(listing, shared):
    published = json.loads((shared / "published" / listing).read_text())
    shapes = {name: shape for name, (shape, _) in published.items()}
    assert_every_tensor_finds_its_place(shapes)
    parameters = {name: shape for name, shape in shapes.items() if not name.endswith(BUFFERS)}
    assert sum(math.prod(shape) for shape in parameters.values()) == LISTINGS[listing]


def test_mapping_there_and_back_changes_nothing():
    config = ConformerConfig(dim=32, depth=2, heads=2, ffn_dim=48, conv_channels=4, kernel_size=5)
    state = Backbone(config).encoder.state_dict()
    published = published_state(state, config)
    assert "conv.conv.1.conv3.weight" in published
    restored = encoder_state(published, config)
    assert restored.keys() == state.keys()
    assert all(torch.equal(restored[name], tensor) for name, tensor in state.items())


def test_something_else_is_not_an_encoder():
    with pytest.raises(CheckpointError, match="not an encoder checkpoint"):
        config_from_tensors({"weight": torch.zeros(1)})


def synthetic_checkpoint(listing):
    """Seeded tensors of the published names, shapes and dtypes, scaled to keep states finite."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (shape, dtype) in json.loads(listing.read_text()).items():
        if dtype == "int64":
            state[name] = torch.zeros(shape, dtype=torch.int64)
        elif name.endswith(("running_var", "norm.weight")):
            state[name] = torch.ones(shape)
        else:
            state[name] = torch.randn(shape, generator=generator) * 0.02
    return state


@pytest.mark.slow
def test_a_full_size_muq_in_the_published_layout_loads_and_runs(shared, tmp_path):
    state = synthetic_checkpoint(shared / "published/muq_large_msd_iter.tensors.json")
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((shared / "published/muq_config.json").read_text())
    states = MuQ.from_pretrained(tmp_path).hidden_states(torch.rand(1, 24_000) - 0.5, (12,))
    assert states[12].shape == (1, 25, 1024)
    assert states[12].isfinite().all()


@pytest.mark.slow
def test_a_full_size_musicfm_in_the_published_layout_loads_and_runs(shared, golden, tmp_path):
    state = synthetic_checkpoint(shared / "published/musicfm_msd.tensors.json")
    buffers = "model.preprocessor_melspec_2048.mel_stft.mel_scale.fb"
    tiny = torch.load(golden / "musicfm_tiny/musicfm/pretrained_msd.pt", weights_only=True)
    state[buffers] = tiny["state_dict"][buffers]
    torch.save({"state_dict": state}, tmp_path / "pretrained_msd.pt")
    stats = (golden / "musicfm_tiny/musicfm/msd_stats.json").read_text()
    (tmp_path / "msd_stats.json").write_text(stats)
    musicfm = MusicFM.from_pretrained(tmp_path, layers=10)
    assert musicfm.statistics.std == json.loads(stats)["melspec_2048_std"]
    states = musicfm.hidden_states(torch.rand(1, 24_000) - 0.5, (10,))
    assert states[10].shape == (1, 25, 1024)
    assert states[10].isfinite().all()


def test_another_filter_bank_is_refused(golden, tmp_path):
    tiny = torch.load(golden / "musicfm_tiny/musicfm/pretrained_msd.pt", weights_only=True)
    tiny["state_dict"]["model.preprocessor_melspec_2048.mel_stft.mel_scale.fb"].mul_(2)
    torch.save(tiny, tmp_path / "pretrained_msd.pt")
    stats = (golden / "musicfm_tiny/musicfm/msd_stats.json").read_text()
    (tmp_path / "msd_stats.json").write_text(stats)
    with pytest.raises(CheckpointError, match="filter bank"):
        MusicFM.from_pretrained(tmp_path)
