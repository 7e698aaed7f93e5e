"""Jobs of the queue: clips to score and clips to embed."""

from dataclasses import dataclass
from typing import Any

from hear_aesthetics.errors import HearAestheticsError
from songeval_task.service.decoding.pool import Upload

__all__ = ["EmbedJob", "Job", "QueueFullError", "ScoreJob"]


class QueueFullError(HearAestheticsError):
    """Queue without a free place.

    Attributes:
        retry_after: Whole seconds after which a place may be free.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class ScoreJob:
    """Clip to score; its result is :class:`songeval_task.scoring.rows.Scores`.

    Options as those of :meth:`AestheticScorer.score_files`.
    """

    upload: Upload
    start: float | None = None
    end: float | None = None
    prompt: str | None = None
    loudness: float | None = None
    timeline: bool = False
    explain: bool = False

    @property
    def kind(self) -> tuple[Any, ...]:
        """What jobs that are computed together have in common."""
        return "score", self.timeline, self.explain


@dataclass(frozen=True, kw_only=True)
class EmbedJob:
    """Clip to embed; its result is :class:`hear_aesthetics.engine.embedding_files.Embedding`.

    ``embedding`` is a kind of :func:`hear_aesthetics.engine.embedding_files.embed`.
    """

    upload: Upload
    embedding: str = "scene"
    start: float | None = None
    end: float | None = None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What jobs that are computed together have in common."""
        return "embed", self.embedding


Job = ScoreJob | EmbedJob
