"""Bounded queue in front of the model: jobs are decoded, batched by the engine and answered.

Whoever wants results takes places, submits jobs and waits for their futures::

    with jobs.places(2):  # or raises QueueFullError
        futures = [jobs.submit(ScoreJob(upload=upload)) for upload in uploads]
        scores = [future.result() for future in futures]

Jobs take turns in the order in which they came, except that a long one lets shorter ones pass that
come soon after it. Threads have files decoded ahead of the model, bounded in seconds of audio. One
thread owns the model: it takes the first decoded job and those behind it that ask for the same, and
hands them to the engine, which batches what is of equal length. A job whose future is cancelled
before that is dropped. What goes wrong with a job is the exception of its future, of one line.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from hear_aesthetics.audio.measured import MeasuredAudio
from hear_aesthetics.audio.waveforms import WaveformFormat
from hear_aesthetics.engine.embedding_files import Embedding, embed, origin, sample_rate_of
from hear_aesthetics.engine.inference import (
    CPU_BATCH_SECONDS,
    GPU_BATCH_SECONDS,
    LOOKAHEAD_BATCHES,
    Result,
)
from hear_aesthetics.errors import HearAestheticsError, InputError
from hear_aesthetics.features.fusion import SOURCES, VIEWS
from hear_aesthetics.spec import MIN_SAMPLES, SAMPLE_RATE
from songeval_task.scoring.rows import AudioSpan
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.service.decoding.pool import DecoderPool
from songeval_task.service.jobs import EmbedJob, Job, QueueFullError, ScoreJob

__all__ = ["EmbedJob", "Job", "JobQueue", "QueueFullError", "ScoreJob"]

SMOOTHING = 0.1  # of the seconds that a job takes
LONGEST_RETRY = 30  # seconds
PASSING = 0.1  # of its length, for which a clip lets shorter ones pass
BYTES_PER_SECOND = 50_000  # of audio that is not decoded yet: more than of MP3, less than of WAV
MIN_SECONDS = MIN_SAMPLES / SAMPLE_RATE  # of audio that is embedded

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _DecodedSpan(AudioSpan):
    """A clip that is decoded already."""

    audio: MeasuredAudio = field(kw_only=True, repr=False, compare=False)


@dataclass(eq=False)
class _Waiting:
    """A job between its submission and its result."""

    job: Job
    seconds: float  # an estimate until it is decoded
    future: "Future[Any]" = field(default_factory=Future)
    audio: MeasuredAudio | None = None
    arrived: float = field(default_factory=time.monotonic)

    @property
    def turn(self) -> float:
        """The job with the lowest goes first; a long one waits a bounded time for others."""
        return self.arrived + PASSING * self.seconds


class JobQueue:
    """Queue of jobs and the threads that work on it; a context manager.

    Args:
        scorer: Model and heads.
        decoder: Decodes uploads; the caller enters it.
        capacity: Number of places.
    """

    def __init__(
        self, scorer: AestheticScorer, decoder: DecoderPool, *, capacity: int = 64
    ) -> None:
        self.scorer, self.decoder, self.capacity = scorer, decoder, capacity
        self.audio_seconds = 0.0  # computed so far
        on_gpu = scorer.device.type == "cuda"
        batch = GPU_BATCH_SECONDS if on_gpu else CPU_BATCH_SECONDS
        self._group_seconds = LOOKAHEAD_BATCHES * batch
        self._taken = 0  # places
        self._pace = 0.0  # seconds between results while there is work
        self._submitted: list[_Waiting] = []
        self._decoded: list[_Waiting] = []
        self._decoding = 0  # jobs
        self._closed = False
        self._change = threading.Condition()
        names = [f"decode-{index}" for index in range(decoder.workers)]
        self._threads = [
            *(threading.Thread(target=self._decode_all, name=n, daemon=True) for n in names),
            threading.Thread(target=self._compute_all, name="compute", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the jobs that are there, and end the threads."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def taken(self) -> int:
        """Number of places that are taken."""
        return self._taken

    @property
    def works(self) -> bool:
        """Whether the threads live, and jobs are taken."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    @contextmanager
    def places(self, count: int = 1) -> Iterator["Places"]:
        """Take places for the block.

        Raises:
            QueueFullError: If there are not so many.
        """
        places = Places(self)
        places.take(count)
        try:
            yield places
        finally:
            places.release()

    def submit(self, job: Job) -> "Future[Any]":
        """Put a job, for which there is a place, into the queue; return the future of its result.

        Raises:
            InputError: If the model makes no such embeddings.
        """
        if isinstance(job, EmbedJob):
            self._check_embeds(job)
        size = os.fstat(job.upload.file.fileno()).st_size
        waiting = _Waiting(job, min(size / BYTES_PER_SECOND, self.decoder.max_seconds))
        with self._change:
            self._submitted.append(waiting)
            self._change.notify_all()
        return waiting.future

    def _take(self, count: int) -> None:
        with self._change:
            if self._taken + count > self.capacity:
                free = self.capacity - self._taken
                retry_after = min(max(math.ceil(count * self._pace), 1), LONGEST_RETRY)
                raise QueueFullError(
                    f"the queue has {free} of {self.capacity} places free, this needs {count}; "
                    f"try again in {retry_after} s",
                    retry_after,
                )
            self._taken += count

    def _release(self, count: int) -> None:
        with self._change:
            self._taken -= count

    def _check_embeds(self, job: EmbedJob) -> None:
        sample_rate_of(job.embedding)
        fused = self.scorer.required_model.fused
        if tuple(fused.encoders) != tuple(SOURCES) or tuple(fused.views) != tuple(VIEWS):
            raise InputError(
                f"head {self.scorer.scorer_set.name} needs a part of the model, and embeddings "
                "need all of it; serve with a head that reads the fused feature"
            )

    # Decoding

    def _decode_all(self) -> None:
        while (waiting := self._next_to_decode()) is not None:
            audio, error = None, None
            try:
                audio = self._decode(waiting.job)
            except Exception as failure:  # noqa: BLE001 - the others go on
                error = failure
            with self._change:
                self._decoding -= 1
                if audio is not None:
                    waiting.audio = audio
                    waiting.seconds = len(audio.waveforms) / self._sample_rate(waiting.job)
                    self._decoded.append(waiting)
                self._change.notify_all()
            if error is not None:
                _fail(waiting, error)

    def _next_to_decode(self) -> _Waiting | None:
        """Wait for the next job, and for room for its audio; None when the queue has ended."""
        with self._change:
            while True:
                self._change.wait_for(
                    lambda: self._has_room() or (self._closed and not self._submitted)
                )
                if not self._submitted:
                    return None
                waiting = min(self._submitted, key=_turn)
                self._submitted.remove(waiting)
                if not waiting.future.cancelled():
                    self._decoding += 1
                    return waiting

    def _has_room(self) -> bool:
        """Return whether there is a job to decode, and not too much that goes before it."""
        turn = min(map(_turn, self._submitted), default=-math.inf)
        ahead = sum(waiting.seconds for waiting in self._decoded if waiting.turn <= turn)
        return bool(self._submitted) and ahead < self._group_seconds

    def _decode(self, job: Job) -> MeasuredAudio:
        span = {"start": job.start, "end": job.end}
        if isinstance(job, ScoreJob):
            needs = {**self.scorer.measure_options, "target": job.loudness}
            return self.decoder.decode(job.upload, {**needs, **span})
        wanted = WaveformFormat(self._sample_rate(job))
        needs = {"formats": [str(wanted)], "min_seconds": MIN_SECONDS, "measured": False}
        return self.decoder.decode(job.upload, {**needs, **span})

    def _sample_rate(self, job: Job) -> int:
        """Return the rate of the first waveform of a job in Hz."""
        if isinstance(job, ScoreJob):
            return self.scorer.scorer_set.formats[0].rate
        return sample_rate_of(job.embedding)

    # Computing

    def _compute_all(self) -> None:
        while group := self._next_group():
            began, done = time.monotonic(), 0
            try:
                for waiting, result in zip(group, self._results(group), strict=True):
                    done += 1
                    self.audio_seconds += waiting.seconds
                    if result.error is None:
                        _succeed(waiting, result.output)
                    else:
                        _fail(waiting, result.error)
            except Exception as error:  # noqa: BLE001 - the next group is to be computed
                for waiting in group[done:]:
                    _fail(waiting, error)
            seconds = (time.monotonic() - began) / len(group)
            self._pace += (seconds - self._pace) * (SMOOTHING if self._pace else 1.0)
            group.clear()  # its audio is not kept until the next one comes

    def _next_group(self) -> list[_Waiting]:
        """Wait for decoded jobs, take the first and those like it; none: the queue has ended."""
        with self._change:
            while True:
                self._change.wait_for(
                    lambda: (
                        self._decoded
                        or (self._closed and not self._submitted and not self._decoding)
                    )
                )
                living = [w for w in self._decoded if not w.future.cancelled()]
                living.sort(key=_turn)
                group = living[:1]
                for waiting in living[1:]:
                    alike = waiting.job.kind == group[0].job.kind
                    seconds = sum(w.seconds for w in (*group, waiting))
                    if alike and seconds <= self._group_seconds:
                        group.append(waiting)
                self._decoded = [w for w in living if w not in group]
                self._change.notify_all()
                if group or (self._closed and not self._submitted and not self._decoding):
                    return group

    def _results(self, group: list[_Waiting]) -> Iterable[Result[Any]]:
        clips = [_clip(waiting) for waiting in group]
        job = group[0].job
        if isinstance(job, ScoreJob):
            return self.scorer.score_files(
                clips, timeline=job.timeline, explain=job.explain, measure=_measured
            )
        return self._embeddings(clips, job.embedding)

    def _embeddings(self, clips: list[_DecodedSpan], kind: str) -> Iterator[Result[Any]]:
        model = self.scorer.required_model
        made = origin(model, kind)
        for result in embed(clips, model, kind, load=_only_waveform):
            if result.error is None:
                clip = result.item
                span = {"start": clip.start, "end": clip.end, "duration": result.seconds}
                arrays = {name: tensor.numpy() for name, tensor in result.output.items()}
                embedding = Embedding(**arrays, meta={"path": clip.path, **span, **made})
                yield Result(clip, result.seconds, embedding)
            else:
                yield result


