"""WavLM of the published tensors: names and shapes, and that padding is as good as masked."""

import json
import sys

import pytest
import torch

from hear_aesthetics.checkpoints import by_name
from songeval_task.scoring.judges.wavlm import WavLM, heard_frames


@pytest.fixture
def wavlm(small_tensors) -> WavLM:
    return WavLM(small_tensors, where="small")


def safetensors_header(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """The header that safetensors writes for float32 tensors."""
    begin, entries = 0, {}
    for name in sorted(shapes):
        end = begin + 4 * torch.Size(shapes[name]).numel()
        entries[name] = {"dtype": "F32", "shape": shapes[name], "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def test_the_published_listing_loads_by_name_and_shape(published_shapes) -> None:
    """Its header and data have the bytes of the published file."""
    shapes = published_shapes
    numbers = sum(torch.Size(shape).numel() for shape in shapes.values())
    header = safetensors_header(shapes)
    assert (len(shapes), numbers, len(header)) == (324, 103_859_112, 36_536)
    assert 8 + len(header) + 4 * numbers == by_name("audiobox").files[0].size
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    model = WavLM(tensors, where="published")
    assert (model.dim, model.states) == (768, 13)
    encoder = [shape for name, shape in shapes.items() if name.startswith("wavlm_model.")]
    of_weight_norm = 128  # folded into the weight
    assert sum(p.numel() for p in model.parameters()) == (
        sum(torch.Size(shape).numel() for shape in encoder) - of_weight_norm
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavlm_model.mask_emb": None}, "missing: wavlm_model.mask_emb"),
        ({"wavlm_model.new": torch.ones(1)}, "unexpected: wavlm_model.new"),
        (
            {"wavlm_model.layer_norm.bias": torch.ones(9)},
            "layer_norm.bias .9,. instead of",
        ),
        ({"wavlm_model.post_extract_proj.weight": None}, "no known size .wavlm_model.post_extract"),
        ({"wavlm_model.encoder.pos_conv.0.weight_v": torch.ones(3)}, "no known size"),
    ],
)
def test_other_tensors_are_refused_in_one_line(small_tensors, change, message) -> None:
    tensors = {**small_tensors, **change}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    with pytest.raises(ValueError, match=message) as error:
        WavLM(tensors, where="a.safetensors")
    assert str(error.value).startswith("a.safetensors: ")
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("samples", [1, 320, 321, 3_999, 7_000, 15_999, 16_000])
@torch.no_grad()
def test_dropping_padded_frames_is_masking_them(wavlm, samples) -> None:
    """Against the encoder of transformers with its own attention mask."""
    generator = torch.Generator().manual_seed(samples)
    window = torch.zeros(2, 16_000)
    window[:, :samples] = torch.randn(2, samples, generator=generator)
    frames = wavlm.model.feature_extractor(window).transpose(1, 2)
    count = frames.shape[1]
    padded = torch.ones(1, 16_000, dtype=torch.bool)
    padded[:, :samples] = False
    extra = padded.shape[1] % count  # the original's rule
    audible = ~padded[:, : 16_000 - extra].view(1, count, -1).all(-1).repeat(2, 1)
    x, _ = wavlm.model.feature_projection(frames)
    masked = wavlm.model.encoder(x.clone(), attention_mask=audible).last_hidden_state
    expected = (masked * audible[..., None]).sum(dim=1) / audible.sum(dim=1, keepdim=True)
    means = wavlm(window, samples)
    assert means.shape == (2, 3, 16)
    torch.testing.assert_close(means[:, -1], expected, rtol=0, atol=1e-5)
    assert heard_frames(samples, 16_000, count) == int(audible[0].sum())


@torch.no_grad()
def test_the_first_state_is_the_input_of_the_first_layer(wavlm) -> None:
    window = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    seen = []
    layer = wavlm.model.encoder.layers[0]
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    means = wavlm(window, 16_000)
    hook.remove()
    torch.testing.assert_close(means[:, 0], seen[0].mean(dim=1), rtol=0, atol=1e-6)


def test_without_transformers_the_extra_is_named(small_tensors, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r'pip install "hear-aesthetics\[audiobox\]"'):
        WavLM(small_tensors, where="small")
