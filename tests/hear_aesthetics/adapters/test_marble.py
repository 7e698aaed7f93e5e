"""The MARBLE encoder under small stand-ins of what MARBLE puts behind it."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hear_aesthetics import load_model
from hear_aesthetics.adapters.marble import HearAestheticsEncoder
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import HiddenState

CLASS_PATH = "hear_aesthetics.adapters.marble.HearAestheticsEncoder"


class LayerSelector(nn.Module):
    """Hidden states of some layers, stacked: ``(B, layers, frames, dim)``."""

    def __init__(self, layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, hidden_states: Sequence[Tensor]) -> Tensor:
        return torch.stack([hidden_states[layer] for layer in self.layers], dim=1)


class TimeAvgPool(nn.Module):
    """Mean over time: ``(B, layers, 1, dim)``."""

    def forward(self, states: Tensor) -> Tensor:
        return states.mean(dim=2, keepdim=True)


def build(**init_args: str) -> HearAestheticsEncoder:
    """The encoder as MARBLE makes it of ``class_path`` and ``init_args``."""
    module, _, name = CLASS_PATH.rpartition(".")
    return getattr(importlib.import_module(module), name)(**init_args)


@pytest.fixture(scope="module")
def audio() -> Tensor:
    return 0.1 * torch.randn(2, 24_000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("source", ["muq", "musicfm"])
def test_all_states_of_the_encoder_in_order(source: str, audio: Tensor) -> None:
    """Layer numbers of a YAML must mean what they mean in the published encoders."""
    encoder = build(model="mini", source=source)
    states = encoder(audio)
    named = [HiddenState(source, layer) for layer in range(encoder.N_TRANSFORMER_LAYERS + 1)]
    model = load_model("mini", sources=(source,), views=("track",), states=named)
    expected = model.extract(audio, named).states
    assert isinstance(states, tuple)
    assert len(states) == len(named)
    for state, name in zip(states, named, strict=True):
        assert state.shape == (2, 25, encoder.NUM_FEATURES)
        torch.testing.assert_close(state, expected[name], rtol=1e-4, atol=1e-5)


def test_twelve_layers_are_thirteen_states(tiny_model_directory: Path, audio: Tensor) -> None:
    """YAMLs of MARBLE count on thirteen states of MuQ and MusicFM."""
    encoder = build(model=str(tiny_model_directory))
    assert len(encoder(audio)) == encoder.N_TRANSFORMER_LAYERS + 1 == 13


def test_a_probe_trains_behind_it(audio: Tensor) -> None:
    """MARBLE's data sets give a channel axis, and its trainer runs in mixed precision."""
    encoder = build(model="mini")
    chain = nn.Sequential(LayerSelector([0, 2]), TimeAvgPool(), nn.Flatten())
    probe = nn.Linear(2 * encoder.NUM_FEATURES, 3)
    with torch.autocast("cpu", torch.bfloat16):
        pooled = chain(encoder(audio[:, None]))
        loss = nn.functional.cross_entropy(probe(pooled).float(), torch.tensor([0, 2]))
    loss.backward()
    torch.testing.assert_close(pooled, chain(encoder(audio)), rtol=1e-5, atol=1e-6)
    assert probe.weight.grad is not None
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_its_attributes_are_those_of_marbles_encoders() -> None:
    """MARBLE and its users read rates and widths off the encoder."""
    encoder = build(model="mini", source="musicfm")
    assert isinstance(encoder, nn.Module)
    assert (encoder.NAME, encoder.TOKEN_RATE) == ("MusicFM", 25)
    assert encoder.SAMPLING_RATE == encoder.sample_rate == 24_000


def test_its_weights_go_through_a_checkpoint(audio: Tensor) -> None:
    """MARBLE tests from the checkpoint that training wrote, encoder included."""
    encoder = build(model="mini")
    before = encoder(audio)[-1]
    encoder.load_state_dict({name: tensor.clone() for name, tensor in encoder.state_dict().items()})
    torch.testing.assert_close(encoder(audio)[-1], before, rtol=0, atol=0)


def test_what_does_not_fit_is_refused(audio: Tensor) -> None:
    """A YAML's mistakes end in one line that says what fits."""
    with pytest.raises(InputError, match="source is 'mert'; it takes 'muq' or 'musicfm'"):
        build(model="mini", source="mert")
    with pytest.raises(InputError, match="precision is 'half'; it takes 'auto' or"):
        build(model="mini", precision="half")
    with pytest.raises(InputError, match=r"shape \(2, 2, 24000\).*`channels: 1`"):
        build(model="mini")(torch.stack([audio, audio], dim=1))
