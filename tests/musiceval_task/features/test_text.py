"""Prompts to states: frozen, unpadded, each prompt once; a folder that is none is said so."""

import shutil
from pathlib import Path

import pytest
import torch

from hear_aesthetics.errors import CheckpointError, InputError
from musiceval_task.features.text import MAX_TOKENS, TextEncoder
from musiceval_task.features.tiny_text import write_tiny_roberta

PROMPTS = ["solo flute", "a slow waltz with harp", "fast rock with drums"]


@pytest.fixture(scope="module")
def encoder(roberta: Path) -> TextEncoder:
    return TextEncoder(roberta)


def test_states_have_a_row_per_token_and_no_padding(encoder: TextEncoder) -> None:
    states = encoder.encode(PROMPTS)
    assert [len(state) for state in states] == [4, 7, 6]  # words, and one token at each end
    assert {state.shape[1] for state in states} == {16}


def test_a_prompt_in_a_batch_is_the_prompt_alone(encoder: TextEncoder) -> None:
    together = encoder.encode(PROMPTS)
    for prompt, state in zip(PROMPTS, together, strict=True):
        torch.testing.assert_close(encoder.encode([prompt])[0], state, rtol=1e-5, atol=1e-5)


def test_long_prompts_are_cut_to_the_published_length(encoder: TextEncoder) -> None:
    (states,) = encoder.encode(["slow " * 500])
    assert len(states) == MAX_TOKENS


def test_words_are_told_apart(encoder: TextEncoder) -> None:
    slow, fast = encoder.encode(["slow", "fast"])
    assert not torch.allclose(slow, fast, atol=0.1)


def test_nothing_is_trained(encoder: TextEncoder) -> None:
    assert not encoder.model.training
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


def test_the_tiny_model_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        TextEncoder(write_tiny_roberta(tmp_path / name, PROMPTS, dim=8, layers=1, seed=seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first.sha256 == again.sha256 != other.sha256
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_folder_without_a_model_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no RoBERTa with its tokenizer"):
        TextEncoder(tmp_path)
    with pytest.raises(InputError, match="no folder of a text encoder"):
        TextEncoder(tmp_path / "none")


def test_missing_weights_are_listed(roberta: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(roberta, tmp_path / "cut"))
    weights = load_file(folder / "model.safetensors")
    weights.pop("embeddings.word_embeddings.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack embeddings\.word_embeddings\.weight"):
        TextEncoder(folder)


def test_the_state_at_padding_is_the_same_however_much_there_is(
    encoder: TextEncoder, roberta: Path
) -> None:
    """As in a batch that is padded to its longest prompt, which the released text pooling reads."""
    padded = TextEncoder(roberta, padding=True)
    options = {"padding": True, "truncation": True, "max_length": MAX_TOKENS}
    tokens = padded.tokenizer([*PROMPTS, "slow " * 40], return_tensors="pt", **options)
    with torch.no_grad():
        together = padded.model(**tokens).last_hidden_state
    plain = encoder.encode(PROMPTS)
    for row, (states, expected) in enumerate(zip(padded.encode(PROMPTS), plain, strict=True)):
        torch.testing.assert_close(states[:-1], expected, rtol=0, atol=1e-5)
        padding = together[row, len(expected) :]
        torch.testing.assert_close(states[-1].expand_as(padding), padding, rtol=0, atol=1e-5)
    assert padded.fingerprint() != encoder.fingerprint()


def test_a_prompt_of_full_length_has_a_state_at_padding_too(roberta: Path) -> None:
    (states,) = TextEncoder(roberta, padding=True).encode(["slow " * 500])
    assert len(states) == MAX_TOKENS + 1
    assert torch.isfinite(states).all()
