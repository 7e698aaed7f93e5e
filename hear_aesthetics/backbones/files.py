"""Reading the published weight files, pickles included, without running anything in them."""

import re
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from hear_aesthetics.errors import CheckpointError

__all__ = ["published_tensors"]

PREFIX = "model."
_FOREIGN = re.compile(r"GLOBAL (\S+)")  # in what torch says of a pickle with other classes


def published_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file, in float32, without the leading ``model.``.

    Raises:
        CheckpointError: If it cannot be read as weights, or holds numbers that are not finite.
    """
    try:
        tensors = {
            name.removeprefix(PREFIX): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in _read(path).items()
        }
        broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor.sum())]
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged or foreign file makes the readers raise
        raise CheckpointError(f"{path}: not readable as weights ({_reason(error)})") from error
    if broken:
        raise CheckpointError(f"{path}: {broken[0]} holds numbers that are not finite")
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    # Of torch's formats only the present one, a zip, can be mapped.
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(value, Tensor) for value in state.values()):
        holds = f"a {type(state).__name__}"
        if isinstance(state, dict):
            some = {str(name)[:40]: type(v).__name__ for name, v in list(state.items())[:3]}
            holds = f"a dictionary such as {some}"
        raise CheckpointError(f"{path}: holds {holds}; names and tensors are expected")
    return dict(state)


def _reason(error: Exception) -> str:
    """Return the first line of a message, without the control characters a pickle may put there."""
    text = str(error) or type(error).__name__
    foreign = _FOREIGN.search(text)
    if foreign:
        return f"it needs the class {foreign[1]}, but only tensors by their names are read"
    text = text.splitlines()[0][:200]
    return "".join(letter if letter.isprintable() else "?" for letter in text)
