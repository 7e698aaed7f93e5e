"""Clips with prompts and scores: MusicEval's folder, or any list as a CSV.

MusicEval: ``wav/``, ``sets/{train,dev,test}_mos_list.txt`` with lines ``file,overall,textual`` (or
``file`` alone where the scores are secret), and two tables of prompts, ``id<TAB>text``. A clip
``audiomos2025-track1-S002_P044.wav`` is what system S002 made of prompt P044. Some systems are
known by their demos alone: their prompts are found by the clip's name in ``demo_prompt_info.txt``,
all others by prompt id in ``prompt_info.txt``.

CSV: columns ``path,prompt`` and, where known, ``overall,textual,system,split``; paths are relative
to the file. A list is right as a whole or an error: a clip is never left out or replaced.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from hear_aesthetics.errors import InputError
from hear_aesthetics.text_files import read_table, read_text
from musiceval_task.scale import HIGH, LOW, TARGETS

__all__ = [
    "CLIP_SECONDS",
    "DEMO_SYSTEMS",
    "PREFIX",
    "SPLITS",
    "MusicEvalClip",
    "clip_id",
    "list_hash",
    "read_clips",
    "system_of",
]

PREFIX = "audiomos2025-track1-"
DEMO_SYSTEMS = frozenset({"S001", "S006", "S013", "S017", "S018", "S033"})
SPLITS = ("train", "dev", "test")
CLIP_SECONDS = 30.0  # of a clip are listened to, as published
AUDIO_FOLDER = "wav"
PROMPTS, DEMO_PROMPTS = "prompt_info.txt", "demo_prompt_info.txt"
HEADER = ("id", "text")


@dataclass(frozen=True)
class MusicEvalClip:
    """A clip with its prompt, and its scores where they are known; its first 30 s are heard.

    Attributes:
        name: File name with extension, or the path as a CSV has it; unique in a data set.
        path: The audio file.
        prompt: What the clip was made from.
        system: What made it; empty where that is not known.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        overall: Music impression in [1, 5].
        textual: Text alignment in [1, 5].
    """

    start: ClassVar[None] = None
    end: ClassVar[float] = CLIP_SECONDS
    name: str
    path: Path
    prompt: str
    system: str = ""
    split: str = "test"
    overall: float | None = None
    textual: float | None = None


def read_clips(source: str | Path, splits: Collection[str] | None = None) -> list[MusicEvalClip]:
    """The clips of a MusicEval folder or of a CSV, in the order of the lists.

    Args:
        source: Folder, or ``.csv`` file.
        splits: Which to read; by default all that there are.

    Raises:
        InputError: If a list is missing or empty, names a clip twice, a clip that is not there, a
            prompt that is not known, or a score outside [1, 5]; names the place.
    """
    source = Path(source)
    unknown = sorted(set(splits or ()) - set(SPLITS))
    if unknown:
        raise InputError(f"unknown split {unknown[0]!r}; choose of: {', '.join(SPLITS)}")
    if source.suffix.lower() == ".csv":
        clips = [clip for clip in _read_csv(source) if clip.split in (splits or SPLITS)]
    elif source.is_dir():
        clips = list(_read_folder(source, splits or _lists_of(source)))
    else:
        raise InputError(f"{source}: neither a MusicEval folder nor a .csv file; check the path")
    if not clips:
        raise InputError(
            f"{source}: no clips of {', '.join(splits or SPLITS)} in it; fill in the list"
        )
    return clips


def clip_id(name: str) -> str:
    """Name without extension, the id of an answer file.

    >>> clip_id("audiomos2025-track1-S002_P044.wav")
    'audiomos2025-track1-S002_P044'
    """
    return name[: -len(".wav")] if name.lower().endswith(".wav") else name


def system_of(name: str) -> str:
    """System of a MusicEval clip.

    >>> system_of("audiomos2025-track1-S002_P044.wav")
    'S002'
    """
    return clip_id(name).removeprefix(PREFIX).partition("_")[0]


def list_hash(clips: Sequence[MusicEvalClip]) -> str:
    """SHA-256 of what a list says (names, prompts, scores, splits); the audio is not read."""
    rows = [{**asdict(clip), "path": None} for clip in clips]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _read_folder(root: Path, splits: Collection[str]) -> Iterator[MusicEvalClip]:
    prompts, demos = _read_prompts(root / PROMPTS), _read_prompts(root / DEMO_PROMPTS)
    seen: dict[str, str] = {}
    for split in splits:
        path = _list_path(root, split)
        for place, line in _lines(path):
            name, *scores = (field.strip() for field in line.split(","))
            name = _check_new(place, name, seen)
            if len(scores) not in (0, 2):
                raise InputError(f"{place}: {line!r}; a line is file,overall,textual")
            overall, textual = (_score(place, name, text) for text in scores or (None, None))
            prompt = _find_prompt(place, name, prompts, demos)
            audio = _audio(place, root / AUDIO_FOLDER / name)
            yield MusicEvalClip(name, audio, prompt, system_of(name), split, overall, textual)


def _list_path(root: Path, split: str) -> Path:
    return root / "sets" / f"{split}_mos_list.txt"


def _lists_of(root: Path) -> list[str]:
    found = [split for split in SPLITS if _list_path(root, split).is_file()]
    if not found:
        raise InputError(f"{_list_path(root, '*')}: no list there; a MusicEval folder has sets/")
    return found


def _find_prompt(place: str, name: str, prompts: dict[str, str], demos: dict[str, str]) -> str:
    key, table, file = clip_id(name).removeprefix(PREFIX), demos, DEMO_PROMPTS
    if system_of(name) not in DEMO_SYSTEMS:
        key, table, file = key.partition("_")[2], prompts, PROMPTS
    if key not in table:
        raise InputError(f"{place}: {name}: {file} has no prompt {key!r}; add it there")
    return table[key]


def _read_prompts(path: Path) -> dict[str, str]:
    """Prompt id, or the name of a demo clip without what all names share, -> text."""
    prompts: dict[str, str] = {}
    for place, line in _lines(path):
        key, _, text = (part.strip() for part in line.partition("\t"))
        if (key, text) == HEADER:
            continue
        if not text:
            raise InputError(f"{place}: {line!r}; a line is id<TAB>text")
        key = clip_id(key).removeprefix(PREFIX)
        if prompts.setdefault(key, text) != text:
            raise InputError(f"{place}: a second text for {key}; keep one of them")
    return prompts


def _read_csv(path: Path) -> Iterator[MusicEvalClip]:
    columns, rows = read_table(path)
    missing = sorted({"path", "prompt"} - set(columns))
    if missing:
        raise InputError(
            f"{path}: no column {' or '.join(missing)}; the first line is "
            "path,prompt and, where known, overall,textual,system,split"
        )
    seen: dict[str, str] = {}
    for place, row in rows:
        name = _check_new(place, row["path"], seen)
        if not row["prompt"]:
            raise InputError(f"{place}: {name} has no prompt; give the text it was made from")
        split = row.get("split") or "train"
        if split not in SPLITS:
            raise InputError(f"{place}: split {split!r}; it is one of {', '.join(SPLITS)}")
        overall, textual = (_score(place, name, row.get(target) or None) for target in TARGETS)
        audio, system = _audio(place, path.parent / name), row.get("system", "")
        yield MusicEvalClip(name, audio, row["prompt"], system, split, overall, textual)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines that are not empty, each with its place."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _check_new(place: str, name: str, seen: dict[str, str]) -> str:
    """Return the name in one spelling: ``./a.wav`` is ``a.wav``."""
    if not name:
        raise InputError(f"{place}: no clip is named; write its file first")
    name = PurePosixPath(name).as_posix()
    if name in seen:
        raise InputError(f"{place}: {name} again, first at {seen[name]}; keep one of them")
    seen[name] = place
    return name


def _audio(place: str, path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{place}: {path} is not there; copy it or drop its line")
    return path


def _score(place: str, name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    if not LOW <= score <= HIGH:
        raise InputError(
            f"{place}: {name}: score {text!r}; it is a number from {LOW:g} to {HIGH:g}"
        )
    return score
