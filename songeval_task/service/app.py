"""Application: the HTTP interface over the queue.

What is refused is answered by ``{"error": one line}`` and a status: 400 for what is malformed, 401
without the token, 403 for other web sites, 408 for a body too slow, 413 for one too large, 422 for
audio that cannot be scored, 503 with ``Retry-After`` for a full queue.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from io import BytesIO
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hear_aesthetics.engine.embedding_files import Embedding, write_arrays
from hear_aesthetics.errors import HearAestheticsError
from hear_aesthetics.version import __version__
from songeval_task.scoring.rows import AudioSpan, Scores, error_row, row_columns, score_row
from songeval_task.service.answers import JsonAnswer, error_answer
from songeval_task.service.bodies import read_body, read_waveform
from songeval_task.service.guard import Guard
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.jobs import EmbedJob, Job, QueueFullError, ScoreJob
from songeval_task.service.metrics import ServiceMetrics
from songeval_task.service.models import (
    EmbedOptions,
    EmbedWaveform,
    Options,
    RewardWaveform,
    ScoreOptions,
    ScoreWaveform,
)
from songeval_task.service.page.late_page import LatePage
from songeval_task.service.settings import RequestError, ServiceSettings

__all__ = ["DEMO_NOTICE", "create_app"]

DEMO_NOTICE = (
    "demo scores: this model or head never learned from people's ratings; they say nothing about "
    "the music"
)
MAX_JSON_VALUES = 2_000_000  # of embeddings; text of more fills the memory
WINDOWS = ("timeline", "explain")
SCHEMA = "/openapi.json"

logger = logging.getLogger(__name__)


def create_app(jobs: JobQueue, settings: ServiceSettings, *, local: bool = True) -> FastAPI:
    """Return the application.

    Args:
        jobs: The queue; the caller enters it.
        settings: Limits and token.
        local: Whether it listens on loopback only.
    """
    page = LatePage(jobs, max_file_mb=settings.max_file_mb) if settings.page else None
    app = FastAPI(
        lifespan=page.lifespan if page else None,
        title="hear-aesthetics",
        version=__version__,
        summary="Scores and embeddings of music.",
        openapi_url=SCHEMA,
        docs_url=None,  # these pages load scripts from another host
        redoc_url=None,
    )
    metrics = ServiceMetrics(jobs)
    service = _Service(jobs, settings)
    posts: dict[str, tuple[Any, type[Options] | None, type[BaseModel]]] = {
        "/v1/score": (service.score, ScoreOptions, ScoreWaveform),
        "/v1/embed": (service.embed, EmbedOptions, EmbedWaveform),
        "/v1/reward": (service.reward, None, RewardWaveform),
    }
    for path, (handler, options, waveform) in posts.items():
        extra = {"requestBody": _documented(options, waveform)}
        app.post(path, openapi_extra=extra, response_class=JsonAnswer)(handler)
    app.get("/v1/models", response_class=JsonAnswer)(service.models)
    app.get("/healthz", response_class=JsonAnswer)(service.health)
    app.get("/readyz", response_class=JsonAnswer)(service.ready)

    @app.get("/metrics")
    async def read_metrics() -> Response:
        """Return counts of requests, queue, audio and latency in the Prometheus text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    api = frozenset({*posts, "/v1/models", "/healthz", "/readyz", "/metrics", SCHEMA})
    _answer_errors(app)
    if page is not None:
        app.mount("/", page)
    app.state.page, app.state.ending = page, asyncio.Event()
    app.add_middleware(Guard, token=settings.token, local=local, api=api, observe=metrics.observe)
    return app


