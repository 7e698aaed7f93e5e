"""Predictions from a run's folder, a table of scores, or an answer file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import PROVENANCE, read_record
from hear_aesthetics.text_files import finite_number, read_json, read_table, read_text
from songeval_task.data.preparation import read_systems
from songeval_task.data.prepared import read_prepared
from songeval_task.data.splits import current_split
from songeval_task.dimensions import TRACKS, Track
from songeval_task.protocol import PREDICTED, RATED, SongPredictions
from songeval_task.training.run import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    STATE_FOLDER,
)

__all__ = ["NamedPredictions", "prepared_of", "read_predictions", "with_systems"]


@dataclass(frozen=True)
class NamedPredictions:
    """Predictions of a run or a file.

    Attributes:
        name: Name of the run or file.
        split: Split of the songs.
        predictions: Scores beside ratings.
        details: Metrics and settings of the run, for the report.
    """

    name: str
    split: str
    predictions: SongPredictions
    details: Mapping[str, Any]


def read_predictions(
    path: Path, prepared: Path | None, *, split: str = "test", systems: Path | None = None
) -> NamedPredictions:
    """Return the predictions for the songs of a split.

    Args:
        path: Folder of a run; CSV with a column ``name`` or ``path`` and one per dimension; or an
            answer file.
        prepared: Folder with the ratings; a run has its own.
        split: Split of the songs; others that the file scores are left out.
        systems: CSV ``name,system``, instead of the systems of the data.

    Raises:
        InputError: If something is missing, a song of the split has no score, or a score is not a
            finite number; names the line.
    """
    source = _of_run(path, split) if path.is_dir() else _of_scores(path, prepared, split)
    return with_systems(source, systems)


def prepared_of(run: Path) -> Path | None:
    """Return the folder of prepared songs that a run was trained on; None: not recorded."""
    try:
        folder = read_record(run / STATE_FOLDER / RECORD_FILE)[PROVENANCE].get("data")
    except InputError:
        return None
    return Path(folder) if folder else None


def with_systems(source: NamedPredictions, systems: Path | None) -> NamedPredictions:
    """Return predictions with the systems of a CSV ``name,system``; None: with their own."""
    if systems is None:
        return source
    known = read_systems(systems)
    named = tuple(known.get(song, "") for song in source.predictions.songs)
    return replace(source, predictions=replace(source.predictions, systems=named))


def _of_run(folder: Path, split: str) -> NamedPredictions:
    path = folder / PREDICTIONS_FILE
    try:
        details = read_json(folder / METRICS_FILE)
        track = TRACKS[details["track"]]
        columns, table = read_table(path)
    except (InputError, KeyError) as error:
        raise InputError(f"{folder}: not a finished run ({error}); train it to its end") from error
    predicted, rated = ([prefix + name for name in track.names] for prefix in (PREDICTED, RATED))
    missing = [name for name in ("name", "split", *predicted, *rated) if name not in columns]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]!r}; name a table of predictions")
    rows = [(place, row) for place, row in table if current_split(row["split"]) == split]
    if not rows:
        raise InputError(f"{path}: no songs of split {split!r}")
    found = SongPredictions(
        tuple(row["name"] for _, row in rows),
        tuple(row.get("system", "") for _, row in rows),
        np.array([_numbers(row, predicted, place) for place, row in rows]),
        np.array([_numbers(row, rated, place) for place, row in rows]),
        track,
    )
    return NamedPredictions(folder.name, split, found, details)


def _of_scores(path: Path, prepared: Path | None, split: str) -> NamedPredictions:
    if prepared is None:
        raise InputError(f"{path}: scores need ratings to compare with; name them with --data")
    songs = read_prepared(prepared, need_audio=False).split(split)
    if not songs:
        raise InputError(f"{prepared}: no songs of split {split!r}")
    scores, track = _read_scp(path) if path.suffix.lower() == ".scp" else _read_csv(path)
    missing = [song.name for song in songs if Path(song.name).stem not in scores]
    if missing:
        raise InputError(f"{path}: no score of {missing[0]} ({len(missing)} missing); score it")
    found = SongPredictions(
        tuple(song.name for song in songs),
        tuple(song.system for song in songs),
        np.array([scores[Path(song.name).stem] for song in songs], dtype=np.float64),
        np.array([song.labels_of(track) for song in songs], dtype=np.float64),
        track,
    )
    return NamedPredictions(path.name, split, found, {})


def _read_scp(path: Path) -> tuple[dict[str, list[float]], Track]:
    """Return utterance id -> scores, and the track by their number."""
    tracks = {len(track.dimensions): track for track in TRACKS.values()}
    scores: dict[str, list[float]] = {}
    width = 0
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        name, *texts = line.split() or [""]
        if not name:
            continue
        place = f"{path}: line {number}"
        width = width or len(texts)
        if len(texts) != width or width not in tracks:
            raise InputError(
                f"{place} holds {len(texts)} scores; write `utt score ...` with one or five, "
                "as many in every line"
            )
        _add(scores, name, [finite_number(text, place) for text in texts], place)
    if not scores:
        raise InputError(f"{path}: holds no scores; write `utt score ...` per song")
    return scores, tracks[width]


def _read_csv(path: Path) -> tuple[dict[str, list[float]], Track]:
    """Return file stem -> scores, and the widest track whose columns are there."""
    columns, rows = read_table(path)
    key = next((name for name in ("name", "path") if name in columns), None)
    fitting = [track for track in TRACKS.values() if set(track.names) <= set(columns)]
    if key is None or not fitting:
        raise InputError(f"{path}: needs a column name or path and one per dimension")
    track = max(fitting, key=lambda track: len(track.dimensions))
    scores: dict[str, list[float]] = {}
    for place, row in rows:
        if any(row[name] for name in track.names):  # no score at all: a file that failed
            _add(scores, Path(row[key]).stem, _numbers(row, track.names, place), place)
    return scores, track


def _numbers(row: Mapping[str, str], columns: Sequence[str], place: str) -> list[float]:
    return [finite_number(row[name], f"{place}, column {name!r}") for name in columns]


def _add(scores: dict[str, list[float]], stem: str, values: list[float], place: str) -> None:
    if stem in scores:
        raise InputError(f"{place}: {stem!r} is scored twice; keep one line of it")
    scores[stem] = values
