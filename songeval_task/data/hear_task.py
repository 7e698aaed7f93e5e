"""SongEval as a HEAR task, so that any HEAR module can be measured on it.

A regression task in HEAR's folder layout: ``48000/<split>/*.flac`` (16 bits, mono; the official
reader takes any container), one ``<split>.json`` per split with the mean ratings of each file, and
``labelvocabulary.csv`` with one row per target in order. The split files are written last, so that
a folder that has them is complete.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.files import csv_text, remove_leftovers, write_text
from hear_aesthetics.fingerprint import check, start_over
from hear_aesthetics.spec import API_SAMPLE_RATE
from hear_aesthetics.text_files import read_json
from songeval_task.data.prepared import Prepared, PreparedSong
from songeval_task.data.splits import SPLITS
from songeval_task.dimensions import Track

__all__ = ["task_folder", "write_task"]

METADATA = "task_metadata.json"
VERSION, MODE = "1.0.0", "full"
SCORES = ("lcc", "srcc", "ktau", "mse", "tta")  # the first selects
MAX_THREADS = 8  # decoding, resampling and encoding release the interpreter lock


def task_folder(tasks: Path, track: Track) -> Path:
    """Return the folder of a track's task."""
    return tasks / f"songeval_{track.name}-{VERSION}-{MODE}"


def write_task(
    prepared: Prepared, tasks: Path, track: Track, *, overwrite: bool = False
) -> Iterator[tuple[PreparedSong, str | None]]:
    """Write the task folder; what is there already is kept.

    Args:
        prepared: The songs and their splits.
        tasks: Folder of task folders.
        track: The targets: ratings of its dimensions.
        overwrite: Delete a task that is there.

    Yields:
        Each song once its file is there, with None, or with the error that leaves it out.

    Raises:
        InputError: If the folder was begun from other songs, or two songs would share a file.
        OSError: If a file cannot be written.
    """
    folder, songs = task_folder(tasks, track), prepared.songs
    names = _file_names(songs)
    if overwrite:
        start_over(folder / METADATA)
    _begin(folder, prepared, track)
    audio = folder / str(API_SAMPLE_RATE)
    paths = [audio / song.split / name for song, name in zip(songs, names, strict=True)]
    sources = [prepared.path(song) for song in songs]
    labels: dict[str, dict[str, list[float]]] = {split: {} for split in SPLITS}
    with ThreadPoolExecutor(min(usable_cores(), MAX_THREADS)) as pool:
        try:
            outcomes = pool.map(_write_song, paths, sources)
            for song, name, error in zip(songs, names, outcomes, strict=True):
                if error is None:
                    labels[song.split][name] = list(song.labels_of(track))
                yield song, error
        finally:
            pool.shutdown(cancel_futures=True)
    for split, files in labels.items():
        write_text(folder / f"{split}.json", json.dumps(files, indent=1))


def _begin(folder: Path, prepared: Prepared, track: Track) -> None:
    """Write what describes the task, or check it against the description that is there."""
    path = folder / METADATA
    metadata = {
        "task_name": f"songeval_{track.name}",
        "version": VERSION,
        "mode": MODE,
        "embedding_type": "scene",
        "prediction_type": "regression",
        "split_mode": "trainvaltest",
        "splits": list(SPLITS),
        "sample_duration": None,
        "evaluation": list(SCORES),
        "evaluation_params": {"top_tier_thresholds": list(track.top_tier_thresholds)},
        "origin": prepared.about.get("origin"),
        "songs_sha256": prepared.about["table_sha256"],
    }
    if path.is_file():
        check(folder, *({**made, "origin": None} for made in (read_json(path), metadata)))
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    write_text(path, json.dumps(metadata, indent=1))
    targets = enumerate(track.names)
    write_text(folder / "labelvocabulary.csv", csv_text([("idx", "label"), *targets]))


def _write_song(path: Path, source: Path) -> str | None:
    """Write a song's file unless it is there; return an error if its audio cannot be read."""
    if path.is_file():
        return None
    try:
        waveform = load_audio(source, API_SAMPLE_RATE)
    except AudioError as error:
        return str(error)
    write_audio(path, waveform, API_SAMPLE_RATE, subtype="PCM_16")
    return None


def _file_names(songs: Sequence[PreparedSong]) -> list[str]:
    """Return ``12.mp3.flac`` for ``mp3/12.mp3``; folders below ``mp3/`` are joined by dashes."""
    names = [f"{song.name.removeprefix('mp3/').replace('/', '-')}.flac" for song in songs]
    taken: dict[str, str] = {}
    for song, name in zip(songs, names, strict=True):
        if taken.setdefault(name, song.name) != song.name:
            raise InputError(f"{song.name}: would share {name} with {taken[name]}; rename one")
    return names
