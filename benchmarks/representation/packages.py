"""Debian packages, downloaded and unpacked into a folder without being installed."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hear_aesthetics.errors import DataUnavailableError

__all__ = ["unpack"]


def unpack(package: str, cache: Path) -> Path:
    """Return the folder of a package's files, downloaded if it is not there yet.

    Raises:
        DataUnavailableError: If the package cannot be had; names it.
    """
    folder = cache / package
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as work:
            _run(package, ["apt-get", "download", "-qq", package], Path(work))
            (archive,) = Path(work).glob("*.deb")
            _run(package, ["dpkg-deb", "-x", archive.name, "files"], Path(work))
            (Path(work) / "files").rename(folder)
    return folder


def _run(package: str, command: Sequence[str], work: Path) -> None:
    remedy = "run `apt-get update` on Debian 12, or leave out its tasks with --only"
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise DataUnavailableError(f"{package}: {command[0]} is missing; {remedy}") from e
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"{command[0]} failed"
        raise DataUnavailableError(f"{package}: {reason}; {remedy}")
