"""Bodies of requests: read within limits of size and time, to files that have no name.

Files are spooled to unlinked temporary files, so that nothing outlives the request. A waveform in
JSON becomes a WAV file of float samples, which then goes the way of all files.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import Any, BinaryIO, Generic, NoReturn, TypeVar, cast

import numpy as np
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from hear_aesthetics.audio.saving import encode_audio
from songeval_task.service.decoding.pool import Upload
from songeval_task.service.models import MAX_NAME, Options, RewardWaveform, Waveform, validated
from songeval_task.service.settings import MEGABYTE, RequestError, ServiceSettings

__all__ = ["Body", "LimitedReceive", "read_body", "read_waveform"]

PATIENCE = 20.0  # seconds for a body, and
SLOWEST = 50_000  # bytes per second that it may take longer
SPOOL_BYTES = 1 << 20  # of a JSON body that stay in memory
MAX_FIELDS = 32
MAX_VALUES = 10_000  # in a JSON body: millions of small ones would fill the memory

OptionsT = TypeVar("OptionsT", bound=Options)
WaveformT = TypeVar("WaveformT", bound=Waveform | RewardWaveform)

# One JSON body at a time: while it is parsed it takes several times its size.
_parser = ThreadPoolExecutor(1, thread_name_prefix="parse")


@dataclass
class Body(Generic[OptionsT]):
    """Body of a request: files, and what is to be done with them."""

    uploads: list[Upload]
    options: OptionsT


@asynccontextmanager
async def read_body(
    request: Request,
    settings: ServiceSettings,
    options: type[OptionsT],
    waveform: type[Waveform],
    *,
    max_files: int,
) -> AsyncIterator[Body[OptionsT]]:
    """Read files with options, or one waveform in JSON; the files are gone after the block.

    Args:
        request: The request.
        settings: Its limits are in there.
        options: Model of the options.
        waveform: Model of a waveform with the same options.
        max_files: Most files.

    Raises:
        RequestError: If the body is too large, too slow, or not what it should be.
    """
    kind = _media_type(request)
    if kind == "application/json":
        async with read_waveform(request, settings, waveform) as (upload, sent):
            chosen = {name: getattr(sent, name) for name in options.model_fields}
            yield Body([upload], options.model_construct(**chosen))
        return
    if kind != "multipart/form-data":
        raise RequestError(415, "send files as multipart/form-data, or samples as application/json")
    try:
        form = await _limited(request, settings).form(max_files=max_files, max_fields=MAX_FIELDS)
    except HTTPException as error:  # what Starlette says of a form that is none
        raise RequestError(400, str(error.detail)) from error
    try:
        parts = form.multi_items()
        uploads = [_upload(part) for _, part in parts if isinstance(part, UploadFile)]
        fields: dict[str, Any] = {}
        for name, text in parts:
            if isinstance(text, str) and fields.setdefault(name, text) is not text:
                raise RequestError(400, f"{name[:MAX_NAME]}: is given twice; give it once")
        if not uploads:
            raise RequestError(400, "the form holds no file; add a part with a file name")
        yield Body(uploads, validated(options, fields))
    finally:
        await form.close()


@asynccontextmanager
async def read_waveform(
    request: Request, settings: ServiceSettings, model: type[WaveformT]
) -> AsyncIterator[tuple[Upload, WaveformT]]:
    """Read samples in JSON as a file, which is gone after the block, and the other fields.

    Raises:
        RequestError: If the body is too large, too slow, or not what it should be.
    """
    if _media_type(request) != "application/json":
        raise RequestError(415, "the body has to be application/json")
    with SpooledTemporaryFile(SPOOL_BYTES) as spool, TemporaryFile() as file:
        async for chunk in _limited(request, settings).stream():
            spool.write(chunk)

        def parse() -> WaveformT:
            spool.seek(0)
            sent = validated(model, _json_object(spool.read()))
            file.write(_wav(sent))
            file.flush()
            sent.waveform_f32_base64 = ""  # in the file now
            return sent

        sent = await asyncio.get_running_loop().run_in_executor(_parser, parse)
        yield Upload(cast(BinaryIO, file), sent.name), sent


def _wav(sent: Waveform | RewardWaveform) -> bytes:
    """Return a WAV file of float samples."""
    try:
        data = base64.b64decode(sent.waveform_f32_base64, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise RequestError(400, f"waveform_f32_base64: is not base64 ({error})") from None
    width = 4 * sent.channels
    if not data or len(data) % width:
        raise RequestError(
            400, f"waveform_f32_base64: holds {len(data)} bytes, need a multiple of {width}, not 0"
        )
    samples = np.frombuffer(data, dtype="<f4").reshape(-1, sent.channels)
    if sent.num_samples not in (None, len(samples)):
        raise RequestError(
            400, f"num_samples: is {sent.num_samples}, but the waveform holds {len(samples)}"
        )
    return encode_audio(samples, sent.sample_rate, format="WAV", subtype="FLOAT")


def _upload(part: UploadFile) -> Upload:
    """Return a file of a form as an open file with a descriptor."""
    name = part.filename or "audio"
    if len(name) > MAX_NAME:
        raise RequestError(400, f"a file name of {len(name)} characters; {MAX_NAME} are enough")
    cast(SpooledTemporaryFile[bytes], part.file).rollover()
    part.file.flush()
    return Upload(part.file, name)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _limited(request: Request, settings: ServiceSettings) -> Request:
    """Return the request, whose body is now read within limits.

    Raises:
        RequestError: If it is declared too large, or compressed.
    """
    if (coding := request.headers.get("content-encoding", "identity")) != "identity":
        raise RequestError(415, f"a body in content-encoding {coding[:MAX_NAME]}; send it plain")
    receive = LimitedReceive(request.scope, request.receive, settings.max_file_mb)
    return Request(request.scope, receive)


class LimitedReceive:
    """ASGI ``receive`` that ends bodies that are too large or too slow, and all with the server.

    Args:
        scope: Scope of the request, whose head may declare a length.
        receive: What it limits.
        max_mb: Largest body in MB.

    Attributes:
        refusal: The error that it raised, if it has.

    Raises:
        RequestError: If the declared length is too large; when called, if the body is too large or
            too slow, or the server ends.
    """

    def __init__(self, scope: Scope, receive: Receive, max_mb: float) -> None:
        self.refusal: RequestError | None = None
        self._receive, self._max_mb = receive, max_mb
        self._ending: asyncio.Event = scope["app"].state.ending
        self._bytes, self._complete = 0, False
        self._began = time.monotonic()
        declared = Headers(scope=scope).get("content-length", "0")
        self._check_size(int(declared))  # the server has seen that it is a number

    async def __call__(self) -> Message:
        """Return the next message; what follows the body may take its time."""
        if self._complete:
            return await self._receive()
        deadline = self._began + PATIENCE + self._bytes / SLOWEST
        received = asyncio.ensure_future(self._receive())
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait(
                (received, ending),
                timeout=deadline - time.monotonic(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not received.done():
                slow = f"the body came at less than {SLOWEST // 1000} kB/s; send it again"
                ends = "the service ends; send it again later"
                status, line = (503, ends) if ending.done() else (408, slow)
                self.refusal = RequestError(status, line)
                raise self.refusal
        finally:
            received.cancel()
            ending.cancel()
        message = received.result()
        self._complete = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        self._check_size(self._bytes)
        return message

    def _check_size(self, size: int) -> None:
        if size > self._max_mb * MEGABYTE:
            self.refusal = RequestError(
                413, f"more than {self._max_mb:g} MB in one request; send less at once"
            )
            raise self.refusal


def _json_object(data: bytes) -> dict[str, Any]:
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise RequestError(400, f"more than {MAX_VALUES} values; send samples in base64")
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise RequestError(400, "the body is not a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
