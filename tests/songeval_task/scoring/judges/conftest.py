"""Audiobox-Aesthetics in the published layout: small with seeded weights, and its full listing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from heads.audiobox import AXES

CONFIG = {
    "normalize_embed": True,
    "output_dim": 1,
    "precision": "32",
    "proj_act_fn": "gelu",
    "proj_dropout": 0.0,
    "proj_ln": True,
    "use_weighted_layer_sum": True,
    "target_transform": {
        "CE": {"mean": 5.06865, "std": 1.93029},
        "CU": {"mean": 5.73633, "std": 1.75669},
        "PC": {"mean": 3.18591, "std": 1.86637},
        "PQ": {"mean": 6.57505, "std": 1.51466},
    },
}


def _published_shapes(
    *,
    dim: int = 768,
    ffn: int = 3072,
    conv: int = 512,
    layers: int = 12,
    heads: int = 12,
    kernel: int = 128,
    groups: int = 16,
    buckets: int = 320,
    depth: int = 5,
) -> dict[str, tuple[int, ...]]:
    """The listing of the published file: name -> shape; the defaults are its sizes."""
    shapes: dict[str, tuple[int, ...]] = {"mask_emb": (dim,)}

    def pair(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[:1]

    pair("layer_norm", conv)
    pair("post_extract_proj", dim, conv)
    for index, width in enumerate((10, 3, 3, 3, 3, 2, 2)):
        shape = (conv, conv if index else 1, width)
        shapes[f"feature_extractor.conv_layers.{index}.0.weight"] = shape
    pair("feature_extractor.conv_layers.0.2", conv)
    shapes["encoder.pos_conv.0.weight_g"] = (1, 1, kernel)
    shapes["encoder.pos_conv.0.weight_v"] = (dim, dim // groups, kernel)
    shapes["encoder.pos_conv.0.bias"] = (dim,)
    pair("encoder.layer_norm", dim)
    for index in range(layers):
        layer = f"encoder.layers.{index}"
        for name in ("q", "k", "v", "out"):
            pair(f"{layer}.self_attn.{name}_proj", dim, dim)
        shapes[f"{layer}.self_attn.grep_a"] = (1, heads, 1, 1)
        pair(f"{layer}.self_attn.grep_linear", 8, dim // heads)
        pair(f"{layer}.self_attn_layer_norm", dim)
        pair(f"{layer}.fc1", ffn, dim)
        pair(f"{layer}.fc2", dim, ffn)
        pair(f"{layer}.final_layer_norm", dim)
    shapes["encoder.layers.0.self_attn.relative_attention_bias.weight"] = (buckets, heads)
    shapes = {f"wavlm_model.{name}": shape for name, shape in shapes.items()}
    for axis in AXES:
        shapes[f"layer_weights.{axis}"] = (layers + 1,)
        for index in range(0, 3 * (depth - 1), 3):
            pair(f"proj_layer.{axis}.{index}", dim, dim)
            pair(f"proj_layer.{axis}.{index + 1}", dim)
        pair(f"proj_layer.{axis}.{3 * (depth - 1)}", 1, dim)
    return shapes


SMALL = {"dim": 16, "ffn": 32, "conv": 8, "layers": 2, "heads": 2, "kernel": 8, "groups": 2}
SMALL |= {"depth": 3}


def _seeded_tensors(**sizes: int) -> dict[str, torch.Tensor]:
    """Weights under which states, windows and axes differ."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in _published_shapes(**sizes).items():
        fan_in = max(1, int(torch.Size(shape[1:]).numel()))
        values = torch.randn(shape, generator=generator) / fan_in**0.5
        is_norm = name.endswith(("norm.weight", ".0.2.weight")) or "weight_g" in name
        tensors[name] = values * 0.2 + 1 if is_norm else values
    return tensors


@pytest.fixture(scope="session")
def published_shapes() -> dict[str, tuple[int, ...]]:
    """The listing of the published file."""
    return _published_shapes()


@pytest.fixture
def small_tensors() -> dict[str, torch.Tensor]:
    """The tensors of a small one."""
    return _seeded_tensors(**SMALL)


@pytest.fixture(scope="session")
def write_audiobox() -> Callable[..., Path]:
    """Writes a folder in the published layout; the weights' path."""

    def write(folder: Path, **sizes: int) -> Path:
        sizes = {**SMALL, **sizes}
        folder.mkdir(parents=True, exist_ok=True)
        known = {"nth_layer": sizes["layers"] + 1, "proj_num_layer": sizes["depth"]}
        (folder / "config.json").write_text(json.dumps({**CONFIG, **known}))
        save_file(_seeded_tensors(**sizes), folder / "model.safetensors")
        return folder / "model.safetensors"

    return write


@pytest.fixture(scope="session")
def audiobox_file(write_audiobox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Audiobox-Aesthetics; not to be written to."""
    return write_audiobox(tmp_path_factory.mktemp("judges") / "small-audiobox")
