"""Hugging Face hub and its cache: pinned revisions, mirrors, offline, checked files.

``huggingface_hub`` reads its environment once, at import. Here ``HF_ENDPOINT``,
``HF_HUB_OFFLINE``, ``HF_HUB_CACHE`` and ``HF_HOME`` are read at each call and passed on, so that
setting them later works.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import huggingface_hub  # loads its functions when they are touched: cheap to import
from huggingface_hub import constants

from hear_aesthetics.checkpoints.hashes import weight_hash
from hear_aesthetics.checkpoints.registry import Checkpoint, RemoteFile
from hear_aesthetics.errors import CheckpointError, WeightsUnavailableError
from hear_aesthetics.files import describe_size

CONNECT_SECONDS = 10.0
SHA256_DIGITS = 64  # the ETag of a large file is its sha256; that of a small one is shorter


def endpoint() -> str:
    """Return the address of the hub or of the mirror that ``HF_ENDPOINT`` names."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def offline() -> bool:
    """Return True if ``HF_HUB_OFFLINE`` or ``TRANSFORMERS_OFFLINE`` forbids the network."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def cache_folder() -> Path:
    """Return the hub's cache: ``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``."""
    explicit = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if explicit:
        return Path(explicit).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


def cached(record: Checkpoint, *, check: bool = True) -> Path | None:
    """Return the folder of the pinned revision in the hub's cache; None if a file is missing.

    Args:
        record: Checkpoint to look for.
        check: Compare sizes and hashes; False only looks whether the files are there.

    Raises:
        CheckpointError: If a cached file is not the published one; where it can be fetched again,
            it is deleted.
    """
    if record.repo is None:
        return None
    paths = [
        huggingface_hub.try_to_load_from_cache(
            record.repo, file.name, cache_dir=cache_folder(), revision=record.revision
        )
        for file in record.files
    ]
    found = [Path(path) for path in paths if isinstance(path, str)]
    if len(found) < len(paths):
        return None
    for path, file in zip(found, record.files, strict=True):
        if check:
            _check(path, file, record.name)
    return found[0].parent


def fetch(records: Sequence[Checkpoint], wanted: str) -> list[Path]:
    """Download checkpoints into the hub's cache, check them, return their folders.

    A connection that breaks is taken up where it broke; a process that dies starts that file over.
    Files that are there already are not downloaded again.

    Args:
        records: Missing checkpoints.
        wanted: Name the user asked for, which the message repeats.

    Raises:
        WeightsUnavailableError: If one is not on the hub, or the hub cannot be reached.
        CheckpointError: If a file is not the published one; it is deleted, so trying again works.
    """
    if any(record.repo is None for record in records):
        raise unavailable(records, wanted, "it is not on the hub")
    if offline():
        raise unavailable(records, wanted, "HF_HUB_OFFLINE is set")
    try:
        paths = [[_fetch_file(record, file) for file in record.files] for record in records]
    except failures() as error:
        raise unavailable(records, wanted, reason(error)) from error
    return [files[0].parent for files in paths]


def failures() -> tuple[type[Exception], ...]:
    """Return the errors that the hub's library raises when it does not deliver.

    Its HTTP client differs between versions. What that raises is an OSError (requests) or shares
    its base with the library's own error (httpx).
    """
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__))


def reason(error: Exception) -> str:
    """Return one line on why the hub did not deliver."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"{endpoint()} answered {status} ({type(error).__name__})"
    first_line = next(iter(str(error).splitlines()), "")
    return f"{endpoint()} did not deliver ({type(error).__name__}: {first_line})"


def unavailable(records: Sequence[Checkpoint], wanted: str, reason: str) -> WeightsUnavailableError:
    """Return an error that says what is missing, its size and licence, and how to get it."""
    missing = " and ".join(
        f"{r.name}: {describe_size(r.size)}, licence {r.weights_licence}" for r in records
    )
    root = os.environ.get("HEAR_AESTHETICS_HOME") or "DIR"
    places = " and ".join(
        f"{', '.join(file.name for file in r.files)} in {Path(root) / r.name}" for r in records
    )
    download = f"run `hear-aesthetics models download {wanted} --to DIR` on a connected machine"
    instructions = "; ".join(r.instructions for r in records if r.instructions) or download
    return WeightsUnavailableError(
        f"{wanted} is not on this machine ({missing}) and {reason}; {instructions}, "
        f"or put {places} and set HEAR_AESTHETICS_HOME={root}"
    )


def _fetch_file(record: Checkpoint, file: RemoteFile) -> Path:
    repo, revision = str(record.repo), record.revision
    url = huggingface_hub.hf_hub_url(repo, file.name, revision=revision, endpoint=endpoint())
    # Asked first, with a short timeout and without retries: a machine without network hears so at
    # once, and where the registry knows no hash the hub's own is checked.
    stated = huggingface_hub.get_hf_file_metadata(url, timeout=CONNECT_SECONDS, endpoint=endpoint())
    path = huggingface_hub.hf_hub_download(
        repo, file.name, revision=revision, endpoint=endpoint(), cache_dir=cache_folder()
    )
    if file.sha256 is None and stated.etag and len(stated.etag) == SHA256_DIGITS:
        file = replace(file, sha256=stated.etag)
    _check(Path(path), file, record.name)
    return Path(path)


def _check(path: Path, file: RemoteFile, name: str) -> None:
    """Compare size and sha256 with what was published; delete what can be fetched again."""
    size = path.stat().st_size
    if file.size in (None, size) and file.sha256 in (None, weight_hash(path)):
        return
    found = f"{size:,} bytes, sha256 {weight_hash(path)}"
    expected = f"{file.size or size:,} bytes, sha256 {file.sha256 or 'unknown'}"
    blob = path.resolve()
    # A link that leaves the cache leads to what is the user's; a read-only cache keeps both.
    if not offline() and blob.is_relative_to(cache_folder().resolve()):
        with contextlib.suppress(OSError):
            blob.unlink()
            path.unlink(missing_ok=True)
    remedy = "delete it and try again" if path.exists() else "it was deleted: try again"
    raise CheckpointError(
        f"{name}: {path}: expected {expected}, found {found}; {remedy}, or put files of your own "
        f"choice into {name}/ below HEAR_AESTHETICS_HOME"
    )
