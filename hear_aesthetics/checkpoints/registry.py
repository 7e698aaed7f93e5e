"""Registry of published checkpoints, read from ``registry.toml`` beside this file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hear_aesthetics.errors import InputError

__all__ = ["CHECKPOINTS", "REPOS", "Checkpoint", "RemoteFile", "by_name", "by_repo"]


@dataclass(frozen=True)
class RemoteFile:
    """File of a checkpoint: its name in the repository, bytes, and sha256; None is unknown."""

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint with a name on the command line; what nobody could check is None, not guessed.

    Attributes:
        name: Its name on the command line and in ``load_model``.
        kind: "model" for ``load_model``; the others are parts.
        repo: Repository on the Hugging Face hub; None for what is not there.
        revision: Commit the files are pinned to; None where no commit could be checked.
        folder: Subfolder of a model directory that holds it ("" for what is no part of one).
        newest: Bundled model that the name stands for, of those whose names hold a version.
        parts: Checkpoints that make up a model; empty for a single checkpoint or a bundled model.
        commercial: Whether commercial use is allowed; None where the licence does not say.
        instructions: How to get what is not on the hub.
        fair: Data on which its results may fairly be reported.
    """

    name: str
    kind: Literal["model", "encoder", "head", "text encoder"]
    description: str
    files: tuple[RemoteFile, ...] = ()
    repo: str | None = None
    revision: str | None = None
    folder: str = ""
    newest: str = ""
    parts: tuple[str, ...] = ()
    weights_licence: str = "not stated"
    code_licence: str = "not stated"
    commercial: bool | None = None
    status: Literal["published", "trained on synthetic music", "trained on rendered audio"] = (
        "published"
    )
    notes: str = ""
    instructions: str = ""
    url: str = ""
    citation: str = ""
    fair: str = ""

    @property
    def size(self) -> int | None:
        """Bytes of all files, parts included; None when one of them is unknown or there is none."""
        sizes = [file.size for file in self.files] + [by_name(part).size for part in self.parts]
        return sum(size or 0 for size in sizes) if sizes and None not in sizes else None


def _checkpoint(name: str, facts: dict[str, Any]) -> Checkpoint:
    files = tuple(RemoteFile(**file) for file in facts.pop("files", ()))
    return Checkpoint(name, files=files, parts=tuple(facts.pop("parts", ())), **facts)


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CHECKPOINTS = {name: _checkpoint(name, facts) for name, facts in _TABLES.items()}
REPOS = tuple(dict.fromkeys(r.repo for r in CHECKPOINTS.values() if r.repo))


def by_name(name: str) -> Checkpoint:
    """Return the record of a name.

    Raises:
        ValueError: If there is none; lists the names.
    """
    if name not in CHECKPOINTS:
        raise InputError(f"unknown checkpoint {name!r}; known: {', '.join(CHECKPOINTS)}")
    return CHECKPOINTS[name]


def by_repo(repo: str) -> Checkpoint | None:
    """Return the first record of a hub repository; None if it is unknown."""
    return next((record for record in CHECKPOINTS.values() if record.repo == repo), None)
