"""The feature store: one safetensors file per song and version, and an index of all of them.

``STORE/<song>/<version>.safetensors`` holds ``fused`` ``(frames, dim)`` and, where asked for,
hidden states such as ``muq_06``, in float16 unless another dtype was chosen. Its header is an
:class:`Entry`. ``index.parquet`` is a table of those headers and can be made again from them.
``store.json`` is the fingerprint of the features: a store holds the features of one model.

A file that is there is whole. One process writes to a store; any number may read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file
from hear_aesthetics.fingerprint import FINGERPRINT, claim, read_record, start_over
from songeval_task.features.augmentation import current_name, earlier_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DTYPES", "Entry", "FeatureStore"]

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
INDEX = "index.parquet"
RECORD = "store.json"
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Entry:
    """Origin of one file of the store.

    Attributes:
        song: The song's id, its path in the data set.
        version: ``"original"`` or the name of an augmented version.
        sha256: Of the song's audio file.
        frames: Encoder frames of 40 ms.
        model: Name of the model that made the features.
        augmentation: What was done to the audio, in order.
        seed: Of the augmentation.
    """

    song: str
    version: str
    sha256: str
    frames: int
    model: str
    augmentation: list[dict[str, Any]] = field(default_factory=list)
    seed: int = 0


class FeatureStore:
    """Features on disk; see the module for the layout.

    Args:
        root: The folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @classmethod
    def create(
        cls,
        root: str | Path,
        fingerprint: Mapping[str, Any],
        provenance: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> "FeatureStore":
        """Return a new store to write to, or one that was made with the same fingerprint.

        Args:
            root: The folder.
            fingerprint: What decides the features.
            provenance: What else is known of them.
            overwrite: Delete a store that is there.

        Raises:
            InputError: If the folder holds other features; says what differs.
        """
        store = cls(root)
        if overwrite:
            start_over(store.root / RECORD)
        claim(store.root / RECORD, fingerprint, provenance)
        return store

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the features.

        Raises:
            InputError: If the folder is no feature store.
        """
        fingerprint: dict[str, Any] = read_record(self.root / RECORD)[FINGERPRINT]
        return fingerprint

    def path(self, song: str, version: str) -> Path:
        """Return where a version of a song is, or is to be."""
        path, earlier = (
            self.root / song / f"{name}{SUFFIX}" for name in (version, earlier_name(version))
        )
        return earlier if earlier.is_file() and not path.is_file() else path

    def write(self, entry: Entry, tensors: Mapping[str, Tensor]) -> None:
        """Write a file, whole or not at all.

        Raises:
            InputError: If a tensor holds what is not a number, or was too large for its type.
            OSError: If it cannot be written.
        """
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                kind = str(tensor.dtype).removeprefix("torch.")
                raise InputError(
                    f"{entry.song}: {name} holds numbers that {kind} cannot; take --dtype bfloat16"
                )
        path = self.path(entry.song, entry.version)
        path.parent.mkdir(parents=True, exist_ok=True)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        content = save(contiguous, metadata={"entry": json.dumps(asdict(entry))})
        with atomic_file(path) as file:
            file.write(content)

    def entry(self, song: str, version: str) -> Entry | None:
        """Return the entry of a file; None where it is missing or not whole."""
        return _read_entry(self.path(song, version))

    def load(self, song: str, version: str, names: Sequence[str] = ("fused",)) -> list[Tensor]:
        """Return tensors of a file, mapped into memory: pages are read when they are touched.

        Raises:
            InputError: If the file or one of the tensors is not there.
        """
        path = self.path(song, version)
        try:
            with safe_open(path, framework="pt") as file:
                return [file.get_tensor(name) for name in names]
        except (OSError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: {reason}; make the features again") from error

    def entries(self) -> Iterator[Entry]:
        """Yield the entries of all files, sorted by song and version."""
        yield from filter(None, map(_read_entry, sorted(self.root.rglob(f"*{SUFFIX}"))))

    def write_index(self, entries: Iterable[Entry]) -> None:
        """Write ``index.parquet``, one row per file."""
        import pandas as pd

        rows = [
            {
                **asdict(entry),
                "augmentation": json.dumps(entry.augmentation),
                "path": self.path(entry.song, entry.version).relative_to(self.root).as_posix(),
            }
            for entry in entries
        ]
        table: bytes = pd.DataFrame(rows).to_parquet(index=False)
        with atomic_file(self.root / INDEX) as file:
            file.write(table)

    def index(self) -> "pd.DataFrame":
        """Return the table of all files.

        Raises:
            InputError: If there is none, because the features were never completed.
        """
        import pandas as pd

        path = self.root / INDEX
        if not path.is_file():
            raise InputError(f"{path}: not there; run `songeval features` to its end")
        try:
            table = pd.read_parquet(path)
            return table.assign(version=table["version"].map(current_name))
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: {reason}; run `songeval features` again") from error


def _read_entry(path: Path) -> Entry | None:
    try:
        with safe_open(path, framework="pt") as file:
            fields = json.loads(file.metadata()["entry"])
            return Entry(**fields | {"version": current_name(fields["version"])})
    except (OSError, SafetensorError, ValueError, TypeError, KeyError):
        return None
