"""Reading the published weight files, pickles included, without running anything in them."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hear_aesthetics.errors import CheckpointError

__all__ = ["published_tensors"]

PREFIX = "model."


def published_tensors(directory: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """Tensors of the first of ``names`` that exists, in float32, without the leading ``model.``.

    Raises:
        CheckpointError: If there is no such file or it cannot be read as weights.
    """
    path = next((directory / name for name in names if (directory / name).is_file()), None)
    if path is None:
        raise CheckpointError(f"{directory}: none of {', '.join(names)} is there")
    try:
        state = _read(path)
    except (OSError, RuntimeError, pickle.UnpicklingError, SafetensorError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not readable as weights ({reason}); download it again"
        ) from error
    return {
        name.removeprefix(PREFIX): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return state.get("state_dict", state)
