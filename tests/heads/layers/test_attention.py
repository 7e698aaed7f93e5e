"""Attention layers against PyTorch's own, and positions against the published table."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from heads.layers.attention import (
    MultiHeadAttention,
    SinusoidalPositions,
    TransformerLayer,
    sinusoidal_positions,
)


def copy_attention(ours, theirs):
    ours.load_state_dict(
        {
            "qkv.weight": theirs.in_proj_weight,
            "qkv.bias": theirs.in_proj_bias,
            "out.weight": theirs.out_proj.weight,
            "out.bias": theirs.out_proj.bias,
        }
    )


@pytest.fixture
def padding_mask():
    return torch.arange(9).expand(3, 9) >= torch.tensor([[9], [5], [1]])


def test_attention_equals_pytorch_for_self_and_cross_attention(padding_mask):
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    ours = MultiHeadAttention(16, 4)
    copy_attention(ours, theirs)
    x, queries = torch.randn(3, 9, 16), torch.randn(3, 4, 16)
    expected, _ = theirs(x, x, x)
    torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-6)
    expected, _ = theirs(queries, x, x, key_padding_mask=padding_mask)
    torch.testing.assert_close(ours(queries, x, padding_mask), expected, rtol=1e-5, atol=1e-6)


def test_transformer_layer_equals_pytorch(padding_mask):
    theirs = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    ours = TransformerLayer(16, 4, 32)
    copy_attention(ours.attention, theirs.self_attn)
    ours.attention_norm, ours.ffn_norm = theirs.norm1, theirs.norm2
    ours.ffn[0], ours.ffn[3] = theirs.linear1, theirs.linear2
    theirs.eval()
    x = torch.randn(3, 9, 16)
    expected = theirs(x, src_key_padding_mask=padding_mask)
    valid = ~padding_mask
    torch.testing.assert_close(ours(x, padding_mask)[valid], expected[valid], rtol=1e-5, atol=1e-5)


def test_attention_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="5 attention heads do not divide the width 16"):
        MultiHeadAttention(16, 5)


@pytest.mark.parity
def test_position_table_matches_the_published_one(golden):
    expected = load_file(golden / "astar" / "positional.safetensors")
    table = sinusoidal_positions(*expected["table_d32"].shape)
    torch.testing.assert_close(table, expected["table_d32"], rtol=0.0, atol=1e-4)
    rows = expected["rows_d1024"]
    wide = sinusoidal_positions(int(rows.max()) + 1, expected["table_d1024_rows"].shape[1])
    # the published table takes float32 angles, off by 3e-4 at position 5,000
    torch.testing.assert_close(wide[rows], expected["table_d1024_rows"], rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_item_gets_the_same_positions_whatever_the_batch_size(batch):
    positions = SinusoidalPositions()
    for frames in (4, 9, 3):  # the table grows and is reused
        added = positions(torch.zeros(batch, frames, 8))
        torch.testing.assert_close(added, sinusoidal_positions(frames, 8).expand(batch, -1, -1))


def test_positions_are_not_part_of_the_weights():
    positions = SinusoidalPositions()
    positions(torch.zeros(1, 5, 8))
    assert positions.state_dict() == {}


def test_odd_widths_have_no_positions():
    with pytest.raises(ValueError, match="even width, got 7"):
        sinusoidal_positions(3, 7)