class Places:
    """Places in a queue that one request holds."""

    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs
        self._count = 0

    def take(self, count: int) -> None:
        """Take further places.

        Raises:
            QueueFullError: If there are not so many; those that are held stay.
        """
        self._jobs._take(count)
        self._count += count

    def release(self) -> None:
        """Give all places back."""
        self._jobs._release(self._count)
        self._count = 0


def _turn(waiting: _Waiting) -> float:
    return waiting.turn


def _clip(waiting: _Waiting) -> _DecodedSpan:
    job, audio = waiting.job, waiting.audio
    assert audio is not None
    prompt = job.prompt if isinstance(job, ScoreJob) else None
    return _DecodedSpan(job.upload.name, job.start, job.end, prompt, audio=audio)


def _only_waveform(clip: _DecodedSpan) -> np.ndarray:
    (waveform,) = clip.audio.waveforms.by_name.values()
    return waveform


def _measured(clip: _DecodedSpan, **_: Any) -> MeasuredAudio:
    """Return the audio of a clip, which was decoded with these options."""
    return clip.audio


def _succeed(waiting: _Waiting, output: Any) -> None:
    with suppress(InvalidStateError):  # cancelled meanwhile
        waiting.future.set_result(output)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if waiting.future.cancelled():  # and its file closed, which may be the error
        return
    if not isinstance(error, HearAestheticsError):
        logger.error("%s failed", type(waiting.job).__name__, exc_info=error)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        error = HearAestheticsError(
            f"{waiting.job.upload.name}: {text}; this was not expected, please report it"
        )
    with suppress(InvalidStateError):
        waiting.future.set_exception(error)
