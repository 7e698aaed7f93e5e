"""Where predictions come from: a run's folder, a table of scores, or an answer file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError
from songeval_task.dimensions import TRACKS, Track
from songeval_task.evaluation import Predictions
from songeval_task.preparation import read_systems
from songeval_task.prepared import read_prepared
from songeval_task.training.run import METRICS_FILE, PREDICTIONS_FILE

__all__ = ["Source", "read_predictions"]


@dataclass(frozen=True)
class Source:
    """Predictions and where they come from.

    Attributes:
        name: Of the run or file.
        split: Which songs.
        predictions: Scores beside ratings.
        details: What the run says of itself, for the report.
    """

    name: str
    split: str
    predictions: Predictions
    details: Mapping[str, Any]


def read_predictions(
    path: Path, prepared: Path | None, *, split: str = "test", systems: Path | None = None
) -> Source:
    """Predictions for the songs of a split.

    Args:
        path: Folder of a run; CSV with a column ``name`` or ``path`` and one per dimension; or an
            answer file.
        prepared: Folder with the ratings; a run has its own.
        split: Which songs; others that the file scores are left out.
        systems: CSV ``name,system`` over what the data say.

    Raises:
        InputError: If something is missing or a song of the split has no score.
    """
    source = _of_run(path, split) if path.is_dir() else _of_scores(path, prepared, split)
    if systems is None:
        return source
    known = read_systems(systems)
    named = tuple(known.get(song, "") for song in source.predictions.songs)
    return replace(source, predictions=replace(source.predictions, systems=named))


def _of_run(folder: Path, split: str) -> Source:
    import pandas as pd

    try:
        details = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
        table = pd.read_csv(folder / PREDICTIONS_FILE, dtype={"name": str, "system": str})
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not a finished run ({error}); train it to its end") from error
    rows = table[table["split"] == split]
    if rows.empty:
        raise InputError(f"{folder / PREDICTIONS_FILE}: no songs of split {split!r}")
    found = Predictions.from_table(rows, TRACKS[details["track"]], str(folder / PREDICTIONS_FILE))
    return Source(folder.name, split, found, details)


def _of_scores(path: Path, prepared: Path | None, split: str) -> Source:
    if prepared is None:
        raise InputError(f"{path}: scores need ratings to compare with; name them with --data")
    songs = read_prepared(prepared, need_audio=False).split(split)
    if not songs:
        raise InputError(f"{prepared}: no songs of split {split!r}")
    scores, track = _read_scp(path) if path.suffix.lower() == ".scp" else _read_csv(path)
    missing = [song.name for song in songs if Path(song.name).stem not in scores]
    if missing:
        raise InputError(f"{path}: no score of {missing[0]} ({len(missing)} missing); score it")
    found = Predictions(
        tuple(song.name for song in songs),
        tuple(song.system for song in songs),
        np.array([scores[Path(song.name).stem] for song in songs], dtype=np.float64),
        np.array([song.labels_of(track) for song in songs], dtype=np.float64),
        track,
    )
    return Source(path.name, split, found, {})


def _read_scp(path: Path) -> tuple[dict[str, list[float]], Track]:
    """Utterance id -> scores, and the track by their number."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
        scores = {line[0]: [float(value) for value in line[1:]] for line in lines}
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not an answer file ({error}); write `utt score ...`") from error
    widths = {len(values) for values in scores.values()}
    tracks = {len(track.dimensions): track for track in TRACKS.values()}
    if len(widths) != 1 or not widths <= set(tracks):
        raise InputError(f"{path}: lines hold {sorted(widths)} scores; a track has one or five")
    _check_unique(path, [line[0] for line in lines])
    return scores, tracks[widths.pop()]


def _read_csv(path: Path) -> tuple[dict[str, list[float]], Track]:
    """File stem -> scores, and the widest track whose columns are there."""
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table of scores ({error})") from error
    key = next((name for name in ("name", "path") if name in table), None)
    fitting = [track for track in TRACKS.values() if set(track.names) <= set(table)]
    if key is None or not fitting:
        raise InputError(f"{path}: needs a column name or path and one per dimension")
    track = max(fitting, key=lambda track: len(track.dimensions))
    table = table.dropna(subset=list(track.names))
    stems = [Path(str(name)).stem for name in table[key]]
    _check_unique(path, stems)
    values = table[list(track.names)].to_numpy(dtype=np.float64).tolist()
    return dict(zip(stems, values, strict=True)), track


def _check_unique(path: Path, stems: list[str]) -> None:
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise InputError(f"{path}: {twice[0]!r} is scored twice; keep one line of it")
