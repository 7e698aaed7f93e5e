"""Batches: padding changes nothing, every prediction keeps its place."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heads import DualBranchHead
from heads.layers.attention import sinusoidal_positions
from hear_aesthetics.errors import InputError
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.features.text import MAX_TOKENS, TextEncoder
from musiceval_task.training.inference import (
    BATCH,
    RELEASED_BATCH,
    Example,
    apply_head,
    pad,
    predict_clips,
    run_head,
)
from musiceval_task.training.members import MEMBERS, EnsembleMember, head_config

AUDIO_DIM, TEXT_DIM = 32, 12


def examples(count: int, seed: int = 0) -> list[Example]:
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 30, (count, 2), generator=rng).tolist()
    return [
        Example(
            torch.randn(frames, AUDIO_DIM, generator=rng),
            torch.randn(tokens, TEXT_DIM, generator=rng),
            (1 + 4 * i / count, 5 - 4 * i / count),
        )
        for i, (frames, tokens) in enumerate(lengths)
    ]


def head_of(member: EnsembleMember) -> DualBranchHead:
    torch.manual_seed(0)
    config = dataclasses.replace(head_config(member, AUDIO_DIM, TEXT_DIM), ordinal_hidden=(8,))
    return DualBranchHead(config).eval()


def test_masks_are_true_where_nothing_is() -> None:
    sequences = [example.audio for example in examples(3)]
    padded, mask = pad(sequences)
    assert mask.shape == padded.shape[:2]
    for row, sequence in enumerate(sequences):
        assert (~mask[row]).sum() == len(sequence)
        assert torch.equal(padded[row, ~mask[row]], sequence)


@pytest.mark.parametrize("member", MEMBERS.values(), ids=lambda member: member.name)
def test_a_clip_in_a_batch_is_the_clip_alone_for_every_member(member: EnsembleMember) -> None:
    some, head = examples(BATCH + 3), head_of(member)
    scores, distributions = apply_head(head, some)
    assert scores.shape == (BATCH + 3, 2)
    assert (scores >= 1).all()
    assert (scores <= 5).all()
    assert (distributions is None) == (member.target == "coral")
    for place in (0, 7, BATCH + 2):
        alone, alone_dist = apply_head(head, [some[place]])
        np.testing.assert_allclose(scores[place], alone[0], atol=1e-5)
        if distributions is not None and alone_dist is not None:
            np.testing.assert_allclose(distributions[place], alone_dist[0], atol=1e-6)
            np.testing.assert_allclose(distributions[place].sum(axis=-1), 1, atol=1e-5)


def test_half_precision_states_are_computed_in_full_precision() -> None:
    padded, _ = pad([torch.ones(3, 4).half()])
    assert padded.dtype == torch.float32


def released_outputs(
    head: DualBranchHead, audio: Tensor, prompts: list[str], encoder: TextEncoder
) -> tuple[Tensor, Tensor]:
    """Restate the released forward pass over a batch, with the weights of a head of ours.

    Its attentive pooling wants a mask that is 1 where frames count, and is given one that is True
    at padding; its positions are added where the batch size equals 1, an axis of their table.
    """

    def pool(pooling: nn.Module, states: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = pooling.scorer(states)
        if mask is not None:
            scores = scores.masked_fill(mask[..., None] == 0, -1e9)
        return (scores.softmax(dim=1) * states).sum(dim=1)

    dim, common = head.config.audio_dim, head.config.common_dim
    layer = nn.TransformerEncoderLayer(dim, 4, 2 * dim, batch_first=True).eval()
    cross = nn.MultiheadAttention(common, 4, batch_first=True)
    layer.norm1, layer.norm2 = head.temporal.attention_norm, head.temporal.ffn_norm
    layer.linear1, layer.linear2 = head.temporal.ffn[0], head.temporal.ffn[3]
    pairs = ((layer.self_attn, head.temporal.attention), (cross, head.cross_attention))
    for theirs, ours in pairs:
        theirs.in_proj_weight, theirs.in_proj_bias = ours.qkv.weight, ours.qkv.bias
        theirs.out_proj.weight, theirs.out_proj.bias = ours.out.weight, ours.out.bias
    options = {"padding": True, "truncation": True, "max_length": MAX_TOKENS}
    tokens = encoder.tokenizer(prompts, return_tensors="pt", **options)
    text = encoder.model(**tokens).last_hidden_state
    alone = audio + sinusoidal_positions(audio.shape[1], dim) if len(audio) == 1 else audio
    states = layer(alone)
    memory = head.audio_projection(states if head.config.coupled else audio)
    attended, _ = cross(head.text_projection(text), memory, memory)
    fused = pool(head.fused_pooling, head.cross_norm(attended), tokens["attention_mask"] == 0)
    return head.outputs(pool(head.audio_pooling, states), fused)


@pytest.fixture(scope="module")
def encoder(roberta: Path) -> TextEncoder:
    return TextEncoder(roberta, padding=True)


PROMPT_BATCHES = {
    "equal lengths": ["solo flute", "slow waltz", "fast rock"],
    "unequal lengths": ["solo flute", "a slow waltz with harp", "fast rock with drums"],
    "cut": ["slow " * 200, "solo flute", "rock"],
    "one": ["a slow waltz with harp"],
}


@torch.no_grad()
@pytest.mark.parametrize("prompts", PROMPT_BATCHES.values(), ids=PROMPT_BATCHES.keys())
@pytest.mark.parametrize("member", MEMBERS.values(), ids=lambda member: member.name)
def test_the_published_recipe_computes_what_the_released_code_does(
    member: EnsembleMember, prompts: list[str], encoder: TextEncoder
) -> None:
    torch.manual_seed(3)
    head = DualBranchHead(head_config(member, 32, 16, "published")).eval()
    audio = torch.randn(len(prompts), 25, 32)
    some = [
        Example(states, words[:-1], None, words[-1])
        for states, words in zip(audio, encoder.encode(prompts), strict=True)
    ]
    expected = released_outputs(head, audio, prompts, encoder)
    for ours, theirs in zip(run_head(head, some), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
        scores = head.scores(ours), head.scores(theirs)
        torch.testing.assert_close(*scores, rtol=0, atol=2e-6)


def test_the_published_recipe_goes_through_each_list_by_name_sixteen_at_a_time() -> None:
    """The last batch of a list may be one clip, which then gets positions."""
    torch.manual_seed(0)
    head = DualBranchHead(head_config(MEMBERS["decoupled"], AUDIO_DIM, TEXT_DIM, "published"))
    some = [
        dataclasses.replace(example, text_padding=torch.full((TEXT_DIM,), 0.5))
        for example in examples(2 * RELEASED_BATCH + 3)
    ]
    splits = ["test" if row % 2 else "dev" for row in range(len(some))]
    names = [f"{row * 7 % 35:02d}" for row in range(len(some))]
    clips = [
        MusicEvalClip(name, Path(name), "", split=split)
        for name, split in zip(names, splits, strict=True)
    ]
    found = predict_clips(head, clips, some)
    assert found.clips == tuple(names), "in the order given"
    sizes = []
    for split in ("dev", "test"):
        rows = sorted((r for r in range(len(some)) if splits[r] == split), key=names.__getitem__)
        for first in range(0, len(rows), RELEASED_BATCH):
            batch = rows[first : first + RELEASED_BATCH]
            sizes.append(len(batch))
            with torch.no_grad():
                outputs = run_head(head, [some[row] for row in batch])
            expected = torch.stack([head.scores(output) for output in outputs], dim=1)
            np.testing.assert_allclose(found.scores[batch], expected.numpy(), atol=1e-6)
    assert sizes == [16, 2, 16, 1]


def test_without_the_state_at_padding_the_published_recipe_is_an_error() -> None:
    head = DualBranchHead(head_config(MEMBERS["decoupled"], AUDIO_DIM, TEXT_DIM, "published"))
    with pytest.raises(InputError, match="the text encoder's state at padding tokens"):
        apply_head(head, examples(2))
