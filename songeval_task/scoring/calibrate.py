"""Calibration of a head from a table of rated songs, scored through the engine.

The pooled vector of each song is kept in a journal beside the output until the calibration is
written, so that an interruption costs no finished work.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.engine.inference import run
from hear_aesthetics.errors import InputError
from hear_aesthetics.model import HearModel
from hear_aesthetics.spec import MAX_MINUTES
from hear_aesthetics.text_files import finite_number, read_table
from songeval_task.scoring.head_scorers import HeadScorer
from songeval_task.scoring.outputs.journal import Journal, clip_key
from songeval_task.scoring.rows import OK, AudioSpan
from songeval_task.scoring.scorer import AestheticScorer
from songeval_task.uncertainty.calibration import Calibration, check_songs
from songeval_task.uncertainty.reference import ReferenceSongs, cross_distance

__all__ = ["RatedSong", "calibration_of", "pool_rated_songs", "read_ratings"]


@dataclass(frozen=True)
class RatedSong:
    """A song with its mean rating per dimension of a head; the system may be empty."""

    clip: AudioSpan
    ratings: tuple[float, ...]
    system: str = ""


def read_ratings(path: Path, head: HeadScorer) -> tuple[list[RatedSong], list[str]]:
    """Return the rated songs of a table, and a line on each song without ratings.

    Args:
        path: CSV with the columns ``path``, one per dimension, and perhaps ``system``. Paths are
            relative to its folder.
        head: Head whose dimensions are wanted.

    Raises:
        InputError: If a column is missing, a rating is no number on the head's scale, a song comes
            twice, or the songs cannot calibrate.
    """
    columns, rows = read_table(path)
    missing = [name for name in ("path", *head.columns) if name not in columns]
    if missing:
        raise InputError(
            f"{path}: has no column {missing[0]!r}; it needs path, {', '.join(head.columns)}"
        )
    scale = head.head.config
    songs: dict[Path, RatedSong] = {}
    unrated = []
    for place, row in rows:
        if not all(row[name].strip() for name in head.columns):
            unrated.append(f"{place}: {row['path']} has no rating in every dimension; left out")
            continue
        ratings = tuple(finite_number(row[n], f"{place}, column {n!r}") for n in head.columns)
        wrong = [value for value in ratings if not scale.low <= value <= scale.high]
        if wrong:
            span = f"{scale.low:g} to {scale.high:g}"
            raise InputError(f"{place}: the rating {wrong[0]:g} is outside {span}; correct it")
        song = path.parent / row["path"]
        if song in songs:
            raise InputError(f"{place}: {row['path']} is rated twice; keep one line of it")
        songs[song] = RatedSong(AudioSpan(song), ratings, row.get("system", ""))
    _check(path, head, list(songs.values()))
    return list(songs.values()), unrated


def pool_rated_songs(
    scorer: AestheticScorer,
    head: HeadScorer,
    songs: Sequence[RatedSong],
    journal: Journal,
    max_minutes: float = MAX_MINUTES,
) -> Iterator[tuple[RatedSong, np.ndarray | None, Exception | None]]:
    """Yield each song with its pooled vector, or with the error that leaves it out.

    Args:
        scorer: Holds the model.
        head: Its head.
        songs: The songs.
        journal: Keeps the vectors; those that it has are not computed again.
        max_minutes: Longest song.
    """

    def work(model: HearModel, waveform: Tensor) -> Tensor:
        features = model.extract(waveform, scorer.scorer_set.states)
        return head.head.pool(head.input(features)).float().cpu()

    keyed = [(clip_key(song.clip), song) for song in songs]
    todo = [song.clip for key, song in keyed if key not in journal.done]
    results = run(todo, scorer.required_model, work, max_minutes=max_minutes)
    for key, song in keyed:
        row = journal.done.get(key)
        if row is not None:
            yield song, np.frombuffer(base64.b64decode(row["pooled"]), dtype="<f4"), None
            continue
        result = next(results)
        if result.error is not None:
            yield song, None, result.error
            continue
        vector = result.output.numpy().astype("<f4")
        journal.add(key, {"status": OK, "pooled": base64.b64encode(vector.tobytes()).decode()})
        yield song, vector, None


@torch.no_grad()
def calibration_of(
    scorer: AestheticScorer,
    head: HeadScorer,
    songs: Sequence[RatedSong],
    pooled: Sequence[np.ndarray],
    source: Path,
) -> Calibration:
    """Return the calibration of a head by rated songs; novelty is the distance from each other.

    Args:
        scorer: Holds the model.
        head: The head.
        songs: The songs.
        pooled: Pooled vector of each.
        source: The table of ratings.

    Raises:
        InputError: If there are fewer than 50 songs, or a dimension does not vary.
    """
    _check(source, head, songs)
    vectors = torch.from_numpy(np.stack(pooled))
    device = next(head.head.parameters()).device
    preds = head.head.score(vectors.to(device)).double().cpu().numpy()
    origin = {
        "ratings": source.name,
        "ratings_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    return Calibration.of(
        head.columns,
        preds,
        [song.ratings for song in songs],
        cross_distance(vectors),
        [song.system for song in songs],
        ReferenceSongs.of(vectors),
        head.calibrated_for(scorer.model),
        origin,
    )


def _check(path: Path, head: HeadScorer, songs: Sequence[RatedSong]) -> None:
    """Check that songs of a table can calibrate."""
    try:
        check_songs(head.columns, [song.ratings for song in songs])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
