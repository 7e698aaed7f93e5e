"""Checkpoints of heads: strict loading from file, folder or hub; saving with a model card.

A saved head is a folder of ``model.safetensors`` (whose metadata repeat the configuration, so that
the file alone is enough), ``config.json`` and ``README.md``. Published files keep their own tensor
names; each head knows how to translate them (``heads.keys``) and reads its sizes from their shapes.
"""

import dataclasses
import hashlib
import json
import math
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from heads.card import model_card
from heads.keys import Slot, check_shapes, from_published, to_published
from heads.scale import bounded_score

__all__ = ["PretrainedHead", "SequenceHead", "Shapes", "locate", "read_names", "read_tensors"]

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
CHECKPOINT_SUFFIXES = {".safetensors", ".pth", ".pt", ".bin"}
METADATA_KEY = "head"  # in the safetensors header
UNREADABLE = (  # errors of reading a file that is no checkpoint
    *(pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, ArithmeticError, MemoryError, OSError),
)

Shapes = Mapping[str, tuple[int, ...]]


class PretrainedHead(nn.Module):
    """A head that can be loaded and saved; subclasses set ``config_class`` and ``self.config``.

    Attributes:
        config: Frozen dataclass that builds the head.
        provenance: Source, data, seed, licence, ... of the weights.
        carries: Prefix of tensors in the published file that are no part of the head, such as
            those of its encoder; they are not read.
    """

    config_class: ClassVar[type[Any]]
    carries: ClassVar[str | None] = None
    config: Any

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config = config or self.config_class()
        self.provenance: dict[str, Any] = {}

    @classmethod
    def config_from_published(cls, shapes: Shapes) -> Any:
        """Return the configuration that the shapes of a published checkpoint imply.

        Raises:
            KeyError: If a tensor that sets a size is missing.
        """
        raise ValueError(f"{cls.__name__} has no published layout; load a folder that it saved")

    def published_slots(self) -> Mapping[str, Slot]:
        """Return published name -> place in this head."""
        raise ValueError(f"{type(self).__name__} has no published layout")

    def published_state_dict(self) -> dict[str, Tensor]:
        """Return the weights under the names and shapes of the published checkpoints."""
        return to_published(self.state_dict(), self.published_slots())

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        filename: str | None = None,
        revision: str | None = None,
        **overrides: Any,
    ) -> Self:
        """Load a head, in evaluation mode.

        Args:
            source: A ``.safetensors`` or ``.pth`` file, a folder, or a hub repository,
                ``owner/name``.
            filename: File in the folder or repository; default: ``model.safetensors``.
            revision: Commit, branch or tag of the hub repository.
            **overrides: Fields of the configuration to set, such as ``dimensions``.

        Raises:
            ValueError: If the file is not there, is not a state dict, or does not fit the head.
        """
        path = locate(str(source), filename, revision)
        tensors, saved = read_tensors(path)
        if cls.carries:
            tensors = {n: t for n, t in tensors.items() if not n.startswith(cls.carries)}
        broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
        if broken:
            raise ValueError(f"{path}: {broken[0]} holds numbers that are not finite")
        if saved is None:
            provenance = {"source": str(source), "file": path.name, "revision": revision}
            try:
                config = cls.config_from_published(_shapes(tensors))
            except KeyError as error:
                raise ValueError(
                    f"{path}: not a {cls.__name__} checkpoint: missing {error.args[0]}, which sets "
                    "its size"
                ) from error
        else:
            config = _config_from_json(cls, saved, path, tensors)
            provenance = saved.get("provenance") or {}
            if not isinstance(provenance, dict):
                raise ValueError(f"{path}: provenance in its metadata is no object")
        config = _replace(config, overrides)
        with torch.device("meta"):  # spends neither time nor random numbers on a first draw
            try:
                head = cls(config)
            except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
                raise ValueError(f"{path}: its sizes make no {cls.__name__} ({error})") from error
        ours = head.state_dict()
        if saved is None:
            tensors = from_published(tensors, head.published_slots(), ours, where=str(path))
        else:
            check_shapes(_shapes(tensors), _shapes(ours), where=str(path))
        head.load_state_dict({name: t.float() for name, t in tensors.items()}, assign=True)
        head.provenance = dict(provenance)
        return head.eval()

    def fingerprint(self) -> dict[str, Any]:
        """Return the class, and a hash of configuration and weights: equal ones score alike."""
        hasher = hashlib.sha256(json.dumps(dataclasses.asdict(self.config)).encode())
        for name, tensor in self.state_dict().items():
            hasher.update(name.encode())
            hasher.update(tensor.cpu().contiguous().view(torch.uint8).numpy())
        return {"class": type(self).__name__, "sha256": hasher.hexdigest()}

    def save_pretrained(
        self, directory: str | Path, provenance: Mapping[str, Any] | None = None
    ) -> Path:
        """Write ``config.json``, ``model.safetensors`` and ``README.md`` (the model card).

        Args:
            directory: Folder, made if missing; a head in it is replaced.
            provenance: Record of the weights; default: ``self.provenance``.

        Returns:
            The folder.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        description = {
            "head": type(self).__name__,
            "config": dataclasses.asdict(self.config),
            "provenance": dict(self.provenance if provenance is None else provenance),
        }
        text = json.dumps(description, indent=2, default=str)
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        card = model_card(description, parameters=sum(t.numel() for t in state.values()))
        # One key of metadata: safetensors writes several in an order that changes.
        weights = save(state, metadata={METADATA_KEY: text})
        _write(directory / CARD_FILE, card.encode())
        _write(directory / CONFIG_FILE, f"{text}\n".encode())
        _write(directory / WEIGHTS_FILE, weights)
        return directory


class SequenceHead(PretrainedHead):
    """A head that scores songs from one sequence of features, ``(batch, frames, feature_dim)``.

    Attributes:
        reads: Input of the published weights: ``"fused"`` features, or a hidden state.
        min_frames: Minimum of valid frames.
    """

    reads: ClassVar[str] = "fused"
    min_frames: int = 1
    output: nn.Linear

    def forward(self, features: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the scores of each song of a batch."""
        return self.score(self.pool(features, padding_mask))

    def pool(self, features: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the pooled vector of each song, ``(batch, pooled)``; C-Mixup mixes these."""
        raise NotImplementedError

    def score(self, pooled: Tensor) -> Tensor:
        """Return the scores of pooled vectors, ``(batch, dimensions)``."""
        logits = self.output(pooled.to(self.output.weight.dtype))
        return bounded_score(logits, self.config.low, self.config.high)

    @property
    def input_layer(self) -> nn.Linear:
        """The first layer, which reads the features."""
        raise NotImplementedError

    @property
    def feature_dim(self) -> int:
        """Width of the features."""
        return self.input_layer.in_features

    def frame_shares(self, features: Tensor) -> Tensor | None:
        """Return the share of each frame in the pooled vector, ``(batch, frames)``.

        Rows sum to 1. None for a head whose pooling has no attention.
        """
        return None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Return the tensors of a file and the description that ``save_pretrained`` put there, if any.

    Args:
        path: ``.safetensors``, or a PyTorch pickle, which is read with ``weights_only=True``; its
            tensors are mapped from the file, so that none is read before it is used.

    Raises:
        ValueError: If the file is broken or is not a plain state dict.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        # Of torch's formats only the present one, a zip, can be mapped.
        mapped = zipfile.is_zipfile(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UNREADABLE as error:
        raise ValueError(
            f"{path}: not a readable PyTorch checkpoint of plain tensors; get the file again"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ValueError(f"{path}: expected a plain state dict, tensor name -> tensor")
    return tensors, None


def read_names(path: Path) -> tuple[set[str], dict[str, Any] | None]:
    """Return the names of the tensors of a file, and the description, as :func:`read_tensors`.

    Of a ``.safetensors`` file only the header is read.
    """
    if path.suffix == ".safetensors":
        named, saved = _read_safetensors(path, values=False)
    else:
        named, saved = read_tensors(path)
    return set(named), saved


def _read_safetensors(
    path: Path, *, values: bool = True
) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Return tensors and description; without ``values`` the tensors are empty."""
    empty = torch.empty(0)
    try:
        with safe_open(path, framework="pt") as file:
            saved = (file.metadata() or {}).get(METADATA_KEY)
            names = file.keys()
            tensors = {name: file.get_tensor(name) if values else empty for name in names}
        description = None if saved is None else json.loads(saved)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a readable safetensors file; get the file again") from error
    if saved is not None and not isinstance(description, dict):
        raise ValueError(f"{path}: its metadata describe no head; get the file again")
    return tensors, description


def _write(path: Path, data: bytes) -> None:
    """Replace a file by a complete one, or leave it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def locate(source: str, filename: str | None = None, revision: str | None = None) -> Path:
    """Return the local path of a checkpoint, fetched from the hub if ``source`` is a repository.

    The arguments are those of ``from_pretrained``.

    Raises:
        ValueError: If there is no such file, here or on the hub.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        file = path / (filename or WEIGHTS_FILE)
        if file.is_file():
            return file
        there = sorted(p.name for p in path.iterdir() if p.suffix in CHECKPOINT_SUFFIXES)
        raise ValueError(
            f"{path}: no {file.name} here; checkpoints in this folder: {there or 'none'}"
        )
    if source.count("/") != 1 or path.suffix or source.startswith((".", "/", "~")):
        raise ValueError(f"{source}: no such file or folder")
    from huggingface_hub import hf_hub_download  # slow to import, and needed by few

    filename = filename or WEIGHTS_FILE
    try:
        return Path(hf_hub_download(source, filename, revision=revision))
    except (OSError, ValueError) as error:  # not found, no access, offline, malformed name
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{source}: cannot get {filename} from the hub ({reason}); give a local path, "
            "or point HF_ENDPOINT to a mirror"
        ) from error


