"""Files of checkpoints: in a directory, ``HEAR_AESTHETICS_HOME``, the hub's cache, or the hub.

``HEAR_AESTHETICS_HOME`` holds one folder per checkpoint, named like it (``HOME/muq/``,
``HOME/musicfm-msd/``, ``HOME/hear-track2/``), each with the files that ``hear-aesthetics models
info NAME`` lists. ``HOME/large/`` may instead be a whole model directory, with ``muq/`` and
``musicfm/`` in it.

What lies in a directory or under ``HEAR_AESTHETICS_HOME`` is the user's and is taken as it is;
what lies in the hub's cache or comes from the hub is the pinned revision and is checked.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hear_aesthetics.checkpoints import hub
from hear_aesthetics.checkpoints.registry import CHECKPOINTS, REPOS, Checkpoint, by_name, by_repo
from hear_aesthetics.errors import CheckpointError, InputError, WeightsUnavailableError

CONFIG_NAME = "hear_aesthetics.json"
ENCODERS = ("musicfm", "muq")  # subfolders of a model directory
BUNDLED = Path(__file__).parents[1] / "weights"
SHOWN = 5  # names of a folder that a message lists


@dataclass(frozen=True)
class Files:
    """Files of one checkpoint.

    Attributes:
        folder: Folder with the files; those of other checkpoints may lie there too.
        names: Files that belong to it; None for a user's directory, where any may.
        origin: "directory", "bundled", "home", "cache" or "hub".
    """

    folder: Path
    names: tuple[str, ...] | None = None
    origin: str = field(default="directory", compare=False)

    def first(self, *names: str) -> Path:
        """Return the first of ``names`` that belongs to the checkpoint and exists.

        Raises:
            CheckpointError: If there is none.
        """
        for name in names:
            if (self.names is None or name in self.names) and (self.folder / name).is_file():
                return self.folder / name
        here = sorted(entry.name for entry in self.folder.iterdir())
        more = ", ..." if len(here) > SHOWN else ""
        is_sharded = any(name.endswith(".index.json") for name in here)
        remedy = "; save weights in several files as one" if is_sharded else ""
        raise CheckpointError(
            f"{self.folder}: none of {', '.join(names)} is there, but "
            f"{', '.join(here[:SHOWN]) or 'nothing'}{more}{remedy}"
        )


@dataclass(frozen=True)
class Whereabouts:
    """Copy of a checkpoint on this machine, for display.

    Attributes:
        origin: Sources it was found in, such as "bundled" or "home+cache"; None if missing.
        folders: Folders with its files; several for a pair.
        problem: Fault of the copy that is here; None if there is none.
    """

    origin: str | None
    folders: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class ModelFiles:
    """Files of a model.

    Attributes:
        name: Variant name, or the directory's name.
        encoders: Files of each encoder that was asked for, by source.
        config: Path of ``hear_aesthetics.json``; None where there is none.
        provenance: Origin, and what the registry knows: licence, status, pinned revisions.
    """

    name: str
    encoders: dict[str, Files]
    config: Path | None
    provenance: dict[str, str]


def locate_checkpoint(source: str | Path) -> Files:
    """Find the files of one checkpoint, and fetch them from the hub if need be.

    Args:
        source: A checkpoint's name, a hub repository, or a directory. A name wins over a directory
            called the same (``./muq`` is the directory), a directory over a repository.

    Raises:
        ValueError: If ``source`` is none of these; lists what is known.
        WeightsUnavailableError: If the files are neither on this machine nor reachable.
        CheckpointError: If files are missing from a folder or are not those that were published.
    """
    record = CHECKPOINTS.get(str(source))
    if record is None and Path(source).is_dir():
        return Files(Path(source))
    record = record or by_repo(str(source))
    if record is None:
        raise InputError(
            f"{str(source)!r} is no directory, checkpoint or repository; checkpoints: "
            f"{', '.join(CHECKPOINTS)}; repositories: {', '.join(REPOS)}"
        )
    if record.parts:
        raise InputError(f"{record.name} is two checkpoints: {' and '.join(record.parts)}")
    return _obtain([record], record.name)[0]


def locate_model(source: str | Path = "mini", *, sources: Collection[str] = ENCODERS) -> ModelFiles:
    """Find the files of a model, and fetch them from the hub if need be.

    Args:
        source: "mini", "mini-0.1", "large", or a directory with the folders ``muq`` and
            ``musicfm``, or one.
        sources: Encoders that are needed, "musicfm" and "muq"; no other is looked for.

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
    parts = [by_name(part) for part in record.parts if by_name(part).folder in sources]
    whole = _local(record)
    found = [whole] if whole else _obtain(parts or [record], record.name)
    provenance = {
        "origin": _origin(found),
        "licence": record.weights_licence,
        "status": record.status,
    }
    if whole:
        return _model_directory(whole.folder, sources, provenance, record.name)
    pinned = {p.folder: f"{p.repo}@{p.revision}" for p in parts if p.repo and p.revision}
    encoders = {part.folder: files for part, files in zip(parts, found, strict=True)}
    return ModelFiles(record.name, encoders, config=None, provenance=provenance | pinned)


