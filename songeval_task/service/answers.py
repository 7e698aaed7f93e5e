"""Answers of the service: JSON of one kind, and one line where something is wrong."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hear_aesthetics.files import finite_or_null

__all__ = ["JsonAnswer", "error_answer"]


class JsonAnswer(Response):
    """JSON in ASCII; numbers that are not finite are null."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, headers)

    def render(self, content: Any) -> bytes:
        """Return the body."""
        text = json.dumps(finite_or_null(content), allow_nan=False, separators=(",", ":"))
        return text.encode()


def error_answer(status: int, error: object, **known: Any) -> JsonAnswer:
    """Return ``{"error": one line}``; ``retry_after`` becomes a header, the rest is added."""
    retry_after = known.pop("retry_after", None)
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return JsonAnswer({"error": " ".join(str(error).split()), **known}, status, headers)