def _config_from_json(
    cls: type[PretrainedHead], saved: Mapping[str, Any], path: Path, tensors: Mapping[str, Tensor]
) -> Any:
    """Return the configuration in the metadata, checked before a head is built with it."""
    if saved.get("head") != cls.__name__:
        raise ValueError(f"{path}: holds {saved.get('head')}, not {cls.__name__}")
    values = saved.get("config", {})
    if not isinstance(values, dict):
        raise ValueError(f"{path}: config in its metadata is no object")
    default = cls.config_class()
    numbers = sum(tensor.numel() for tensor in tensors.values())
    for name, value in values.items():
        # Each layer has weights, so that there are no more layers than tensors.
        limit = len(tensors) if name.endswith("layers") else numbers
        if not _fits(value, getattr(default, name, value), limit):
            raise ValueError(f"{path}: {name} of its config cannot be {str(value)[:40]!r}")
    try:
        return _replace(default, values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its config does not fit ({error})") from error


def _fits(value: Any, default: Any, limit: int) -> bool:
    """Return True if a value is of the default's type; whole numbers are sizes, 1 to ``limit``."""
    if isinstance(default, tuple):
        return (
            isinstance(value, list)
            and 0 < len(value) <= limit
            and all(_fits(item, default[0], limit) for item in value)
        )
    if isinstance(default, bool | str):
        return type(value) is type(default)
    if isinstance(default, float):
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is int and 0 < value <= limit


def _replace(config: Any, values: Mapping[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(config)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{type(config).__name__} has no {unknown}; its fields are {known}")
    return dataclasses.replace(config, **values)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