class _Service:
    """Handlers of the requests."""

    def __init__(self, jobs: JobQueue, settings: ServiceSettings) -> None:
        self._jobs, self._settings = jobs, settings
        self._columns = row_columns(jobs.scorer.scorer_set)

    async def score(self, request: Request) -> Response:
        """Score files, or one waveform: the rows of `hear-aesthetics score`.

        Answers 200 where at least one row holds scores; the others say what is wrong.
        """
        with self._jobs.places() as places:
            body = read_body(
                *(request, self._settings, ScoreOptions, ScoreWaveform),
                max_files=self._jobs.capacity,
            )
            async with body as sent:
                places.take(len(sent.uploads) - 1)
                options = sent.options.model_dump()
                self._check_gives(options)
                found = [ScoreJob(upload=upload, **options) for upload in sent.uploads]
                results = await self._results(request, found)
        rows = [self._row(job, result) for job, result in zip(found, results, strict=True)]
        errors = [row["error"] for row in rows if row["error"] is not None]
        if len(errors) == len(rows):
            return error_answer(422, errors[0], rows=rows, **self._notice())
        return JsonAnswer({"rows": rows, **self._notice()})

    async def embed(self, request: Request) -> Response:
        """Embed one file or waveform: the embedding of `hear-aesthetics embed`."""
        with self._jobs.places():
            body = read_body(request, self._settings, EmbedOptions, EmbedWaveform, max_files=1)
            async with body as sent:
                span = {"start": sent.options.start, "end": sent.options.end}
                job = EmbedJob(upload=sent.uploads[0], embedding=sent.options.kind, **span)
                (result,) = await self._results(request, [job])
        if isinstance(result, Exception):
            raise result
        return await asyncio.to_thread(_embedding_answer, result, sent.options.format)

    async def reward(self, request: Request) -> Response:
        """Score one waveform by the audio reward protocol, version 1.

        ``score`` is the mean over the dimensions of the first head. What else is finite follows as
        numbers: the columns of a row, the number of its warnings, and 1 as ``demo`` of a demo head.
        """
        with self._jobs.places():
            async with read_waveform(request, self._settings, RewardWaveform) as (upload, sent):
                job = ScoreJob(upload=upload, prompt=sent.prompt or None)
                (result,) = await self._results(request, [job])
        if isinstance(result, Exception):
            raise result
        row = self._row(job, result)
        numbers = {
            name: value
            for name, value in row.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        mean = next(iter(result.means.values()))
        demo = {"demo": 1} if result.demo else {}
        faults = {"warnings": len(result.warnings)}
        headers = {"x-demo": "true"} if result.demo else {}
        return JsonAnswer({"score": mean, **numbers, **faults, **demo}, headers=headers)

    async def models(self) -> JsonAnswer:
        """Say what made the numbers, in which columns they come, and which limits there are."""
        scorer, settings = self._jobs.scorer, self._settings
        scorer_set = scorer.scorer_set
        return JsonAnswer(
            {
                "model": scorer.model_name,
                "head": scorer_set.name,
                "heads": scorer_set.groups,
                "means": scorer_set.means,
                "columns": scorer_set.columns,
                "all_columns": scorer_set.all_columns,
                "interval_columns": scorer_set.interval_columns,
                "notes": scorer_set.notes,
                "row_columns": self._columns,
                "calibrated": list(scorer_set.calibrated),
                "gives": sorted(scorer_set.gives),
                "coverage": scorer_set.coverage,
                "fingerprint": scorer.fingerprint(),
                "provenance": scorer.provenance,
                "limits": {
                    "max_file_mb": settings.max_file_mb,
                    "max_seconds": settings.max_seconds,
                    "queue": settings.queue,
                },
                "version": __version__,
                "demo": scorer.demo,
                **self._notice(),
            }
        )

    async def health(self) -> JsonAnswer:
        """Say that the process lives."""
        return JsonAnswer({"status": "ok"})

    async def ready(self) -> JsonAnswer:
        """Say whether the model is loaded and the queue works."""
        if self._jobs.works:
            return JsonAnswer({"status": "ready"})
        return error_answer(503, "the queue does not work; start the service again")

    async def _results(self, request: Request, jobs: Sequence[Job]) -> list[Any]:
        """Return the result of each job or its error.

        Raises:
            ClientDisconnect: If the client leaves before; the jobs are dropped.
        """
        futures: list[Future[Any]] = [self._jobs.submit(job) for job in jobs]
        waiting = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        leaving = asyncio.ensure_future(_disconnected(request))
        either: set[asyncio.Future[Any]] = {waiting, leaving}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ClientDisconnect
            return waiting.result()
        finally:
            leaving.cancel()
            for future in futures:
                future.cancel()

    def _check_gives(self, options: Mapping[str, Any]) -> None:
        scorer_set = self._jobs.scorer.scorer_set
        for kind in WINDOWS:
            if options[kind] and kind not in scorer_set.gives:
                raise RequestError(400, f"{kind}: {scorer_set.name} has no windows")

    def _row(self, job: ScoreJob, result: Any) -> dict[str, Any]:
        if isinstance(result, Scores):
            return score_row(result, self._columns)
        scorer = self._jobs.scorer
        clip = AudioSpan(job.upload.name, job.start, job.end, job.prompt)
        known = {"model": scorer.model_name, "head": scorer.scorer_set.name, "demo": scorer.demo}
        return error_row(clip, result, self._columns, **known)

    def _notice(self) -> dict[str, str]:
        return {"notice": DEMO_NOTICE} if self._jobs.scorer.demo else {}


async def _disconnected(request: Request) -> None:
    """Return when the client has left; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _embedding_answer(made: Embedding, kind: str) -> Response:
    """Return an embedding as JSON, or as an ``.npz`` file as ``embed`` writes them."""
    name = made.meta["path"]
    if not np.isfinite(made.embedding).all():
        raise HearAestheticsError(f"{name}: its embedding holds what is not a number")
    if kind == "npz":
        file = BytesIO()
        write_arrays(file, made)
        return Response(file.getvalue(), media_type="application/octet-stream")
    if made.embedding.size > MAX_JSON_VALUES:
        raise RequestError(413, f"{name}: {made.embedding.size} values; take the format npz")
    arrays = {"embedding": made.embedding.tolist(), "timestamps_ms": made.timestamps_ms.tolist()}
    return JsonAnswer({**arrays, "meta": made.meta})


def _documented(options: type[Options] | None, waveform: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a body for the OpenAPI schema."""
    content = {"application/json": {"schema": waveform.model_json_schema()}}
    if options is not None:
        form = options.model_json_schema()
        files = {"type": "array", "items": {"type": "string", "format": "binary"}}
        form["properties"] = {"files": files, **form["properties"]}
        content["multipart/form-data"] = {"schema": {**form, "required": ["files"]}}
    return {"required": True, "content": content}


def _answer_errors(app: FastAPI) -> None:
    """Have every error answered in one line."""

    @app.exception_handler(HearAestheticsError)
    async def refuse(_: Request, error: HearAestheticsError) -> Response:
        if isinstance(error, QueueFullError):
            return error_answer(503, error, retry_after=error.retry_after)
        return error_answer(error.status if isinstance(error, RequestError) else 422, error)

    @app.exception_handler(HTTPException)
    async def refuse_path(_: Request, error: HTTPException) -> Response:
        return error_answer(error.status_code, error.detail)

    @app.exception_handler(ClientDisconnect)
    async def forget(_: Request, error: ClientDisconnect) -> Response:
        return error_answer(499, "the client has left")  # which nobody reads

    @app.exception_handler(Exception)
    async def apologize(_: Request, error: Exception) -> Response:
        logger.error("a request failed", exc_info=error)
        return error_answer(500, f"{type(error).__name__}: this was not expected, please report it")
