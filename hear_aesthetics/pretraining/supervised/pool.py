"""Pool of clips with labels, as the supervised objectives read it."""

from pathlib import Path
from typing import Any, Protocol

from hear_aesthetics.pretraining.rendered.labels import LabelledClip

__all__ = ["LabelledPool"]


class LabelledPool(Protocol):
    """Clips with labels.

    Attributes:
        folder: Where it lies; teachers' embeddings are kept in it.
        about: Fingerprint.
        phonemes: Number of phonemes that labels tell apart.
        held_out: Number of clips, the last ones, that no encoder trains on.
    """

    folder: Path
    about: dict[str, Any]
    phonemes: int
    held_out: int

    def __len__(self) -> int: ...

    def clip(self, index: int) -> LabelledClip:
        """Return a clip."""
        ...
