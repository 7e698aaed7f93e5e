"""Server: listens, loads, answers until it is told to stop, and finishes what it has begun."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.service.app import create_app
from songeval_task.service.bodies import PATIENCE, SLOWEST
from songeval_task.service.decoding.pool import DecoderPool
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.page import check_gradio
from songeval_task.service.settings import ServiceSettings, is_loopback

__all__ = ["config_of", "serve"]

HEAD_SECONDS = 20.0  # for the head of a request
IDLE_SECONDS = 60  # of a connection after an answer
MAX_CONNECTIONS = 1024


def serve(
    settings: ServiceSettings,
    load: Callable[[], AestheticScorer],
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or an interrupt; requests that have arrived are answered first.

    Args:
        settings: Settings.
        load: Returns the scorer; called while the decoding workers start.
        announce: Called with the address once requests are answered.

    Raises:
        InputError: If it cannot listen there, or Gradio is missing for the page.
        HearAestheticsError: If the model cannot be loaded, or the workers do not start.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # of what strangers sent
    if settings.page:
        check_gradio()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    decoder = DecoderPool(max_bytes=settings.max_bytes, max_seconds=settings.max_seconds)
    with settings.listen() as listener, decoder.starting():
        address, port = listener.getsockname()[:2]
        scorer = load()
        with decoder, JobQueue(scorer, decoder, capacity=settings.queue) as jobs:
            app = create_app(jobs, settings, local=is_loopback(address))
            shown = f"[{address}]" if ":" in address else address
            _Server(config_of(app), lambda: announce(f"http://{shown}:{port}")).run([listener])


def config_of(app: FastAPI) -> uvicorn.Config:
    """Return the settings of uvicorn."""
    return uvicorn.Config(
        app,
        http=_PunctualProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
    )


class _Server(uvicorn.Server):
    """Server that says when it answers."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has arrived, and end; open pages are told to let go."""
        state = self.config.app.state  # type: ignore[union-attr]
        state.ending.set()
        if state.page is not None:
            state.page.end_streams()
        await super().shutdown(sockets)
        gc.freeze()  # to collect all of torch and Gradio takes longer than all the rest


class _PunctualProtocol(H11Protocol):
    """HTTP protocol that closes connections whose client does not ask, or does not read.

    The bodies have limits of their own, and uvicorn closes what is idle after an answer.
    """

    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # be told of all that waits to be read
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Handle data; go on waiting where the head is not complete."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        for timer in filter(None, (self._timer, self._reading)):
            timer.cancel()

    def pause_writing(self) -> None:
        """Begin to wait for a client to read."""
        super().pause_writing()
        self._expect(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Wait no longer: everything is read."""
        super().resume_writing()
        if self._reading:
            self._reading.cancel()

    def _expect(self, size: int) -> None:
        """Close the connection unless the client soon reads its share of what it is to read."""

        def check() -> None:
            left = self.transport.get_write_buffer_size()
            if left > size - PATIENCE * SLOWEST:
                self.transport.abort()
            else:
                self._expect(left)

        self._reading = self.loop.call_later(PATIENCE, check)

    def _wait(self) -> None:
        waits = self.conn.their_state is h11.IDLE
        if waits and self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._close_if_idle)
        elif not waits and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_if_idle(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
