import hashlib
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
import torch
from safetensors.torch import load_file, save_file

from hear_aesthetics.backbones import MuQ, MusicFM
from hear_aesthetics.checkpoints import CHECKPOINTS, RemoteFile
from hear_aesthetics.errors import CheckpointError

ENCODERS = {"muq_tiny": (MuQ, "muq"), "musicfm_tiny": (MusicFM, "musicfm")}


@pytest.fixture(scope="module", params=ENCODERS)
def case(request, tiny_model_directory):
    encoder, folder = ENCODERS[request.param]
    return request.param, encoder.from_pretrained(tiny_model_directory / folder)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["short", "medium", "long"])
def test_every_stored_state_is_reproduced(case, name, golden, golden_audio):
    folder, backbone = case
    stored = load_file(golden / folder / f"{name}.safetensors")
    layers = [int(key.removeprefix("hidden_")) for key in stored if key.startswith("hidden_")]
    assert layers
    states = backbone.hidden_states(golden_audio[name], layers)
    for layer in layers:
        expected = stored[f"hidden_{layer:02d}"]
        torch.testing.assert_close(states[layer], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["short", "medium"])
def test_log_mel_and_subsampling_are_reproduced(case, name, golden, golden_audio):
    folder, backbone = case
    stored = load_file(golden / folder / f"{name}.safetensors")
    mel = backbone.normalize(backbone.log_mel(golden_audio[name]))
    torch.testing.assert_close(mel, stored["log_mel"], rtol=1e-4, atol=1e-3)
    frames = backbone.encoder.subsampling(mel)
    torch.testing.assert_close(frames, stored["conv_out"], rtol=1e-4, atol=1e-4)


@pytest.mark.parity
def test_a_batch_is_reproduced(case, golden, golden_audio):
    folder, backbone = case
    stored = load_file(golden / folder / "batch2.safetensors")
    batch = torch.cat([golden_audio["medium"], golden_audio["medium"].flip(-1)])
    states = backbone.hidden_states(batch, (6, 10, 12))
    for key, expected in stored.items():
        layer = int(key.removeprefix("hidden_"))
        torch.testing.assert_close(states[layer], expected, rtol=1e-4, atol=1e-4)


def test_layers_left_unloaded_are_named_when_asked_for(tiny_model_directory, golden_audio):
    muq = MuQ.from_pretrained(tiny_model_directory / "muq", layers=3)
    assert set(muq.hidden_states(golden_audio["short"], (3,))) == {3}
    with pytest.raises(ValueError, match=r"\[10\] asked for; there are 0 to 3"):
        muq.hidden_states(golden_audio["short"], (10,))


def test_states_are_usable_in_training(tiny_model_directory, golden_audio):
    muq = MuQ.from_pretrained(tiny_model_directory / "muq", layers=2)
    state = muq.hidden_states(golden_audio["short"], (2,))[2]
    linear = torch.nn.Linear(state.shape[-1], 1)
    linear(state).sum().backward()
    assert linear.weight.grad is not None
    assert all(parameter.grad is None for parameter in muq.parameters())


@pytest.fixture
def muq_folder(tiny_model_directory, tmp_path):
    return shutil.copytree(tiny_model_directory / "muq", tmp_path / "muq")


def test_missing_and_unknown_tensors_are_named(muq_folder):
    state = load_file(muq_folder / "model.safetensors")
    del state["model.conformer.layers.3.ffn1.output_dense.bias"]
    state["model.conformer.layers.0.surprise"] = torch.zeros(1)
    save_file(state, muq_folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="surprise"):
        MuQ.from_pretrained(muq_folder)


def test_a_missing_tensor_alone_is_named(muq_folder):
    state = load_file(muq_folder / "model.safetensors")
    del state["model.conformer.layers.3.ffn1.output_dense.bias"]
    save_file(state, muq_folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"layers\.3\.ffn1"):
        MuQ.from_pretrained(muq_folder)


def test_wrong_shapes_are_named(muq_folder):
    state = load_file(muq_folder / "model.safetensors")
    state["model.conformer.layer_norm.weight"] = torch.ones(7)
    save_file(state, muq_folder / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"norm\.weight \(7,\) float32 instead of \(32,\) float32"
    ):
        MuQ.from_pretrained(muq_folder)