def find(record: Checkpoint, *, check: bool = True) -> list[Files]:
    """Return the files of a checkpoint, or of its parts, on this machine; none if one is missing.

    Args:
        record: Checkpoint to look for.
        check: Compare cached files with what was published; False only looks whether they exist.

    Raises:
        CheckpointError: If a folder under ``HEAR_AESTHETICS_HOME`` lacks a file, or a cached file
            is not the published one.
    """
    if local := _local(record):
        return [local]
    if record.parts:
        parts = [find(by_name(part), check=check) for part in record.parts]
        return [found for part in parts for found in part] if all(parts) else []
    cached = hub.cached(record, check=check)
    return [_files(record, cached, "cache")] if cached else []


def whereabouts(record: Checkpoint) -> Whereabouts:
    """Find a checkpoint on this machine; unlike `find` it reads no weights and never fails."""
    try:
        found = find(record, check=False)
    except CheckpointError as error:
        return Whereabouts(origin=None, problem=str(error))
    return Whereabouts(_origin(found) or None, tuple(str(place.folder) for place in found))


def home() -> Path | None:
    """Return ``HEAR_AESTHETICS_HOME`` as a path; None when unset."""
    value = os.environ.get("HEAR_AESTHETICS_HOME")
    return Path(value).expanduser() if value else None


def _local(record: Checkpoint) -> Files | None:
    """Return the files of a folder of that name in this package or under the home."""
    bundled = BUNDLED / (record.newest or record.name)
    if bundled.is_dir():
        return Files(bundled, origin="bundled")
    root = home()
    if root is None or not (folder := root / record.name).is_dir():
        return None
    missing = [file.name for file in record.files if not (folder / file.name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; `hear-aesthetics models info {record.name}` "
            "lists what belongs there"
        )
    return _files(record, folder, "home")


def _files(record: Checkpoint, folder: Path, origin: str) -> Files:
    return Files(folder, tuple(file.name for file in record.files) or None, origin)


def _model_directory(
    folder: Path, sources: Collection[str], provenance: dict[str, str], name: str = ""
) -> ModelFiles:
    encoders = {source: Files(folder / source) for source in ENCODERS if source in sources}
    missing = [f"{source}/" for source, files in encoders.items() if not files.folder.is_dir()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {' and '.join(missing)}; a model directory has muq/ and musicfm/, or "
            "choose the one that is there with sources=('muq',) or sources=('musicfm',)"
        )
    config = folder / CONFIG_NAME
    return ModelFiles(
        name or folder.resolve().name, encoders, config if config.is_file() else None, provenance
    )


def _origin(found: Sequence[Files]) -> str:
    return "+".join(dict.fromkeys(files.origin for files in found))


def _obtain(records: Sequence[Checkpoint], wanted: str) -> list[Files]:
    """Find or download each checkpoint; all that is missing is known before a download starts."""
    here = {record.name: find(record) for record in records}
    missing = [record for record in records if not here[record.name]]
    if any(record.kind == "model" for record in missing):
        raise WeightsUnavailableError(
            f"{wanted} belongs to this package, but its weights are missing from {BUNDLED}: "
            "install hear-aesthetics again"
        )
    folders = hub.fetch(missing, wanted) if missing else []
    for record, folder in zip(missing, folders, strict=True):
        here[record.name] = [_files(record, folder, "hub")]
    return [here[record.name][0] for record in records]
