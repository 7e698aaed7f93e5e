"""Augmented copies as files: FLAC at 24 kHz, and a table of what was done to each.

``OUT/<song>/<copy>.flac`` holds 24-bit samples; ``augmentations.jsonl`` has one row per file with
its song, copy, seed, the hash of the song, and the transforms with the values drawn. While copies
are made, each row is appended once its file is whole; in the end the table is put in order.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.engine.workers import in_processes
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.files import remove_leftovers, write_text
from hear_aesthetics.fingerprint import check, start_over
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.data.prepared import Prepared, PreparedSong
from songeval_task.features.augmentation import ORIGINAL, augmentation_ids, load_version

__all__ = ["Copy", "CopyJob", "find_copy", "make_copies", "plan_copies", "read_copies"]

TABLE = "augmentations.jsonl"


class CopyJob(NamedTuple):
    """A copy that is to be made."""

    song: str
    version: str
    path: Path  # of the song
    sha256: str
    seed: int

    @property
    def file(self) -> str:
        """Where the copy goes, relative to the folder of copies."""
        return f"{self.song}/{self.version}.flac"


@dataclass(frozen=True)
class Copy:
    """A row of the table.

    Attributes:
        file: Relative to the table.
        song: The song's id.
        version: The copy's name.
        sha256: Of the song's audio.
        seed: Of the augmentation.
        augmentation: What was done, in order.
        clipped: Samples beyond [-1, 1], which the file cannot hold.
        path: The file.
    """

    file: str
    song: str
    version: str
    sha256: str
    seed: int
    augmentation: list[dict[str, Any]]
    clipped: int = 0
    path: Path = field(default=Path(), compare=False)


def plan_copies(prepared: Prepared, copies: int, protocol: str, seed: int) -> list[CopyJob]:
    """The copies of the training songs that a protocol takes.

    Raises:
        ValueError: If the protocol is unknown or takes copies that are not made.
    """
    versions = [name for name in augmentation_ids(copies, protocol) if name != ORIGINAL]
    return [
        CopyJob(song.name, version, prepared.path(song), song.sha256, seed)
        for song in prepared.split("train")
        for version in versions
    ]


def make_copies(
    jobs: Iterable[CopyJob], out: Path, workers: int, *, overwrite: bool = False
) -> Iterator[tuple[CopyJob, str | None]]:
    """Make the copies that are not there yet, in worker processes.

    Args:
        jobs: All copies that the folder is to hold.
        out: The folder.
        workers: Processes.
        overwrite: Delete the copies that are there.

    Yields:
        Each job once its file is there, those that were first, with None; or with the error of its
        song.

    Raises:
        InputError: If the folder holds copies of another seed.
        OSError: If a file cannot be written.
    """
    jobs = list(jobs)
    if overwrite:
        start_over(out / TABLE)
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    found = _whole_rows(out / TABLE)
    for job in jobs:
        if job.file in found:
            check(out, {"seed": found[job.file].seed}, {"seed": job.seed})
    rows = {job: found[job.file] for job in jobs if _is_done(job, found.get(job.file), out)}
    write_text(out / TABLE, "".join(_line(row) for row in rows.values()))
    yield from ((job, None) for job in rows)
    missing = [job for job in jobs if job not in rows]
    with (out / TABLE).open("a", encoding="utf-8") as table:
        for job, made in in_processes(partial(_make, out), missing, workers):
            if isinstance(made, Copy):
                rows[job] = made
                table.write(_line(made))
                table.flush()
            yield job, None if isinstance(made, Copy) else made
    write_text(out / TABLE, "".join(_line(rows[job]) for job in jobs if job in rows))


def read_copies(folder: Path) -> dict[tuple[str, str], Copy]:
    """Copies by song and version.

    Raises:
        InputError: If the folder has no table of copies.
    """
    path = folder / TABLE
    if not path.is_file():
        raise InputError(f"{path}: not there; run `songeval augment` first")
    return {(row.song, row.version): row for row in _whole_rows(path).values()}


def find_copy(
    copies: Mapping[tuple[str, str], Copy], folder: Path, song: PreparedSong, version: str
) -> Copy:
    """A copy of a song as it is now.

    Raises:
        InputError: If there is none.
    """
    copy = copies.get((song.name, version))
    if copy is None or copy.sha256 != song.sha256:
        raise InputError(f"{folder}: no {version} of {song.name}; run `songeval augment` again")
    return copy


def _make(out: Path, job: CopyJob) -> Copy | str:
    """Write a copy; what is wrong with its song, if it cannot be read."""
    try:
        waveform, records = load_version(
            job.path, name=job.song, version=job.version, seed=job.seed
        )
    except AudioError as error:
        return str(error)
    write_audio(out / job.file, waveform, SAMPLE_RATE, subtype="PCM_24")
    clipped = int((np.abs(waveform) > 1).sum())
    return Copy(job.file, job.song, job.version, job.sha256, job.seed, records, clipped)


def _is_done(job: CopyJob, row: Copy | None, out: Path) -> bool:
    return row is not None and row.sha256 == job.sha256 and (out / job.file).is_file()


def _whole_rows(path: Path) -> dict[str, Copy]:
    """Rows by file; a last line that was being written when the run was killed is no row."""
    if not path.is_file():
        return {}
    rows: dict[str, Copy] = {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        with suppress(ValueError, TypeError, KeyError):  # no row: its copy is made again
            row = json.loads(line) if line.endswith("\n") else {}
            rows[row["file"]] = Copy(**row, path=path.parent / row["file"])
    return rows


def _line(row: Copy) -> str:
    fields = {key: value for key, value in asdict(row).items() if key != "path"}
    return json.dumps(fields) + "\n"