def test_older_weight_norm_names_are_ignored_too(muq_folder, golden_audio):
    state = load_file(muq_folder / "model.safetensors")
    prefix = "model.conformer.pos_conv_embed.conv."
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        state[prefix + old] = state.pop(f"{prefix}parametrizations.weight.{new}")
    save_file(state, muq_folder / "model.safetensors")
    assert MuQ.from_pretrained(muq_folder).dim


def test_pytorch_model_bin_is_read(muq_folder, golden_audio):
    expected = MuQ.from_pretrained(muq_folder).hidden_states(golden_audio["short"], (2,))[2]
    torch.save(load_file(muq_folder / "model.safetensors"), muq_folder / "pytorch_model.bin")
    (muq_folder / "model.safetensors").unlink()
    state = MuQ.from_pretrained(muq_folder).hidden_states(golden_audio["short"], (2,))[2]
    torch.testing.assert_close(state, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"not weights at all"])
def test_unreadable_weights_name_the_file(muq_folder, content):
    (muq_folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not readable"):
        MuQ.from_pretrained(muq_folder)


def test_pickles_run_nothing(tiny_model_directory, tmp_path):
    folder = shutil.copytree(tiny_model_directory / "musicfm", tmp_path / "musicfm")
    torch.save({"state_dict": {"model.x": print}}, folder / "pretrained_msd.pt")
    with pytest.raises(CheckpointError, match=r"pretrained_msd\.pt: not readable"):
        MusicFM.from_pretrained(folder)


def test_another_front_end_is_refused(muq_folder):
    config = json.loads((muq_folder / "config.json").read_text())
    (muq_folder / "config.json").write_text(json.dumps(config | {"hop_length": 480}))
    with pytest.raises(CheckpointError, match="hop_length is 480"):
        MuQ.from_pretrained(muq_folder)


def test_musicfm_takes_the_statistics_of_its_weights(tiny_model_directory, tmp_path):
    folder = shutil.copytree(tiny_model_directory / "musicfm", tmp_path / "musicfm")
    stats = {"melspec_2048_mean": 1.5, "melspec_2048_std": 2.5}
    (folder / "fma_stats.json").write_text(json.dumps(stats))
    assert MusicFM.from_pretrained(folder).statistics.mean != 1.5
    (folder / "pretrained_msd.pt").rename(folder / "pretrained_fma.pt")
    assert MusicFM.from_pretrained(folder).statistics.mean == 1.5


def test_missing_statistics_are_named(tiny_model_directory, tmp_path):
    folder = shutil.copytree(tiny_model_directory / "musicfm", tmp_path / "musicfm")
    (folder / "msd_stats.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"none of msd_stats\.json is there, but config\.json"
    ):
        MusicFM.from_pretrained(folder)


@pytest.fixture
def musicfm_folder(tiny_model_directory, tmp_path):
    return shutil.copytree(tiny_model_directory / "musicfm", tmp_path / "musicfm")


def saved(content: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def test_each_of_two_encoders_in_one_snapshot_is_the_one_asked_for(
    musicfm_folder, fake_hub, tiny, monkeypatch
):
    state = torch.load(musicfm_folder / "pretrained_msd.pt", weights_only=True)
    state["state_dict"]["model.conv.linear.bias"] += 1
    published = {
        "pretrained_msd.pt": (musicfm_folder / "pretrained_msd.pt").read_bytes(),
        "msd_stats.json": (musicfm_folder / "msd_stats.json").read_bytes(),
        "pretrained_fma.pt": saved(state),
        "fma_stats.json": b'{"melspec_2048_mean": 1.5, "melspec_2048_std": 2.5}',
    }
    fake_hub.files = published
    for kind in ("msd", "fma"):
        files = tuple(
            RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())
            for name, content in published.items()
            if kind in name
        )
        record = replace(tiny, name=f"musicfm-{kind}", folder="musicfm", files=files)
        monkeypatch.setitem(CHECKPOINTS, record.name, record)
    for _ in range(2):  # from the hub, then from its cache
        msd, fma = (MusicFM.from_pretrained(f"musicfm-{kind}", layers=1) for kind in ("msd", "fma"))
        assert fma.statistics.mean == 1.5
        assert fma.statistics != msd.statistics
        bias = [encoder.encoder.state_dict()["subsampling.linear.bias"] for encoder in (msd, fma)]
        torch.testing.assert_close(bias[1], bias[0] + 1)


def test_a_pickle_of_the_legacy_format_is_read(musicfm_folder):
    path = musicfm_folder / "pretrained_msd.pt"
    expected = MusicFM.from_pretrained(musicfm_folder).state_dict()
    legacy = saved(torch.load(path, weights_only=True), _use_new_zipfile_serialization=False)
    path.unlink()  # the encoder that was read may be mapped to it
    path.write_bytes(legacy)
    found = MusicFM.from_pretrained(musicfm_folder).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list; names and tensors are expected"),
        (None, "holds a NoneType"),
        (3.5, "holds a float"),
        ({"model": {"a": torch.zeros(1)}}, "a dictionary such as {'model': 'dict'}"),
        ({"state_dict": [1]}, "holds a list"),
        ({3: torch.zeros(1)}, "a dictionary such as {'3': 'Tensor'}"),
        (PurePosixPath("a"), "it needs the class pathlib.PurePosixPath, but only tensors"),
    ],
)
def test_what_is_in_a_file_without_weights_is_said(musicfm_folder, content, message):
    (musicfm_folder / "pretrained_msd.pt").write_bytes(saved(content))
    with pytest.raises(
        CheckpointError, match=rf"pretrained_msd\.pt: .*{re.escape(message)}"
    ) as caught:
        MusicFM.from_pretrained(musicfm_folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.long(),
        lambda tensor: tensor.bool(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.sum(),
        lambda tensor: tensor[:0],
        lambda tensor: tensor[None],
        lambda tensor: tensor.fill_(torch.nan),
        lambda tensor: tensor.fill_(-torch.inf),
    ],
)
@pytest.mark.parametrize(
    "name",
    ["conv.linear.weight", "conv.conv.0.conv1.weight", "conformer.layer_norm.bias"],
)
def test_tensors_of_other_kinds_are_refused_by_file(musicfm_folder, name, change):
    path = musicfm_folder / "pretrained_msd.pt"
    state = torch.load(path, weights_only=True)
    name = next(key for key in state["state_dict"] if key.endswith(name))
    state["state_dict"][name] = change(state["state_dict"][name])
    path.write_bytes(saved(state))
    with pytest.raises(CheckpointError, match=r"pretrained_msd\.pt: ") as caught:
        MusicFM.from_pretrained(musicfm_folder)
    assert str(caught.value).isprintable()


