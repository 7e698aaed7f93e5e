"""Augmented versions of songs as files: FLAC at 24 kHz, and a table of what was done to each.

``OUT/<song>/<version>.flac`` holds 24-bit samples; ``augmentations.jsonl`` has one row per file
with its song, version, seed, the hash of the song, and the transforms with the values drawn. Each
row is appended once its file is whole; in the end the table is put in order.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.corpus.stored import AnyPath
from hear_aesthetics.engine.workers import in_processes
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.files import remove_leftovers, write_text
from hear_aesthetics.fingerprint import check, start_over
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.data.prepared import Prepared, PreparedSong
from songeval_task.features.augmentation import (
    ORIGINAL,
    current_name,
    load_version,
    version_names,
)

__all__ = ["AugmentedFile", "SongVersion", "make_augmented", "plan_versions", "read_augmented"]

TABLE = "augmentations.jsonl"


@dataclass
class SongVersion:
    """One version of one song, and where its audio comes from.

    Attributes:
        song: The song.
        version: ``"original"`` or the name of an augmented version.
        path: Its audio file: the song's, or the one that ``songeval augment`` wrote.
        seed: Of the augmentation.
        augmentation: What was done to the audio; where that is done as it is loaded, from then on.
        made: Whether the file holds this version already.
    """

    song: PreparedSong
    version: str
    path: AnyPath
    seed: int = 0
    augmentation: list[dict[str, Any]] = field(default_factory=list)
    made: bool = True


@dataclass(frozen=True)
class AugmentedFile:
    """A row of the table.

    Attributes:
        file: Relative to the table.
        song: The song's id.
        version: Name of the augmented version.
        sha256: Of the song's audio.
        seed: Of the augmentation.
        augmentation: What was done, in order.
    """

    file: str
    song: str
    version: str
    sha256: str
    seed: int
    augmentation: list[dict[str, Any]]


def plan_versions(
    prepared: Prepared,
    augmentations: int,
    versions: str,
    seed: int,
    augmented: Path | None = None,
    audio: Mapping[str, AnyPath] | None = None,
) -> list[SongVersion]:
    """Return every song as it is, and the augmented versions of those that train.

    Args:
        prepared: The songs.
        augmentations: Augmented versions of each.
        versions: One of ``VERSIONS``.
        seed: Of the versions that are not made yet.
        augmented: Folder of ``songeval augment``, to take the versions from.
        audio: Song name -> its audio, where that is not in the prepared folder.

    Raises:
        InputError: If ``versions`` is unknown or takes one of none, a song is not in ``audio``, or
            a version not in ``augmented``.
    """
    names = [name for name in version_names(augmentations, versions) if name != ORIGINAL]
    written = read_augmented(augmented) if augmented else {}
    planned = []
    for song in prepared.songs:
        path: AnyPath | None = prepared.path(song) if audio is None else audio.get(song.name)
        if path is None:
            raise InputError(f"{song.name}: is not in --audio; its keys are to be names of songs")
        planned.append(SongVersion(song, ORIGINAL, path))
        for name in names if song.split == "train" else ():
            if augmented is None:
                planned.append(SongVersion(song, name, path, seed, made=False))
                continue
            row = written.get((song.name, name))
            if row is None or row.sha256 != song.sha256:
                raise InputError(
                    f"{augmented}: no {name} of {song.name}; run `songeval augment` again"
                )
            path_of_row = augmented / row.file
            planned.append(SongVersion(song, name, path_of_row, row.seed, row.augmentation))
    return planned


def make_augmented(
    versions: Iterable[SongVersion], out: Path, workers: int, *, overwrite: bool = False
) -> Iterator[tuple[SongVersion, str | None]]:
    """Make the augmented versions that are not there yet, in worker processes.

    Args:
        versions: All that the folder is to hold.
        out: The folder.
        workers: Number of processes.
        overwrite: Delete the versions that are there.

    Yields:
        Each version once its file is there, those that were first, with None; or with the error of
        its song.

    Raises:
        InputError: If the folder holds versions of another seed.
        OSError: If a file cannot be written.
    """
    if overwrite:
        start_over(out / TABLE)
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    found = _whole_rows(out / TABLE)
    wanted = {(version.song.name, version.version): version for version in versions}
    rows: dict[tuple[str, str], AugmentedFile] = {}
    for key, version in wanted.items():
        row = found.get(key)
        if row is not None:
            check(out, {"seed": row.seed}, {"seed": version.seed})
            if row.sha256 == version.song.sha256 and (out / row.file).is_file():
                rows[key] = row
    write_text(out / TABLE, "".join(map(_line, rows.values())))
    yield from ((wanted[key], None) for key in rows)
    missing = [version for key, version in wanted.items() if key not in rows]
    with (out / TABLE).open("a", encoding="utf-8") as table:
        for version, made in in_processes(partial(_make, out), missing, workers):
            if isinstance(made, AugmentedFile):
                rows[made.song, made.version] = made
                table.write(_line(made))
                table.flush()
            yield version, made if isinstance(made, str) else None
    write_text(out / TABLE, "".join(_line(rows[key]) for key in wanted if key in rows))


def read_augmented(folder: Path) -> dict[tuple[str, str], AugmentedFile]:
    """Return the rows of a folder's table by song and version.

    Raises:
        InputError: If the folder has no table.
    """
    if not (folder / TABLE).is_file():
        raise InputError(f"{folder / TABLE}: not there; run `songeval augment` first")
    return _whole_rows(folder / TABLE)


def _make(out: Path, version: SongVersion) -> AugmentedFile | str:
    """Write an augmented version. Returns its row, or an error if the song cannot be read."""
    song, name, seed = version.song, version.version, version.seed
    try:
        waveform, records = load_version(version.path, name=song.name, version=name, seed=seed)
    except AudioError as error:
        return str(error)
    file = f"{song.name}/{name}.flac"
    write_audio(out / file, waveform, SAMPLE_RATE, subtype="PCM_24")
    return AugmentedFile(file, song.name, name, song.sha256, seed, records)


def _whole_rows(path: Path) -> dict[tuple[str, str], AugmentedFile]:
    """Return the rows; a last line that was being written when the run was killed is no row."""
    rows: dict[tuple[str, str], AugmentedFile] = {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else ()
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):  # no row: its file is made again
            fields = json.loads(line) if line.endswith("\n") else {}
            row = AugmentedFile(**fields | {"version": current_name(fields["version"])})
            rows[row.song, row.version] = row
    return rows


def _line(row: AugmentedFile) -> str:
    return json.dumps(asdict(row)) + "\n"
