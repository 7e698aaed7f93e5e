"""Where the files of a checkpoint are: a directory, ``HEAR_AESTHETICS_HOME``, the cache, the hub.

``HEAR_AESTHETICS_HOME`` holds one folder per checkpoint, named like it (``HOME/muq/``,
``HOME/musicfm-msd/``, ``HOME/hear-track2/``), each with the files that ``hear-aesthetics models
info NAME`` lists. ``HOME/large/`` may instead be a whole model directory, with ``muq/`` and
``musicfm/`` in it.

What lies in a directory or under ``HEAR_AESTHETICS_HOME`` is the user's and is taken as it is;
what lies in the hub's cache or comes from the hub is the pinned revision and is checked.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hear_aesthetics.checkpoints import hub
from hear_aesthetics.checkpoints.registry import CHECKPOINTS, REPOS, Checkpoint, by_name, by_repo
from hear_aesthetics.errors import CheckpointError, InputError, WeightsUnavailableError

__all__ = [
    "CONFIG_NAME",
    "Files",
    "Found",
    "ModelFiles",
    "Whereabouts",
    "find",
    "home",
    "locate_checkpoint",
    "locate_model",
    "whereabouts",
]

CONFIG_NAME = "hear_aesthetics.json"
ENCODERS = ("musicfm", "muq")  # subfolders of a model directory
BUNDLED = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True)
class Files:
    """Files of one checkpoint.

    Attributes:
        folder: Where they are; files of other checkpoints may lie there too.
        names: Those that belong to it; None for a user's directory, where any may.
    """

    folder: Path
    names: tuple[str, ...] | None = None

    def first(self, *candidates: str) -> Path | None:
        """Return the first candidate that belongs to the checkpoint and exists; None if none."""
        own = [name for name in candidates if self.names is None or name in self.names]
        return next((self.folder / name for name in own if (self.folder / name).is_file()), None)


@dataclass(frozen=True)
class Found:
    """The folder that holds a checkpoint's files, and which of the sources it is."""

    folder: Path
    origin: Literal["bundled", "home", "cache", "hub"]


