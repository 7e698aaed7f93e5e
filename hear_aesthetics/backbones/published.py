"""Mapping between the published encoders' tensors and ours, the same for both encoders.

Three things differ in ours: names; time comes before frequency, so kernels are transposed and the
flattened channels reordered; and the two entry convolutions of a subsampling block are stacked.
"""

import re

import torch
from torch import Tensor

from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.errors import CheckpointError

__all__ = ["config_from_tensors", "encoder_state", "published_state", "training_tensors"]

State = dict[str, Tensor]

# Part of the published files, but not of the path from audio to features.
IGNORED = re.compile(
    r"cls_token$|linear\.(weight|bias)$|rvq\.|quantizer|preprocessor_melspec_2048\."
    r"|conformer\.pos_conv_embed\."
)
LAYER_NAMES = {
    "ffn1_layer_norm": "ffn1.norm",
    "ffn1.intermediate_dense": "ffn1.up",
    "ffn1.output_dense": "ffn1.down",
    "ffn2_layer_norm": "ffn2.norm",
    "ffn2.intermediate_dense": "ffn2.up",
    "ffn2.output_dense": "ffn2.down",
    "self_attn_layer_norm": "attention.norm",
    "self_attn.linear_q": "attention.query",
    "self_attn.linear_k": "attention.key",
    "self_attn.linear_v": "attention.value",
    "self_attn.linear_out": "attention.out",
    "conv_module.layer_norm": "conv.norm",
    "conv_module.pointwise_conv1": "conv.pointwise_in",
    "conv_module.depthwise_conv": "conv.depthwise",
    "conv_module.batch_norm": "conv.batch_norm",
    "conv_module.pointwise_conv2": "conv.pointwise_out",
    "final_layer_norm": "norm",
}
OTHER_NAMES = {
    "conv.linear": "subsampling.linear",
    "conv.conv.0.conv2": "subsampling.blocks.0.conv",
    "conv.conv.0.bn2": "subsampling.blocks.0.norm",
    "conv.conv.1.conv2": "subsampling.blocks.1.conv",
    "conv.conv.1.bn2": "subsampling.blocks.1.norm",
    "conformer.layer_norm": "norm",
}
SHARED_COUNTER = "num_batches_tracked"  # the same in both stacked batch norms
NORM = ("weight", "bias", "running_mean", "running_var", SHARED_COUNTER)
# Ours: the published modules whose output channels it stacks, in order, and their tensors.
STACKED = {
    "entry": (("conv1", "conv3"), ("weight", "bias")),
    "entry_norm": (("bn1", "bn3"), NORM),
}
# Name of a stacked tensor: the published ones in it.
STACKED_TENSORS = {
    f"subsampling.blocks.{block}.{module}.{attribute}": [
        f"conv.conv.{block}.{part}.{attribute}" for part in parts
    ]
    for block in range(2)
    for module, (parts, attributes) in STACKED.items()
    for attribute in attributes
}


def _renames(depth: int) -> dict[str, str]:
    """Return published module name -> ours, for everything that maps one to one."""
    return OTHER_NAMES | {
        f"conformer.layers.{layer}.{published}": f"layers.{layer}.{ours}"
        for layer in range(depth)
        for published, ours in LAYER_NAMES.items()
    }


def config_from_tensors(state: State) -> ConformerConfig:
    """Read the sizes of an encoder from its published tensors.

    Raises:
        CheckpointError: If the tensors that tell the sizes are missing.
    """
    try:
        dim, flattened = state["conv.linear.weight"].shape
        channels = state["conv.conv.0.conv1.weight"].shape[0]
        ffn_dim = state["conformer.layers.0.ffn1.intermediate_dense.weight"].shape[0]
        kernel = state["conformer.layers.0.conv_module.depthwise_conv.weight"].shape[-1]
        heads = dim // (2 * len(state["conformer.embed_positions.inv_freq"]))
    except KeyError as error:
        raise CheckpointError(f"not an encoder checkpoint: no tensor {error}") from error
    if flattened % channels:
        raise CheckpointError(f"conv.linear takes {flattened} values, not a multiple of {channels}")
    layers = {
        int(match[1]) for key in state if (match := re.match(r"conformer\.layers\.(\d+)\.", key))
    }
    return ConformerConfig(dim, len(layers), heads, ffn_dim, channels, kernel)


