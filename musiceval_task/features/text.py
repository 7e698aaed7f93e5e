"""Prompts to states: a frozen RoBERTa from a folder or the hub, every prompt encoded once."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hear_aesthetics.checkpoints import locate_checkpoint, weight_hash
from hear_aesthetics.errors import CheckpointError, InputError

__all__ = ["MAX_TOKENS", "TextEncoder", "quiet_transformers"]

MAX_TOKENS = 128  # of a prompt are read, as published
BATCH = 32
DECIDING = ("hidden_act", "layer_norm_eps", "num_attention_heads", "pad_token_id")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class TextEncoder:
    """Token states of prompts from a frozen RoBERTa.

    Args:
        source: ``"roberta-base"``, or a folder in the layout of ``transformers``.
        device: Where to compute.

    Attributes:
        source: As given; a folder by its full path.
        dim: Width of the states.
        sha256: Of the weights.
        tokens_sha256: Of the tokenizer.
        encoded: Prompts encoded so far.

    Raises:
        CheckpointError: If the folder holds no complete RoBERTa.
        WeightsUnavailableError: If the published weights are neither on disk nor reachable.
        InputError: If ``transformers`` is not installed, or there is no such folder.
    """

    def __init__(
        self, source: str | Path = "roberta-base", device: torch.device | str = "cpu"
    ) -> None:
        folder = _locate(source)
        self.source = str(folder.resolve()) if Path(source).is_dir() else str(source)
        self.tokenizer, self.model = _load(folder)
        self.model.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)
        self.dim: int = self.model.config.hidden_size
        self.sha256 = _hash(folder)
        self.tokens_sha256 = _tokenizer_hash(folder)
        self.encoded = 0

    def provenance(self) -> dict[str, Any]:
        """What made the states."""
        return {"text_encoder": self.source, "text_sha256": self.sha256}

    def fingerprint(self) -> dict[str, Any]:
        """What decides the states: weights, tokenizer, and what of the configuration they need."""
        config = {name: getattr(self.model.config, name) for name in DECIDING}
        return {"weights": self.sha256, "tokens": self.tokens_sha256, **config}

    @torch.no_grad()
    def encode(self, prompts: Iterable[str]) -> list[Tensor]:
        """The states of prompts, each ``(tokens, dim)`` float32, without padding."""
        prompts = list(prompts)
        states: list[Tensor] = []
        for first in range(0, len(prompts), BATCH):
            states += self._encode(prompts[first : first + BATCH])
        self.encoded += len(prompts)
        return states

    def _encode(self, prompts: list[str]) -> list[Tensor]:
        tokens = self.tokenizer(
            prompts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        mask = tokens["attention_mask"].to(self.device)
        output = self.model(input_ids=tokens["input_ids"].to(self.device), attention_mask=mask)
        hidden = output.last_hidden_state.float()
        return [row[valid.bool()].cpu() for row, valid in zip(hidden, mask, strict=True)]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars, and no table of the unused language-model head, which is expected."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _locate(source: str | Path) -> Path:
    try:
        return locate_checkpoint(source).folder
    except ValueError as error:
        raise InputError(
            f"{source}: no folder of a text encoder; give one, or roberta-base"
        ) from error


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        from transformers import AutoTokenizer, RobertaModel
    except ImportError as error:
        raise InputError(
            "prompts need transformers; run `pip install 'hear-aesthetics[text]'`"
        ) from error
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            loaded: Any = RobertaModel.from_pretrained(
                folder, add_pooling_layer=False, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{folder}: holds no RoBERTa with its tokenizer ({reason}); choose another folder"
        ) from error
    model, report = loaded
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise CheckpointError(f"{folder}: the weights lack {missing}; get the folder again")
    return tokenizer, model


def _tokenizer_hash(folder: Path) -> str:
    files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _hash(folder: Path) -> str:
    files = [folder / name for name in WEIGHT_FILES if (folder / name).is_file()]
    if not files:
        raise CheckpointError(f"{folder}: no {' or '.join(WEIGHT_FILES)} in it; complete it")
    return weight_hash(files[0])
