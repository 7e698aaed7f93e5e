"""Audiobox head: the published formula, its configuration to the byte, and refusals in one line."""

import hashlib
import json

import pytest
import torch
import torch.nn.functional as F

from heads.audiobox import AudioboxConfig, AudioboxHead

PUBLISHED = {
    "normalize_embed": True,
    "nth_layer": 13,
    "output_dim": 1,
    "precision": "32",
    "proj_act_fn": "gelu",
    "proj_dropout": 0.0,
    "proj_ln": True,
    "proj_num_layer": 5,
    "use_weighted_layer_sum": True,
    "target_transform": {
        "CE": {"mean": 5.06865, "std": 1.93029},
        "CU": {"mean": 5.73633, "std": 1.75669},
        "PC": {"mean": 3.18591, "std": 1.86637},
        "PQ": {"mean": 6.57505, "std": 1.51466},
    },
}
SMALL = AudioboxConfig(states=3, layers=2, dim=8)


@pytest.fixture
def head() -> AudioboxHead:
    """A small head whose layers are weighted unequally."""
    torch.manual_seed(0)
    head = AudioboxHead(SMALL).eval()
    with torch.no_grad():
        for weights in head.layer_weights.values():
            weights.copy_(torch.randn(3))
    return head


@torch.no_grad()
def test_scores_are_those_of_the_published_order_of_operations(head) -> None:
    """States are summed with their weights first there, and averaged over frames afterwards."""
    states = torch.randn(2, 3, 7, 8)
    scores = head(states.mean(dim=2))
    for column, axis in enumerate(head.dimensions):
        shares = F.softmax(head.layer_weights[axis], dim=-1)
        embedding = (states * shares[None, :, None, None]).sum(dim=1).mean(dim=1)
        embedding = embedding / embedding.norm(dim=-1, keepdim=True)
        first, norm, _, last = head.proj_layer[axis]
        expected = last(F.gelu(norm(first(embedding))))[:, 0]
        transform = PUBLISHED["target_transform"][axis]
        expected = expected * transform["std"] + transform["mean"]
        torch.testing.assert_close(scores[:, column], expected, rtol=0, atol=1e-5)


def test_the_published_configuration_is_read_to_the_byte(tmp_path) -> None:
    text = json.dumps(PUBLISHED, sort_keys=True, indent=2)
    known = "0b8eabc5ced92cefed116a3aca8f1e59d2a33dc4d376b9e86dfb9c072e1d280d"
    assert hashlib.sha256(text.encode()).hexdigest() == known
    (tmp_path / "config.json").write_text(text)
    assert AudioboxConfig.read(tmp_path / "config.json", 768) == AudioboxConfig()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proj_ln": False}, "proj_ln is False, this head is built for True"),
        ({"output_dim": 2}, "output_dim is 2, this head is built for 1"),
        ({"target_transform": {}}, "not the configuration of Audiobox-Aesthetics .KeyError: 'CE'"),
        ({"nth_layer": "many"}, "not the configuration of Audiobox-Aesthetics .ValueError"),
    ],
)
def test_other_configurations_are_refused(tmp_path, change, message) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(PUBLISHED | change))
    with pytest.raises(ValueError, match=message) as error:
        AudioboxConfig.read(path, 768)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_configuration_is_refused(tmp_path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(ValueError, match="no such file; Audiobox's weights come with it"):
        AudioboxConfig.read(path, 768)
    for content in ("", "[]", "{}", "no json"):
        path.write_text(content)
        with pytest.raises(ValueError, match="not the configuration of Audiobox-Aesthetics"):
            AudioboxConfig.read(path, 768)


def test_published_tensors_are_loaded_strictly(head) -> None:
    tensors = head.state_dict()
    again = AudioboxHead.from_published(
        {**tensors, "wavlm_model.x": torch.ones(1)}, SMALL, where=""
    )
    means = torch.randn(2, 3, 8)
    torch.testing.assert_close(again(means), head(means), rtol=0, atol=0)
    del tensors["proj_layer.PC.0.bias"]
    tensors["proj_layer.XX.0.bias"] = torch.ones(8)
    with pytest.raises(ValueError, match=r"a\.st: .*missing: proj_layer\.PC\.0.*unexpected: proj"):
        AudioboxHead.from_published(tensors, SMALL, where="a.st")
