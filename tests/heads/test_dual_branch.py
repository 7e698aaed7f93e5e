"""The dual-branch head: its layers against PyTorch's, masks, variants, and saving."""

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from heads import DualBranchConfig, DualBranchHead, coral_loss, gaussian_target, kl_loss
from heads.layers.attention import sinusoidal_positions

TINY = DualBranchConfig(audio_dim=16, text_dim=12, common_dim=8, ordinal_hidden=(16, 8))
VARIANTS = {
    "main": {},
    "scalar": {"output": "scalar"},
    "ordinal": {"output": "ordinal"},
    "decoupled": {"coupled": False},
    "lstm": {"branch": "lstm", "coupled": False},
    "no positions": {"positions": False},
    "text residual": {"text_residual": True},
}
AUDIO_LENGTHS, TEXT_LENGTHS = [20, 13, 1], [4, 9, 6]


def tiny(**options):
    return DualBranchHead(dataclasses.replace(TINY, **options)).eval()


def mask_of(lengths):
    return torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]


@pytest.fixture(autouse=True)
def _same_draws():
    """Weights and inputs are the same in every run: tiny ReLU branches can be dead by chance."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        yield


@pytest.fixture
def batch():
    """Clips and prompts of different lengths, padded with rubbish, and their masks."""
    audio, text = torch.randn(3, 20, 16), torch.randn(3, 9, 12)
    audio_mask, text_mask = mask_of(AUDIO_LENGTHS), mask_of(TEXT_LENGTHS)
    audio[audio_mask], text[text_mask] = torch.nan, torch.nan
    return audio, text, audio_mask, text_mask


@torch.no_grad()
def test_layers_are_those_of_the_published_system():
    head = tiny()
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    attention = nn.MultiheadAttention(8, 4, batch_first=True)
    layer.norm1, layer.norm2 = head.temporal.attention_norm, head.temporal.ffn_norm
    layer.linear1, layer.linear2 = head.temporal.ffn[0], head.temporal.ffn[3]
    pairs = ((layer.self_attn, head.temporal.attention), (attention, head.cross_attention))
    for theirs, ours in pairs:
        theirs.in_proj_weight, theirs.in_proj_bias = ours.qkv.weight, ours.qkv.bias
        theirs.out_proj.weight, theirs.out_proj.bias = ours.out.weight, ours.out.bias

    def attentive(pooling, x):
        return (F.softmax(pooling.scorer(x), dim=1) * x).sum(dim=1)

    audio, text = torch.randn(2, 10, 16), torch.randn(2, 5, 12)
    states = layer(audio + sinusoidal_positions(10, 16))
    memory = head.audio_projection(states)
    fused, _ = attention(head.text_projection(text), memory, memory)
    impression = head.music_impression(attentive(head.audio_pooling, states)).softmax(-1)
    fused_pooled = attentive(head.fused_pooling, head.cross_norm(fused))
    alignment = head.text_alignment(fused_pooled).softmax(-1)
    for ours, expected in zip(head(audio, text), (impression, alignment), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_batch_equals_clips_one_by_one_whatever_the_padding_holds(batch, options):
    head = tiny(**options)
    audio, text, *_ = batch
    batched = head(*batch)
    for row, (frames, tokens) in enumerate(zip(AUDIO_LENGTHS, TEXT_LENGTHS, strict=True)):
        alone = head(audio[row : row + 1, :frames], text[row : row + 1, :tokens])
        for ours, expected in zip(batched, alone, strict=True):
            torch.testing.assert_close(ours[row : row + 1], expected, rtol=0.0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "shape"), [("main", (3, 20)), ("scalar", (3,)), ("ordinal", (3, 4))]
)
def test_every_output_form_stands_for_a_score_in_range(batch, options, shape):
    head = tiny(**VARIANTS[options])
    for output in head(*batch):
        assert output.shape == shape
        scores = head.scores(output)
        assert scores.shape == (3,)
        assert ((scores >= head.config.low) & (scores <= head.config.high)).all()


@torch.no_grad()
def test_decoupled_alignment_ignores_the_temporal_layer():
    coupled, decoupled = tiny(), tiny(coupled=False)
    audio, text = torch.randn(1, 6, 16), torch.randn(1, 4, 12)
    for head, changes in ((coupled, True), (decoupled, False)):
        impression, alignment = head(audio, text)
        head.temporal.ffn_norm.bias += torch.randn(16)
        new_impression, new_alignment = head(audio, text)
        assert not torch.allclose(impression, new_impression)
        assert torch.allclose(alignment, new_alignment) != changes


@torch.no_grad()
@pytest.mark.parametrize("clips", [1, 3])
def test_order_of_frames_matters_only_with_positions(clips):
    audio, text = torch.randn(clips, 6, 16), torch.randn(clips, 4, 12)
    for positions in (True, False):
        head = tiny(positions=positions)
        forwards, _ = head(audio, text)
        backwards, _ = head(audio.flip(1), text)
        assert torch.allclose(forwards, backwards, atol=1e-5) != positions


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_weight_learns(batch, options):
    head = tiny(**options).train()
    target = torch.tensor([1.5, 3.0, 4.5])
    losses = {
        "scalar": lambda output: F.l1_loss(output, target),
        "distribution": lambda output: kl_loss(output, gaussian_target(target, head.centers)),
        "ordinal": lambda output: coral_loss(output, target),
    }
    sum(losses[head.config.output](output) for output in head(*batch)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_branches_narrow_by_halves_as_published():
    with torch.device("meta"):
        head = DualBranchHead()
        lstm = DualBranchHead(DualBranchConfig(branch="lstm", coupled=False))
    impression = [tuple(p.shape) for p in head.music_impression.parameters() if p.ndim == 2]
    alignment = [tuple(p.shape) for p in head.text_alignment.parameters() if p.ndim == 2]
    assert impression == [(512, 1024), (256, 512), (20, 256)]
    assert alignment == [(384, 768), (192, 384), (20, 192)]
    assert lstm.music_impression.lstm.hidden_size == 512
    assert lstm.text_alignment.lstm.hidden_size == 384


RELEASED = {"positions_alone": True, "text_pooling": "released"}


@torch.no_grad()
def test_positions_as_released_are_added_to_batches_of_one_only():
    options = {"text_pooling": "attentive"}
    alone, always, never = (
        tiny(**choice, **options)
        for choice in ({"positions_alone": True}, {}, {"positions": False})
    )
    for head in (alone, always):
        head.load_state_dict(never.state_dict())
    audio, text = torch.randn(2, 6, 16), torch.randn(2, 4, 12)
    assert torch.equal(alone(audio, text)[0], never(audio, text)[0])
    assert torch.equal(alone(audio[:1], text[:1])[0], always(audio[:1], text[:1])[0])
    assert not torch.allclose(alone(audio[:1], text[:1])[0], never(audio[:1], text[:1])[0])


def test_without_positions_the_released_dropout_of_the_audio_stays():
    """The released positions drop out what they were not added to."""
    head = tiny(**RELEASED, dropout=0.5)
    head.positions.train()
    audio = torch.ones(2, 50, 16)
    assert set(head._positioned(audio).flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(tiny(positions=False).train()._positioned(audio), audio)


@torch.no_grad()
def test_released_text_pooling_reads_what_stands_in_the_padding():
    audio, text = torch.randn(3, 6, 16), torch.randn(3, 9, 12)
    mask = mask_of(TEXT_LENGTHS)
    for pooling, reads in (("released", True), ("attentive", False)):
        head = tiny(text_pooling=pooling, positions=False)
        before = head(audio, text, None, mask)[1]
        after = head(audio, text.masked_fill(mask[..., None], 7.0), None, mask)[1]
        assert torch.allclose(before[1], after[1], atol=1e-6), "the longest has no padding"
        assert torch.allclose(before, after, atol=1e-6) != reads


def test_a_head_saved_before_the_released_variants_loads_as_it_was(tmp_path):
    head = tiny()
    head.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    with safe_open(path, "pt") as file:
        saved = json.loads(file.metadata()["head"])
    for name in RELEASED:
        del saved["config"][name]
    save_file(load_file(path), path, {"head": json.dumps(saved)})
    assert DualBranchHead.from_pretrained(tmp_path).config == head.config


@pytest.mark.parametrize(
    "options", [*VARIANTS.values(), RELEASED], ids=[*VARIANTS.keys(), "released"]
)
def test_a_saved_head_comes_back_the_same(tmp_path, options):
    head = tiny(**options)
    head.save_pretrained(tmp_path, provenance={"seed": 1984})
    loaded = DualBranchHead.from_pretrained(tmp_path)
    assert loaded.config == head.config
    written = head.state_dict()
    assert all(torch.equal(tensor, written[name]) for name, tensor in loaded.state_dict().items())
    audio, text = torch.randn(2, 8, 16), torch.randn(2, 3, 12)
    for ours, expected in zip(loaded(audio, text), head(audio, text), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)
    assert "Text alignment" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branch": "gru"}, "branch must be one of"),
        ({"output": "stars"}, "output must be one of"),
        ({"output": "ordinal", "branch": "lstm"}, "has its own branch"),
        ({"output": "ordinal", "high": 10.0}, r"5 ranks span \[1, 5\]"),
        ({"dimensions": ("One",)}, "two dimensions"),
        ({"text_pooling": "mean"}, "text_pooling must be one of"),
        ({"positions": False, "positions_alone": True}, "leave positions at True"),
    ],
)
def test_variants_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **options)


def test_audio_and_text_must_pair_and_hold_something():
    head = tiny()
    with pytest.raises(ValueError, match="2 clips of audio but 3 texts"):
        head(torch.zeros(2, 5, 16), torch.zeros(3, 5, 12))
    with pytest.raises(ValueError, match=r"text: expected floats of shape \(batch, frames, 12\)"):
        head(torch.zeros(2, 5, 16), torch.zeros(2, 5, 16))
    nothing = torch.ones(1, 5, dtype=torch.bool)
    with pytest.raises(ValueError, match="at least one token of text"):
        head(torch.zeros(1, 5, 16), torch.zeros(1, 5, 12), text_padding_mask=nothing)


def test_published_checkpoints_are_declined_clearly(tmp_path):
    torch.save({"audio_seq_proj.weight": torch.zeros(2, 2)}, tmp_path / "best.pt")
    with pytest.raises(ValueError, match="DualBranchHead has no published layout"):
        DualBranchHead.from_pretrained(tmp_path / "best.pt")


def test_text_residual_adds_the_text_to_what_it_attends_to(batch):
    """Frames that are all alike leave attention nothing to choose: only the residual hears text."""
    _, text, _, text_mask = batch
    audio = torch.ones(3, 5, 16)
    other = text.flip(-1)
    for residual in (False, True):
        head = tiny(text_residual=residual, positions=False)
        with torch.no_grad():
            (_, first), (_, second) = (head(audio, t, None, text_mask) for t in (text, other))
        assert (not torch.allclose(first, second, atol=1e-5)) == residual
