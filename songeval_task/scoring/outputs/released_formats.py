"""Scores in the JSON of the released programs, for scripts that read theirs.

``ear-hear`` is what EAR_HEAR's ``inference.py`` writes: an object with ``input_audio_path`` and the
dimensions, numbers in full. That program takes one song; several are a list of such objects.
``songeval`` is the ``result.json`` of SongEval's ``eval.py``: file id -> the five dimensions, with
4 decimals; the id is the file's name up to its first dot. Songs that failed are in neither.
"""

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from hear_aesthetics.engine.inputs import Inputs
from hear_aesthetics.errors import InputError
from songeval_task.dimensions import TRACKS
from songeval_task.scoring.rows import OK, ScoreRow

__all__ = ["Document", "check_released", "released_document"]

Document = Callable[[Sequence[ScoreRow]], str]

SONGEVAL_DECIMALS = 4
TRACKS_OF = {"ear-hear": ("track1", "track2"), "songeval": ("track2",)}


def _ear_hear_text(scores: Sequence[str], rows: Sequence[ScoreRow]) -> str:
    songs = [
        {"input_audio_path": row["path"], **{name: row[name] for name in scores}}
        for row in rows
        if row["status"] == OK
    ]
    alone = len(rows) == len(songs) == 1
    return json.dumps(songs[0] if alone else songs, indent=2) + "\n"


def _songeval_text(scores: Sequence[str], rows: Sequence[ScoreRow]) -> str:
    songs = {
        _file_id(row["path"]): {name: round(row[name], SONGEVAL_DECIMALS) for name in scores}
        for row in rows
        if row["status"] == OK
    }
    return json.dumps(songs, indent=4, ensure_ascii=False) + "\n"


FORMATS = {"ear-hear": _ear_hear_text, "songeval": _songeval_text}


def check_released(name: str, found: Inputs, out: Path | None, *, as_json: bool) -> None:
    """Check that a released format can hold these inputs; needs no model.

    Raises:
        InputError: If the output is no ``.json``, or two files would have one id.
    """
    if as_json or (out is not None and out.suffix.lower() != ".json"):
        raise InputError(f"--format {name} is its own JSON: leave out --json, name --out FILE.json")
    seen: dict[str, os.PathLike[str]] = {}
    for item in found.inputs if name == "songeval" else ():
        key = _file_id(item.path)
        if seen.setdefault(key, item.path) is not item.path:
            raise InputError(
                f"{item.path}: has the file id {key!r} of {seen[key]}; rename one, or write .csv"
            )


def released_document(name: str, scores: Sequence[str]) -> Document:
    """Return the function from rows, not rounded, to the text of a released format.

    Args:
        name: ``"ear-hear"`` or ``"songeval"``.
        scores: Columns of the scores.

    Raises:
        InputError: If they are not those of one head of a track that the format is for.
    """
    tracks = [TRACKS[track].names for track in TRACKS_OF[name]]
    if tuple(scores) not in tracks:
        known = " or ".join(map(", ".join, tracks))
        raise InputError(
            f"--format {name} holds {known}, not {', '.join(scores)}; choose one such head"
        )
    return partial(FORMATS[name], scores)


def _file_id(path: str | os.PathLike[str]) -> str:
    return Path(path).name.partition(".")[0]
