"""Connections of a client to the service: patience with a full queue, errors in one line."""

import time
from typing import TYPE_CHECKING, Any

from hear_aesthetics.errors import AudioError, HearAestheticsError

if TYPE_CHECKING:
    import httpx2

__all__ = ["PATIENCE", "ServiceConnection", "ServiceError"]

PATIENCE = 600.0  # seconds
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds before it is asked again
OF_THE_AUDIO = (400, 408, 413, 422)  # statuses


class ServiceError(HearAestheticsError):
    """Server that cannot be reached, refuses its client, or does not answer as it should."""


class ServiceConnection:
    """Connections to one server; requests of several threads share them.

    Args:
        url: Address of ``hear-aesthetics serve``.
        token: Its token; empty: none.
        connections: Number of connections.
        patience: Seconds for an answer, and for a place in its queue.

    Raises:
        ServiceError: If the address is none.
    """

    def __init__(self, url: str, token: str, connections: int, patience: float) -> None:
        self.url, self._patience = url, patience
        self._client = open_client(url, token, connections, patience)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Return the answer of the server; wait where its queue is full.

        Raises:
            AudioError: If it does not take the audio.
            ServiceError: If it does not answer as it should.
        """
        deadline, wait = time.monotonic() + self._patience, FIRST_WAIT
        while True:
            answer = self._answer(method, path, content)
            if answer.status_code != 503 or time.monotonic() > deadline:
                return self._content(answer)
            told = answer.headers.get("retry-after", "")
            time.sleep(min(float(told) if told.isdecimal() else wait, LONGEST_WAIT))
            wait *= 2

    def _answer(self, method: str, path: str, content: dict[str, Any]) -> "httpx2.Response":
        import httpx2

        for is_last in (False, True):
            for _, file in content.get("files", {}).values():
                file.seek(0)
            try:
                return self._client.request(method, path, **content)
            except httpx2.HTTPError as error:
                # An idle connection may be closed just as it is used again.
                if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError) and not is_last:
                    continue
                reason = str(error) or type(error).__name__
                raise ServiceError(
                    f"{self.url}: does not answer ({reason}); is `hear-aesthetics serve` running?"
                ) from error
        raise AssertionError("the second try returns or raises")

    def _content(self, answer: "httpx2.Response") -> dict[str, Any]:
        try:
            content = answer.json()
        except ValueError:
            content = None
        line = content.get("error") if isinstance(content, dict) else None
        if answer.status_code in OF_THE_AUDIO and line:
            raise AudioError(line)
        if answer.status_code != 200 or not isinstance(content, dict):
            raise ServiceError(f"{self.url}: answers {answer.status_code} ({line or 'no JSON'})")
        return content


def open_client(url: str, token: str, connections: int, patience: float) -> "httpx2.Client":
    """Return a client of httpx2.

    Raises:
        ServiceError: If the address is none.
    """
    import httpx2

    headers = {b"authorization": f"Bearer {token}".encode()} if token else {}
    limits = httpx2.Limits(max_connections=connections)
    try:
        return httpx2.Client(base_url=url, headers=headers, timeout=patience, limits=limits)
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise ServiceError(f"{url}: {error}; write it like http://127.0.0.1:7860") from error
