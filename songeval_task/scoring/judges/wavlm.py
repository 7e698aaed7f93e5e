"""WavLM of published tensors, through ``transformers``: waveforms to means of hidden states.

The tensors have the names of the original WavLM; sizes are read off their shapes. Windows that end
early are padded with zeros, which the first group norm hears; frames that see nothing but padding
are dropped after the convolutions. That is the same as masking them: the positional convolution
sees zeros beyond the end either way, and attention leaves them out.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from heads.keys import check_shapes, count_numbered
from hear_aesthetics.compute.precision import exactly
from hear_aesthetics.errors import InputError

__all__ = ["WavLM"]

PREFIX = "wavlm_model."
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)  # of the convolutions
MAX_DISTANCE = 800  # frames, of the relative position bias
WHOLE = {  # published name -> that in transformers, of the tensors there is one of
    "mask_emb": "masked_spec_embed",
    "encoder.pos_conv.0.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv.0.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    "encoder.pos_conv.0.bias": "encoder.pos_conv_embed.conv.bias",
    "encoder.layers.0.self_attn.relative_attention_bias.weight": (
        "encoder.layers.0.attention.rel_attn_embed.weight"
    ),
}
PAIRS = {  # of weight and bias
    "layer_norm": "feature_projection.layer_norm",
    "post_extract_proj": "feature_projection.projection",
    "feature_extractor.conv_layers.0.2": "feature_extractor.conv_layers.0.layer_norm",
    "encoder.layer_norm": "encoder.layer_norm",
}
LAYER_PAIRS = {
    **{f"self_attn.{name}_proj": f"attention.{name}_proj" for name in ("q", "k", "v", "out")},
    "self_attn.grep_linear": "attention.gru_rel_pos_linear",
    "self_attn_layer_norm": "layer_norm",
    "fc1": "feed_forward.intermediate_dense",
    "fc2": "feed_forward.output_dense",
    "final_layer_norm": "final_layer_norm",
}


class WavLM(nn.Module):
    """Encoder of a published checkpoint, in evaluation mode and float32.

    Args:
        tensors: Tensors of the checkpoint; those of other parts are left out.
        where: The file, for messages.

    Attributes:
        dim: Width of the hidden states.
        states: Number of hidden states, the input of the first layer included.

    Raises:
        ValueError: If names or shapes differ from those of a WavLM of its size.
        InputError: If ``transformers`` is not installed.
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, where: str) -> None:
        super().__init__()
        try:
            from transformers import WavLMModel
        except ImportError as error:
            raise InputError(
                'audiobox needs transformers; pip install "hear-aesthetics[audiobox]"'
            ) from error
        own = {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
        try:
            config = _config({name: tuple(tensor.shape) for name, tensor in own.items()})
        except (LookupError, ValueError) as error:
            missing = f"{PREFIX}{error.args[0]}" if isinstance(error, KeyError) else error
            raise ValueError(f"{where}: its WavLM has no known size ({missing})") from error
        with torch.device("meta"):  # spends neither time nor random numbers on a first draw
            self.model: Any = WavLMModel(config)
        names = published_names(config.num_hidden_layers)
        shapes = {name: tensor.shape for name, tensor in self.model.state_dict().items()}
        expected = {PREFIX + name: shapes[ours] for name, ours in names.items()}
        check_shapes({PREFIX + n: t.shape for n, t in own.items()}, expected, where=where)
        state = {ours: own[name].float() for name, ours in names.items()}
        self.model.load_state_dict(state, assign=True)
        parametrize.remove_parametrizations(self.model.encoder.pos_conv_embed.conv, "weight")
        self.dim = config.hidden_size
        self.states = config.num_hidden_layers + 1
        self.eval().requires_grad_(False)

    def forward(self, waveform: Tensor, samples: int) -> Tensor:
        """Return the mean over frames of each hidden state.

        Args:
            waveform: Audio at 16 kHz, zeros from ``samples`` on.
            samples: Samples of audio, at least one.

        Shape:
            - waveform: ``(B, length)``
            - output: ``(B, states, dim)``
        """
        with exactly(waveform.device):
            frames = self.model.feature_extractor(waveform).transpose(1, 2)
            audible = heard_frames(samples, waveform.shape[1], frames.shape[1])
            x, _ = self.model.feature_projection(frames[:, :audible])
            encoder = self.model.encoder
            x = encoder.layer_norm(x + encoder.pos_conv_embed(x))
            means, bias = [x.mean(dim=1)], None
            for index, layer in enumerate(encoder.layers):
                x, bias = layer(x, position_bias=bias, index=index)[:2]
                means.append(x.mean(dim=1))
        return torch.stack(means, dim=1)


def heard_frames(samples: int, length: int, frames: int) -> int:
    """Return the frames of a padded window that see audio, by the original's rule.

    The window is cut into as many equal stretches of samples as it has frames, without a rest. A
    frame is padding if all of its stretch is.

    >>> heard_frames(160_000, 160_000, 499), heard_frames(321, 160_000, 499)
    (499, 2)
    """
    return min(frames, -(-samples // ((length - length % frames) // frames)))


def published_names(layers: int) -> dict[str, str]:
    """Return the published names of all tensors -> their names in transformers."""
    pairs = dict(PAIRS)
    names = dict(WHOLE)
    for index in range(len(KERNELS)):
        ours = f"feature_extractor.conv_layers.{index}.conv.weight"
        names[f"feature_extractor.conv_layers.{index}.0.weight"] = ours
    for index in range(layers):
        published, ours = f"encoder.layers.{index}.", f"encoder.layers.{index}."
        names[f"{published}self_attn.grep_a"] = f"{ours}attention.gru_rel_pos_const"
        pairs |= {published + name: ours + other for name, other in LAYER_PAIRS.items()}
    for published, ours in pairs.items():
        names |= {f"{published}.{part}": f"{ours}.{part}" for part in ("weight", "bias")}
    return names


def _config(shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Return the configuration that the shapes of published tensors imply."""
    from transformers import WavLMConfig

    dim, width = shapes["post_extract_proj.weight"]
    pos_dim, pos_group, pos_kernel = shapes["encoder.pos_conv.0.weight_v"]
    buckets, heads = shapes["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    return WavLMConfig(
        hidden_size=dim,
        num_hidden_layers=count_numbered(shapes, "encoder.layers."),
        num_attention_heads=heads,
        intermediate_size=shapes["encoder.layers.0.fc1.weight"][0],
        hidden_act="gelu",
        layer_norm_eps=1e-5,
        feat_extract_norm="group",
        feat_extract_activation="gelu",
        conv_dim=(width,) * len(KERNELS),
        conv_kernel=KERNELS,
        conv_stride=STRIDES,
        conv_bias=False,
        num_conv_pos_embeddings=pos_kernel,
        num_conv_pos_embedding_groups=pos_dim // pos_group,
        num_buckets=buckets,
        max_bucket_distance=MAX_DISTANCE,
        do_stable_layer_norm=False,
        mask_time_prob=0.05,  # so that there is a tensor for the published mask
        add_adapter=False,
    )