def _change_layout(name: str, tensor: Tensor, channels: int, *, native: bool) -> Tensor:
    """Put time first and make pointwise convolutions matrices; or undo it, if not ``native``."""
    if name == "subsampling.linear.weight":
        parts = (channels, -1) if native else (-1, channels)
        return tensor.unflatten(1, parts).transpose(1, 2).flatten(1)
    if name.endswith(("pointwise_in.weight", "pointwise_out.weight")):
        return tensor.squeeze(-1) if native else tensor.unsqueeze(-1)
    if name.endswith("depthwise.weight"):
        return tensor.unsqueeze(-1) if native else tensor.squeeze(-1)
    if name.startswith("subsampling.blocks") and tensor.dim() == 4:
        return tensor.transpose(2, 3)
    return tensor


def encoder_state(state: State, config: ConformerConfig) -> State:
    """Return our encoder's state dict for the published one (without the leading ``model.``).

    Raises:
        CheckpointError: If a tensor is missing, or one is there that is neither used nor known.
    """
    remaining = {name: tensor for name, tensor in state.items() if not IGNORED.match(name)}
    native = {"inv_freq": remaining.pop("conformer.embed_positions.inv_freq")}  # config read it
    missing: list[str] = []
    for ours, parts in STACKED_TENSORS.items():
        missing += [part for part in parts if part not in remaining]
        tensors = [remaining.pop(part) for part in parts if part in remaining]
        if len({tensor.dtype for tensor in tensors}) > 1:
            raise CheckpointError(f"{' and '.join(parts)} are of different number formats")
        if tensors:
            native[ours] = tensors[0] if ours.endswith(SHARED_COUNTER) else torch.cat(tensors)
    renames = _renames(config.depth)
    for published in list(remaining):
        module, _, attribute = published.rpartition(".")
        if module in renames:
            native[f"{renames[module]}.{attribute}"] = remaining.pop(published)
    wrong = [
        f"{label} {len(names)} ({', '.join(sorted(names)[:4])}{', ...' * (len(names) > 4)})"
        for label, names in (("missing", missing), ("unexpected", remaining))
        if names
    ]
    if wrong:
        raise CheckpointError(f"checkpoint does not fit: {'; '.join(wrong)}")
    channels = config.conv_channels
    return {k: _change_layout(k, v, channels, native=True) for k, v in native.items()}


def training_tensors(state: State) -> State:
    """Return the published tensors that are not on the path from audio to features."""
    return {name: tensor for name, tensor in state.items() if IGNORED.match(name)}


def published_state(state: State, config: ConformerConfig) -> State:
    """Return the published state dict for our encoder's (unfolded) one.

    The inverse of :func:`encoder_state`; training-only tensors are not invented.
    """
    channels = config.conv_channels
    state = {k: _change_layout(k, v, channels, native=False) for k, v in state.items()}
    published = {"conformer.embed_positions.inv_freq": state["inv_freq"]}
    for ours, parts in STACKED_TENSORS.items():
        split = [state[ours]] * 2 if ours.endswith(SHARED_COUNTER) else state[ours].chunk(2)
        published.update(zip(parts, split, strict=True))
    names = {ours: name for name, ours in _renames(config.depth).items()}
    for key, tensor in state.items():
        module, _, attribute = key.rpartition(".")
        if module in names:
            published[f"{names[module]}.{attribute}"] = tensor
    return {name: tensor.contiguous().clone() for name, tensor in published.items()}
