"""Hidden states of prompts from a frozen RoBERTa, loaded from a folder or the hub."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hear_aesthetics.checkpoints import locate_checkpoint, weight_hash
from hear_aesthetics.errors import CheckpointError, InputError

__all__ = ["MAX_TOKENS", "TextEncoder", "quiet_transformers"]

MAX_TOKENS = 128  # of a prompt, as published
BATCH = 32
CONFIG_KEYS = ("hidden_act", "layer_norm_eps", "num_attention_heads", "pad_token_id")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class TextEncoder:
    """Frozen RoBERTa that returns the states of a prompt's tokens.

    Args:
        source: "roberta-base", or a folder in the layout of ``transformers``.
        device: Device to run on.
        padding: Append the state at a padding token to those of each prompt. The released text
            pooling reads it; it is the same at every padding token, however many there are, because
            RoBERTa gives them all one position and attends to none.

    Attributes:
        sha256: SHA-256 of the weights.
        encoded: Number of prompts encoded so far.

    Raises:
        CheckpointError: If the folder holds no complete RoBERTa.
        WeightsUnavailableError: If the published weights are neither on disk nor reachable.
        InputError: If there is no such folder.
    """

    def __init__(
        self,
        source: str | Path = "roberta-base",
        device: torch.device | str = "cpu",
        *,
        padding: bool = False,
    ) -> None:
        self.padding = padding
        try:
            folder = locate_checkpoint(source).folder
        except ValueError as error:
            raise InputError(
                f"{source}: no folder of a text encoder; give one, or roberta-base"
            ) from error
        self.source = str(folder.resolve()) if Path(source).is_dir() else str(source)
        self.tokenizer, self.model = _load(folder)
        self.model.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)
        weights, tokens = _files(folder, WEIGHT_FILES), _files(folder, TOKENIZER_FILES)
        if not weights:
            raise CheckpointError(f"{folder}: no {' or '.join(WEIGHT_FILES)} in it; complete it")
        self.sha256 = weight_hash(weights[0])
        content = b"".join(file.read_bytes() for file in tokens)
        self.tokens_sha256 = hashlib.sha256(content).hexdigest()
        self.encoded = 0

    def provenance(self) -> dict[str, Any]:
        """Return where the states come from."""
        return {"text_encoder": self.source, "text_sha256": self.sha256}

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the states: weights, tokenizer, configuration and padding."""
        config = {name: getattr(self.model.config, name) for name in CONFIG_KEYS}
        made = {"weights": self.sha256, "tokens": self.tokens_sha256, **config}
        return {**made, "padding": True} if self.padding else made

    @torch.no_grad()
    def encode(self, prompts: Iterable[str]) -> list[Tensor]:
        """Return the states of prompts, each ``(tokens, dim)`` float32, without padding.

        With ``padding`` each is ``(tokens + 1, dim)``, its last row the state at padding tokens.
        """
        prompts = list(prompts)
        states: list[Tensor] = []
        options = {"padding": True, "truncation": True, "max_length": MAX_TOKENS}
        for first in range(0, len(prompts), BATCH):
            batch = prompts[first : first + BATCH]
            tokens = self.tokenizer(batch, return_tensors="pt", **options).to(self.device)
            ids, mask = tokens["input_ids"], tokens["attention_mask"]
            if self.padding:
                ids = F.pad(ids, (0, 1), value=self.tokenizer.pad_token_id)
                mask = F.pad(mask, (0, 1), value=0)
            output = self.model(input_ids=ids, attention_mask=mask)
            hidden = output.last_hidden_state.float()
            kept = mask.bool()
            if self.padding:
                kept[:, -1] = True
            states += [row[real].cpu() for row, real in zip(hidden, kept, strict=True)]
        self.encoded += len(prompts)
        return states


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the progress bars of transformers, and its table of unused weights."""
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


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, RobertaModel

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


def _files(folder: Path, names: Iterable[str]) -> list[Path]:
    return [folder / name for name in names if (folder / name).is_file()]
