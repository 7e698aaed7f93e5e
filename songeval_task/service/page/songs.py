"""Songs of one visitor: uploads, their rows, and the way through the queue of the service.

Gradio stores an upload as a file. It is opened and unlinked as soon as the page is told of it, so
that nothing stays on the disk; what the page needs later is sent again by the browser.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.audio.waveforms import WaveformFormat
from hear_aesthetics.errors import HearAestheticsError, InputError
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.scoring.rows import OK, ScoreRow
from songeval_task.service.decoding.pool import Upload
from songeval_task.service.job_queue import MIN_SECONDS, Job, JobQueue, QueueFullError

__all__ = [
    *("MAX_SONGS", "Song", "Visit"),
    *("decoded", "line_html", "name_html", "open_uploads", "work"),
]

MAX_SONGS = 50  # dropped at a time
SHARE = 4  # of the places of the queue, one visitor takes a part
PAUSE = 0.5, 2.0  # seconds, from and to, between two looks at a full queue
NAME_LENGTH = 200  # characters that are kept


@dataclass
class Song:
    """A song on the page.

    Attributes:
        song_id: Its identifier, which the browser gave.
        name: Name of the file, as it was given.
        row: Row of its scores or of its error; empty while it waits.
        waveform: Lowest and highest sample of each stretch, from :func:`charts.peaks`.
        distance: Of :class:`songeval_task.scoring.rows.Scores`.
    """

    song_id: str
    name: str
    row: ScoreRow = field(default_factory=dict)
    waveform: np.ndarray = field(default_factory=lambda: np.zeros((2, 1)), repr=False)
    distance: Mapping[str, float] = field(default_factory=dict)

    @property
    def scored(self) -> bool:
        """Whether it has scores."""
        return self.row.get("status") == OK


@dataclass
class Visit:
    """What the page knows of one visitor, for as long as the page is open.

    Attributes:
        songs: Identifier -> song, in the order in which they were dropped.
    """

    songs: dict[str, Song] = field(default_factory=dict)

    @property
    def scored(self) -> list[Song]:
        """Songs that have scores, the best first."""
        good = [song for song in self.songs.values() if song.scored]
        return sorted(good, key=lambda song: -song.row["mean"])

    @property
    def rows(self) -> list[ScoreRow]:
        """Rows of all songs that do not wait, in the order in which they were dropped."""
        return [song.row for song in self.songs.values() if song.row]

    def of(self, ids: Iterable[str]) -> list[Song]:
        """Return the songs of these identifiers that have scores."""
        known = (self.songs.get(name) for name in ids)
        return [song for song in known if song is not None and song.scored]


def name_html(name: str) -> str:
    """Return a name as HTML, apart from what follows it: it may be written from right to left."""
    return f"<bdi>{escape(name)}</bdi>"


def line_html(line: str) -> str:
    """Return a line that may begin with a name and a colon as HTML."""
    name, colon, rest = line.partition(": ")
    return name_html(name) + colon + escape(rest)


def _checked(sent: Any, folder: Path) -> tuple[str, str, Path]:
    """Return identifier, name and path of what a browser sent, which may be anything.

    Raises:
        InputError: If it is no upload to this server.
    """
    try:
        song_id, name, path = (str(sent[key]) for key in ("id", "name", "path"))
        place = Path(path).resolve()
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise InputError("the browser sent no upload; load the page again") from error
    if not (place.is_relative_to(folder.resolve()) and place.is_file()):
        raise InputError(f"{name}: did not arrive; drop it again")
    return song_id[:NAME_LENGTH], name[:NAME_LENGTH], place


@contextmanager
def open_uploads(sent: Any, folder: Path) -> Iterator[list[tuple[Song, Upload]]]:
    """Open files that a browser sent, and unlink them: they are gone after the block.

    Args:
        sent: A list of ``{"id": ..., "name": ..., "path": ...}``.
        folder: Folder that uploads are in.

    Raises:
        InputError: If it is no such list, or too long.
    """
    if not isinstance(sent, list) or len(sent) > MAX_SONGS:
        raise InputError(f"at most {MAX_SONGS} songs at a time; drop fewer")
    with ExitStack() as stack:
        opened = []
        for item in sent:
            song_id, name, path = _checked(item, folder)
            file = stack.enter_context(path.open("rb"))
            path.unlink(missing_ok=True)
            with suppress(OSError):  # another upload of the same content may be in it
                path.parent.rmdir()
            opened.append((Song(song_id, name), Upload(file, name)))
        yield opened


async def decoded(jobs: JobQueue, upload: Upload, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return the waveform of a file, to be drawn, at a rate in Hz: ``(samples,)``.

    Raises:
        AudioError: If it cannot be decoded.
    """
    wanted = str(WaveformFormat(sample_rate))
    options = {"formats": [wanted], "min_seconds": MIN_SECONDS, "measured": False}
    audio = await asyncio.to_thread(jobs.decoder.decode, upload, options)
    return audio.waveforms.by_name[wanted]


async def work(jobs: JobQueue, todo: Sequence[Job]) -> AsyncGenerator[tuple[int | None, Any], None]:
    """Yield the index of each job and its result or error, in the order in which they are ready.

    While the queue is full, None and a sentence are yielded. One visitor holds a part of the
    places, so that others get theirs; what is not finished when the visitor leaves is cancelled.
    """
    while True:
        try:
            with jobs.places(1) as places:
                held = 1
                with suppress(QueueFullError):
                    while held < min(len(todo), jobs.capacity // SHARE):
                        places.take(1)
                        held += 1
                async with aclosing(_in_flight(jobs, todo, held)) as results:
                    async for found in results:
                        yield found
            return
        except QueueFullError as full:
            yield None, str(full)
            await asyncio.sleep(random.uniform(*PAUSE))


async def _in_flight(
    jobs: JobQueue, todo: Sequence[Job], held: int
) -> AsyncGenerator[tuple[int, Any], None]:
    """Keep as many jobs in the queue as there are places for."""
    waiting = dict(enumerate(todo))
    running: dict[asyncio.Future[Any], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < held:
                index = next(iter(waiting))
                running[asyncio.wrap_future(jobs.submit(waiting.pop(index)))] = index
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for finished in done:
                error = finished.exception()
                if error is not None and not isinstance(error, HearAestheticsError):
                    raise error
                yield running.pop(finished), error or finished.result()
    finally:
        for future in running:
            future.cancel()  # which cancels the job
