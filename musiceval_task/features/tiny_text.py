"""Tiny RoBERTa with random weights, for runs that are offline and take seconds.

Its vocabulary is the words of given texts. It has learnt nothing, but its states tell the words
apart, which is all that a synthetic set needs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from musiceval_task.features.text import quiet_transformers

__all__ = ["write_tiny_roberta"]

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # in the order of RoBERTa's vocabulary
OFFSET = 2  # RoBERTa counts positions from the padding token's index on
MAX_POSITIONS = 128 + OFFSET


def write_tiny_roberta(
    folder: str | Path, texts: Iterable[str], *, dim: int = 64, layers: int = 2, seed: int = 0
) -> Path:
    """Write model and tokenizer in the layout of ``transformers``.

    The vocabulary is the words of ``texts``; ``dim`` is a multiple of 4. The folder is made if
    missing, and returned. The global random state is left alone.
    """
    from transformers import RobertaConfig, RobertaModel

    tokenizer = _tokenizer(texts)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=MAX_POSITIONS,
        type_vocab_size=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RobertaModel(config, add_pooling_layer=False)
    with quiet_transformers():
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    return Path(folder)


def _tokenizer(texts: Iterable[str]) -> Any:
    """Return a tokenizer with one token per word, and RoBERTa's special tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    normalizer, splitter = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    lines = (normalizer.normalize_str(text) for text in texts)
    words = {word for line in lines for word, _ in splitter.pre_tokenize_str(line)}
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *sorted(words)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"])
    )
    kinds = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>"}
    kinds |= {"unk": "<unk>", "mask": "<mask>"}
    special = {f"{kind}_token": token for kind, token in kinds.items()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
