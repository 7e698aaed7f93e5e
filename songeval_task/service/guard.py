"""Guard in front of the application: who may ask, which headers go out, what is counted."""

import base64
import binascii
import hmac
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from songeval_task.service.answers import JsonAnswer
from songeval_task.service.settings import is_loopback

__all__ = ["Guard"]

OPEN = {"/healthz", "/readyz"}  # for those who watch the process; they tell nothing
STRICT = "default-src 'none'; frame-ancestors 'none'"
# Gradio's page has scripts and styles of its own in line; nothing comes from another host.
PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that checks host, origin and token of each request.

    A web site that is open in a browser on this machine can send requests to it. So what comes from
    the page of another origin is refused, and, on loopback, what was sent to another host's name.

    Args:
        app: The application.
        token: Token, empty for none: as ``Authorization: Bearer TOKEN``, or as the password of a
            browser (Basic), of whatever user.
        local: Whether the service listens on loopback only.
        api: Paths of the interface; the others are the page's.
        observe: Called with path, status and seconds of each answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        local: bool,
        api: frozenset[str],
        observe: Callable[[str, int, float], None],
    ) -> None:
        self._app, self._token, self._local = app, token.encode(), local
        self._api, self._observe = api, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on, a request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # there is none here
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        path, began, status = scope["path"], time.monotonic(), 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                policy = STRICT if path in self._api else PAGE
                for name, value in {**HEADERS, "content-security-policy": policy}.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(path, Headers(scope=scope))
        try:
            await (refusal or self._app)(scope, receive, send_guarded)
        finally:
            known = path if path in self._api else "page"
            self._observe(known, status, time.monotonic() - began)

    def _refusal(self, path: str, headers: Headers) -> Any:
        """Return the answer to a request that may not come in; None to one that may."""
        host = _host_of(f"//{headers.get('host', '')}")
        if self._local and not _is_local(host):
            return JsonAnswer({"error": f"this service is not called {host!r}"}, 421)
        if "origin" in headers and _authority(headers["origin"]) != headers.get("host"):
            return JsonAnswer({"error": "requests of other web sites are refused"}, 403)
        if self._token and path not in OPEN and not self._knows(headers.get("authorization", "")):
            challenge = {"www-authenticate": 'Basic realm="hear-aesthetics", charset="UTF-8"'}
            line = "needs the token: load the page again, and give it as the password of any user"
            if path in self._api:  # a browser would ask for a password
                challenge = {"www-authenticate": "Bearer"}
                line = "needs the token, as `Authorization: Bearer TOKEN`"
            return JsonAnswer({"error": line}, 401, challenge)
        return None

    def _knows(self, authorization: str) -> bool:
        """Return whether a header holds the token; how long that takes does not depend on it."""
        scheme, _, given = authorization.partition(" ")
        secret = given.strip().encode("latin-1")  # as Starlette has decoded it
        if scheme.lower() == "basic":
            try:
                secret = base64.b64decode(secret, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(secret, self._token)


def _authority(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or is_loopback(host)
    except ValueError:
        return False
