"""Sounds that training audio is rendered from, their places and licences (``sources.toml``)."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from hear_aesthetics.errors import DataUnavailableError

__all__ = ["Source", "sources"]


@dataclass(frozen=True)
class Source:
    """Sound font, or folder of samples.

    Attributes:
        title: Name for readers.
        package: Debian package that holds it.
        version: Version of the package whose licence was read.
        path: Where the package puts it.
        licence: Its licence.
        notice: Its copyright notice.
    """

    title: str
    package: str
    version: str
    path: str
    licence: str
    notice: str

    def find(self, path: Path | None = None) -> Path:
        """Return the place of the sounds, ``path`` if given.

        Raises:
            DataUnavailableError: If nothing is there.
        """
        place = path or Path(self.path)
        if not place.exists():
            raise DataUnavailableError(
                f"{place}: no {self.title} ({self.licence}); apt-get install {self.package}, "
                "or give its path"
            )
        return place


def sources() -> dict[str, Source]:
    """Return all sources by name."""
    text = Path(__file__).with_name("sources.toml").read_text(encoding="utf-8")
    return {name: Source(**about) for name, about in tomllib.loads(text).items()}