@dataclass(frozen=True)
class Whereabouts:
    """What this machine has of a checkpoint, for display.

    Attributes:
        origin: The sources it was found in, such as "bundled" or "home+cache"; None if missing.
        folders: Where its files are; several for a pair.
        problem: What is wrong with the copy that is here; None if nothing is.
    """

    origin: str | None
    folders: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model: those of each encoder, its ``hear_aesthetics.json``, its provenance.

    Attributes:
        name: Variant name, or the directory's name.
        muq: MuQ's files; None where the model has none or it was not asked for.
        musicfm: MusicFM's files, likewise.
        config: Path of ``hear_aesthetics.json``; None where there is none.
        provenance: Origin, and what the registry knows: licence, status, pinned revisions.
    """

    name: str
    muq: Files | None
    musicfm: Files | None
    config: Path | None
    provenance: dict[str, str]


def locate_checkpoint(
    source: str | Path, *, filename: str | None = None, download: bool = True
) -> Files:
    """Find the files of one checkpoint, and fetch them from the hub if need be.

    Args:
        source: A checkpoint's name, a hub repository, or a directory. A name wins over a directory
            called the same (``./muq`` is the directory), a directory over a repository.
        filename: Chooses among the checkpoints of one repository (``"track_2.pth"``).
        download: False looks on this machine only.

    Raises:
        ValueError: If ``source`` is none of these; lists what is known.
        WeightsUnavailableError: If the files are neither on this machine nor reachable.
        CheckpointError: If files are missing from a folder or are not those that were published.
    """
    record = CHECKPOINTS.get(str(source))
    if record is None and Path(source).is_dir():
        return Files(Path(source))
    record = record or by_repo(str(source), filename)
    if record is None:
        raise InputError(
            f"{str(source)!r} is no directory, checkpoint or repository; checkpoints: "
            f"{', '.join(CHECKPOINTS)}; repositories: {', '.join(REPOS)}"
        )
    if record.parts:
        raise InputError(f"{record.name} is two checkpoints: {' and '.join(record.parts)}")
    return _files(record, _obtain([record], record.name, download)[0])


def locate_model(
    source: str | Path = "mini", *, sources: Collection[str] = ENCODERS, download: bool = True
) -> ModelFiles:
    """The files of a model: a variant by its name, or a model directory.

    Args:
        source: "mini", "large", or a directory with the folders ``muq`` and ``musicfm``, or one.
        sources: The encoders that are needed, "musicfm" and "muq"; no other is looked for.
        download: False looks on this machine only.

    Raises:
        ValueError: If ``source`` is neither a variant nor a directory.
        CheckpointError: If a directory lacks an encoder that is needed.
        WeightsUnavailableError: If the files are neither on this machine nor reachable.
    """
    record = CHECKPOINTS.get(str(source))
    if record is None or record.kind != "model":
        if Path(source).is_dir():
            return _model_directory(Path(source), sources, {"origin": "directory"})
        variants = [name for name, known in CHECKPOINTS.items() if known.kind == "model"]
        raise InputError(
            f"{str(source)!r} is neither a variant ({', '.join(variants)}) nor a directory"
        )
    whole = _whole_model(record)
    if whole is not None:
        return _model_directory(whole.folder, sources, _provenance(record, [whole]), record.name)
    parts = [by_name(part) for part in record.parts if by_name(part).folder in sources]
    places = _obtain(parts or [record], record.name, download)
    folders = {part.folder: _files(part, place) for part, place in zip(parts, places, strict=True)}
    return ModelFiles(
        name=record.name,
        muq=folders.get("muq"),
        musicfm=folders.get("musicfm"),
        config=None,
        provenance=_provenance(record, places, parts),
    )


def find(record: Checkpoint, *, check: bool = True) -> list[Found]:
    """The folders of a checkpoint, or of its parts, on this machine; empty if one is missing.

    Args:
        record: What to look for.
        check: Compare cached files with what was published; False only looks whether they exist.

    Raises:
        CheckpointError: If a folder under ``HEAR_AESTHETICS_HOME`` lacks a file, or a cached file
            is not the published one.
    """
    whole = _whole_model(record) or _in_home(record)
    if whole is not None:
        return [whole]
    if record.parts:
        parts = [find(by_name(part), check=check) for part in record.parts]
        return [found for part in parts for found in part] if all(parts) else []
    cached = hub.cached(record, check=check)
    return [Found(cached, "cache")] if cached else []


def whereabouts(record: Checkpoint) -> Whereabouts:
    """Where a checkpoint is on this machine; unlike `find` it reads no weights and never fails."""
    try:
        found = find(record, check=False)
    except CheckpointError as error:
        return Whereabouts(origin=None, problem=str(error))
    return Whereabouts(_origin(found) or None, tuple(str(place.folder) for place in found))


def home() -> Path | None:
    """``HEAR_AESTHETICS_HOME`` as a path; None when unset."""
    value = os.environ.get("HEAR_AESTHETICS_HOME")
    return Path(value).expanduser() if value else None


def _whole_model(record: Checkpoint) -> Found | None:
    if record.kind != "model":
        return None
    if (BUNDLED / record.name).is_dir():
        return Found(BUNDLED / record.name, "bundled")
    root = home()
    return Found(root / record.name, "home") if root and (root / record.name).is_dir() else None


def _in_home(record: Checkpoint) -> Found | None:
    root = home()
    if root is None or not record.files or not (root / record.name).is_dir():
        return None
    folder = root / record.name
    missing = [file.name for file in record.files if not (folder / file.name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; `hear-aesthetics models info {record.name}` "
            "lists what belongs there"
        )
    return Found(folder, "home")


def _files(record: Checkpoint, place: Found) -> Files:
    return Files(place.folder, tuple(file.name for file in record.files) or None)


def _model_directory(
    folder: Path, sources: Collection[str], provenance: dict[str, str], name: str = ""
) -> ModelFiles:
    needed = {encoder: Files(folder / encoder) for encoder in ENCODERS if encoder in sources}
    missing = [f"{encoder}/" for encoder, files in needed.items() if not files.folder.is_dir()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {' and '.join(missing)}; a model directory has muq/ and musicfm/, or "
            "choose the one that is there with sources=('muq',) or sources=('musicfm',)"
        )
    config = folder / CONFIG_NAME
    return ModelFiles(
        name=name or folder.resolve().name,
        muq=needed.get("muq"),
        musicfm=needed.get("musicfm"),
        config=config if config.is_file() else None,
        provenance=provenance,
    )


def _origin(places: Sequence[Found]) -> str:
    return "+".join(dict.fromkeys(place.origin for place in places))


def _provenance(
    record: Checkpoint, places: Sequence[Found], parts: Sequence[Checkpoint] = ()
) -> dict[str, str]:
    pinned = {p.folder: f"{p.repo}@{p.revision}" for p in parts if p.repo and p.revision}
    return {
        "origin": _origin(places),
        "licence": record.weights_licence,
        "status": record.status,
        **pinned,
    }


def _obtain(records: Sequence[Checkpoint], wanted: str, download: bool) -> list[Found]:
    """A place for each record; nothing is downloaded before all that is missing is known."""
    here = {record.name: find(record) for record in records}
    missing = [record for record in records if not here[record.name]]
    if any(record.kind == "model" for record in missing):
        raise WeightsUnavailableError(
            f"{wanted} belongs to this package, but {BUNDLED / wanted} is missing: install "
            "hear-aesthetics again"
        )
    if missing and not download:
        raise hub.unavailable(missing, wanted, "it was not to be downloaded")
    folders = hub.fetch(missing, wanted) if missing else []
    for record, folder in zip(missing, folders, strict=True):
        here[record.name] = [Found(folder, "hub")]
    return [here[record.name][0] for record in records]