def test_sharded_weights_are_named(muq_folder):
    (muq_folder / "model.safetensors").unlink()
    (muq_folder / "model-00001-of-00002.safetensors").touch()
    (muq_folder / "model.safetensors.index.json").touch()
    with pytest.raises(CheckpointError, match=r"but config\.json, model-00001-of.* as one"):
        MuQ.from_pretrained(muq_folder)


@pytest.mark.parametrize(
    "statistics",
    [
        "null",
        "[]",
        '{"melspec_2048_mean": null, "melspec_2048_std": 1}',
        '{"melspec_2048_mean": 0, "melspec_2048_std": 0}',
        '{"melspec_2048_mean": NaN, "melspec_2048_std": 1}',
        '{"melspec_2048_mean": [0], "melspec_2048_std": 1}',
        '{"melspec_2048_mean": 1' + "0" * 400 + ', "melspec_2048_std": 1}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_statistics_of_other_kinds_are_refused_by_file(muq_folder, musicfm_folder, statistics):
    content = statistics.encode("utf-8", "surrogateescape")
    (musicfm_folder / "msd_stats.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"msd_stats\.json: "):
        MusicFM.from_pretrained(musicfm_folder)
    for whole in (content, b'{"stat": %s}' % content):
        (muq_folder / "config.json").write_bytes(whole)
        with pytest.raises(CheckpointError, match=r"config\.json: "):
            MuQ.from_pretrained(muq_folder)
