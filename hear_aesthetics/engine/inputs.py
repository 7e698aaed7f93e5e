"""Inputs of a command: files, folders, globs, lists, corpora, standard input.

============== ==================================================================================
argument       inputs
============== ==================================================================================
file           itself, whatever its extension
folder         the audio files in it and below, by extension, sorted; hidden ones are skipped
glob           the audio files it matches, and those in folders it matches; ``**`` crosses folders
``LIST.txt``   a path per line; blank lines and comments are skipped: lines that begin with ``#``
               (a file of such a name is written ``./#1.wav``)
``ROWS.jsonl`` an object per line: ``path``, ``start_time``, ``end_time`` (seconds), ``prompt``;
               whatever else it holds, such as ``system``, is kept
``-``          standard input: lines as in a list, and rows where a line begins with ``{``
``X.parquet``  its rows: :mod:`hear_aesthetics.corpus.parquet_rows`
``X.tar``      its members: :mod:`hear_aesthetics.corpus.tar_rows`
a URL          any of the above but a list, by fsspec: ``s3://``, ``gs://``, ``hf://``
============== ==================================================================================

A folder or glob without audio files gives the rows of its Parquet and tar files.

For commands that take features, a folder or glob without audio files gives its ``.npy`` files, and
``audio<TAB>features.npy``, a line of the released extraction, names the features.

Paths in a list are relative to the list's folder, or else to the working directory. An unusable
row becomes a ``BadInput``, and the others go on. The same span of the same file counts once.

Every input has a ``key``, the name of its output: its path relative to its root, with
``/start-end`` behind it for a span. The root is the folder that was named, the part of a glob
before its first wildcard, or the folder of the file or list. A path outside its root is keyed by
its name alone. If two files would share a key, all keys of the run are relative to the deepest
folder that holds all inputs. So keys are unique, and stay inside the folder they are put in.
Rows of Parquet and tar files keep their own keys, and files behind URLs those relative to their
folder, however many there are: two that are equal are an error.
"""

import glob
import io
import json
import os
import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.audio.decoding import AUDIO_EXTENSIONS
from hear_aesthetics.corpus.keys import Shard, check_unique, digests
from hear_aesthetics.corpus.parquet_rows import ParquetRows
from hear_aesthetics.corpus.remote import RemoteFile, is_url, listing, local_or_url
from hear_aesthetics.corpus.rows import Rows, safe_key, span_key
from hear_aesthetics.corpus.stored import AnyPath, StoredFile
from hear_aesthetics.corpus.tar_rows import TarRows
from hear_aesthetics.errors import InputError
from hear_aesthetics.text_files import read_text

__all__ = [
    *("BadInput", "Input", "Inputs"),
    *("collect_inputs", "holds_features", "keys_of", "kinds_of", "labels_of", "part_of", "select"),
]

FEATURES_EXTENSION = ".npy"
CONTAINERS: dict[str, Callable[[Path | RemoteFile], Rows]] = {
    ".parquet": ParquetRows,
    ".tar": TarRows,
}
MAX_SECONDS = 1e9  # a time beyond it, or NaN, is a mistake


@dataclass(frozen=True, slots=True)
class Input:
    """Audio file, or a span of it in seconds; or a file of features.

    ``key`` is the unique relative POSIX path of its output; ``source`` the argument that named it,
    or list and line (``songs.jsonl:3``). A ``start`` or ``end`` of None is that of the file.
    ``fields`` holds the row that named it.
    """

    path: AnyPath
    key: str
    start: float | None = None
    end: float | None = None
    prompt: str | None = None
    source: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class BadInput:
    """Unusable argument or row; ``path`` is "" if it names none."""

    path: str
    source: str
    message: str


@dataclass(frozen=True)
class Inputs:
    """All inputs of a command in the order given, and the unusable rest.

    Attributes:
        inputs: The inputs; rows of a corpus are made when they are asked for.
        errors: Arguments and rows that cannot be used.
        carried: Columns of Parquet files and of what lies beside the members of tar files, which
            go to the output: name -> Arrow type, None where each value has its own.
        keyed: Whether the inputs have keys of their own, which go to the output too.
    """

    inputs: Sequence[Input]
    errors: list[BadInput]
    carried: Mapping[str, Any] = field(default_factory=dict)
    keyed: bool = False

    def __len__(self) -> int:
        return len(self.inputs) + len(self.errors)


def holds_features(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one of features, by its extension."""
    return Path(path).suffix.lower() == FEATURES_EXTENSION


def labels_of(inputs: Iterable[Input], column: str) -> list[str | None]:
    """Return the group of each input: its ``folder``, its ``prompt``, or what its row has there.

    Raises:
        InputError: If a row has something else there than text or a number; names it.
    """
    labels: list[str | None] = []
    for item in inputs:
        value: Any = item.prompt if column == "prompt" else item.fields.get(column)
        if column == "folder":
            value = str(item.path.parent)
        if value is not None and not isinstance(value, str | int | float):
            raise InputError(f"{item.source}: {column} is {value!r}; write text or a number")
        labels.append(None if value in (None, "") else str(value))
    return labels


_Found = tuple[Input, Path]  # an input without its key, which depends on the others; its root


class _CorpusInputs(Sequence[Input]):
    """Rows of a container as inputs."""

    def __init__(self, rows: Rows, prompt: str | None) -> None:
        self.rows, self._prompt = rows, prompt

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        row = self.rows.row(range(len(self))[index])
        fields = _Fields(self.rows, index)
        span = row.start, row.end
        return Input(row.path, row.key, *span, row.prompt or self._prompt, row.source, fields)

    def keys(self) -> Iterator[str]:
        """Yield the keys, without making the inputs."""
        return map(self.rows.key, range(len(self)))


class _Fields(Mapping[str, Any]):
    """Further columns of a row, read when they are asked for."""

    __slots__ = ("_index", "_rows")

    def __init__(self, rows: Rows, index: int) -> None:
        self._rows, self._index = rows, index

    def __getitem__(self, name: str) -> Any:
        if name not in self._rows.carried:
            raise KeyError(name)
        return self._rows.fields(self._index)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows.fields(self._index))

    def __len__(self) -> int:
        return len(self._rows.fields(self._index))


class _Joined(Sequence[Input]):
    """Several sequences of inputs, one behind the other."""

    def __init__(self, parts: Sequence[Sequence[Input]]) -> None:
        self.parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return self.parts[part][index - (self._ends[part - 1] if part else 0)]

    def __iter__(self) -> Iterator[Input]:
        return chain.from_iterable(self.parts)


def keys_of(inputs: Sequence[Input]) -> Iterator[str]:
    """Yield the keys of inputs in order; those of a corpus without making its inputs."""
    for part in inputs.parts if isinstance(inputs, _Joined) else [inputs]:
        yield from part.keys() if isinstance(part, _CorpusInputs) else (item.key for item in part)


def collect_inputs(
    arguments: Sequence[str],
    *,
    prompt: str | None = None,
    stdin: Iterable[str] | None = None,
    features: bool = False,
    unique: bool = False,
) -> Inputs:
    """Return the inputs that the arguments of a command name.

    Args:
        arguments: Files, folders, globs, ``.txt`` and ``.jsonl`` lists, ``-``.
        prompt: Prompt of inputs that come without one.
        stdin: Lines that ``-`` reads; by default those of standard input.
        features: Whether the command takes files of features too.
        unique: Whether keys must not depend on the other inputs: those that two files would share
            are an error, as they always are where there are rows of a corpus.

    Raises:
        InputError: If two keys that must not depend on others are equal; names both inputs.
    """
    found: dict[tuple[str, float | None, float | None], _Found] = {}
    errors: list[BadInput] = []
    parts: list[_CorpusInputs | int] = []  # a number: so many of ``found``
    for item in _expand_all(arguments, stdin, features):
        if isinstance(item, BadInput):
            errors.append(item)
        elif not isinstance(item, tuple):
            parts += [len(found), _CorpusInputs(item, prompt)]
        elif bad := _add(found, item, prompt):
            errors.append(bad)
    keyed = len(parts) > 0 or any(isinstance(item.path, RemoteFile) for item, _ in found.values())
    plain = _with_keys(list(found.values()), fixed=keyed or unique)
    sequences: list[Sequence[Input]] = []
    begin = 0
    for part in (*parts, len(plain)):
        sequences.append(plain[begin:part] if isinstance(part, int) else part)
        begin = part if isinstance(part, int) else begin
    inputs: Sequence[Input] = _Joined([s for s in sequences if len(s)]) if parts else plain
    if keyed or unique:
        check_unique(keys_of(inputs), inputs)
    tables = [part.rows for part in parts if not isinstance(part, int)]
    return Inputs(inputs, errors, _carried(tables), keyed)


def _add(
    found: dict[tuple[str, float | None, float | None], _Found], item: _Found, prompt: str | None
) -> BadInput | None:
    """Add an input that is not there yet; return what is wrong with it."""
    new = replace(item[0], prompt=item[0].prompt or prompt)
    identity = (_absolute(new.path), new.start, new.end)
    old = found.setdefault(identity, (new, item[1]))[0]
    if old.prompt == new.prompt:
        return None
    message = f"{new.source}: {new.path} has another prompt in {old.source}; keep one"
    return BadInput(str(new.path), new.source, message)


def _carried(tables: Sequence[Rows]) -> dict[str, Any]:
    """Return the columns of all tables; the type of one that they disagree on is None."""
    carried: dict[str, Any] = {}
    for table in tables:
        for name, kind in table.carried.items():
            carried[name] = kind if carried.get(name, kind) == kind else None
    return carried


def kinds_of(inputs: Sequence[Input]) -> set[bool]:
    """Return whether inputs are files of features; both, if some are."""
    kinds: set[bool] = set()
    for part in inputs.parts if isinstance(inputs, _Joined) else [inputs]:
        if isinstance(part, _CorpusInputs):
            kinds |= {suffix == FEATURES_EXTENSION for suffix in part.rows.suffixes} or {False}
        else:
            kinds |= {holds_features(item.path) for item in part}
    return kinds


def select(inputs: Sequence[Input], positions: Sequence[int] | np.ndarray) -> Sequence[Input]:
    """Return some of the inputs; those of a corpus are made when they are asked for."""
    return _Selected(inputs, positions)


def part_of(found: Inputs, shard: Shard) -> Inputs:
    """Return the inputs that are in a shard by their keys, and its share of the errors."""
    positions = np.flatnonzero(shard.owns(digests(keys_of(found.inputs))))
    mine = shard.owns(digests(bad.message for bad in found.errors))
    errors = [bad for bad, own in zip(found.errors, mine, strict=True) if own]
    return replace(found, inputs=select(found.inputs, positions), errors=errors)


class _Selected(Sequence[Input]):
    """Some of the inputs of a sequence."""

    def __init__(self, inputs: Sequence[Input], positions: Sequence[int] | np.ndarray) -> None:
        self._inputs, self._positions = inputs, positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Any) -> Any:
        return self._inputs[int(self._positions[index])]


# Arguments


def _expand_all(
    arguments: Sequence[str], stdin: Iterable[str] | None, features: bool
) -> Iterator[_Found | BadInput | Rows]:
    for argument in arguments:
        item = None
        for item in _expand(argument, stdin, features):
            yield item
        if item is None:
            yield BadInput(argument, argument, f"{argument}: names no audio file; check it")


def _expand(
    argument: str, stdin: Iterable[str] | None, features: bool
) -> Iterator[_Found | BadInput | Rows]:
    if is_url(argument := local_or_url(argument)):
        yield from _from_url(argument)
        return
    path = Path(argument)
    if argument == "-":
        lines = _standard_input() if stdin is None else stdin
        yield from _from_lines(lines, "stdin", Path(), features=features)
    elif not argument:  # a shell variable that is not set, not the working directory
        yield BadInput(argument, argument, "'': names no file or folder; check the variable")
    elif _is(Path.is_dir, path):
        yield from _from_folder(path, path, argument, features)
    elif _is(Path.is_file, path) and path.suffix.lower() in (".txt", ".jsonl"):
        yield from _from_list(path, features)
    elif _is(Path.is_file, path) and path.suffix.lower() in CONTAINERS:
        yield from _from_container(path)
    elif _is(Path.exists, path):
        yield Input(path, "", source=argument), path.parent
    elif glob.has_magic(argument):
        yield from _from_glob(argument, features)
    else:
        yield BadInput(argument, argument, f"{argument}: no such file or folder; check the name")


def _from_container(source: Path | RemoteFile) -> Iterator[BadInput | Rows]:
    """Yield the rows of a Parquet or tar file, and what is wrong with it."""
    try:
        rows = CONTAINERS[source.suffix.lower()](source)
    except InputError as error:
        yield BadInput(str(source), str(source), str(error))
        return
    yield rows
    for message in rows.errors:
        yield BadInput(str(source), str(source), message)


def _from_url(url: str) -> Iterator[_Found | BadInput | Rows]:
    """Yield the audio files behind a URL, or the rows of Parquet and tar files."""
    try:
        files = list(listing(url))
    except InputError as error:
        yield BadInput(url, url, str(error))
        return
    alone = len(files) == 1 and str(files[0]) == url
    audio = [file for file in files if alone or file.suffix.lower() in AUDIO_EXTENSIONS]
    fixed = re.split(r"[*?\[]", url)[0].rpartition("/")[0] if glob.has_magic(url) else url
    root = str(files[0].parent) if alone else fixed.rstrip("/")
    containers = [file for file in files if file.suffix.lower() in CONTAINERS]
    if containers and (alone or not audio):
        for file in containers:
            yield from _from_container(file)
        return
    for file in audio:
        key = safe_key(str(file).removeprefix(f"{root}/"))
        yield Input(file, key, source=url), Path()


def _from_folder(
    folder: Path, root: Path, source: str, features: bool
) -> Iterator[_Found | BadInput | Rows]:
    """Yield the usable files below a folder, links followed, each folder entered once."""
    unreadable: list[OSError] = []
    entered: set[str] = set()
    files: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=unreadable.append, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in entered else sorted(n for n in folders if n[0] != ".")
        if real not in entered:
            files += [Path(place, name) for name in names]
        entered.add(real)
    for error in unreadable:
        message = f"{error.filename}: cannot be listed ({error.strerror}); check its permissions"
        yield BadInput(str(error.filename), source, message)
    for path in sorted(_usable(files, features)):
        if path.suffix.lower() in CONTAINERS:
            yield from _from_container(path)
        else:
            yield Input(path, "", source=source), root


def _from_glob(pattern: str, features: bool) -> Iterator[_Found | BadInput | Rows]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - "**/"
    files = set(_usable([match for match in matches if not match.is_dir()], features))
    for match in matches:
        if match.is_dir():
            yield from _from_folder(match, root, pattern, features)
        elif match in files and match.suffix.lower() in CONTAINERS:
            yield from _from_container(match)
        elif match in files:
            yield Input(match, "", source=pattern), root


def _usable(files: list[Path], features: bool) -> list[Path]:
    """Return the audio files; where there are none, containers, or features if they are taken."""
    shown = [path for path in files if not path.name.startswith(".")]
    audio = [path for path in shown if path.suffix.lower() in AUDIO_EXTENSIONS]
    containers = [path for path in shown if path.suffix.lower() in CONTAINERS]
    stored = [path for path in shown if holds_features(path)] if features else []
    return audio or containers or stored


# Lists


def _from_list(path: Path, features: bool) -> Iterator[_Found | BadInput]:
    try:
        lines = read_text(path).split("\n")  # not splitlines: a name may hold odd separators
    except InputError as error:
        yield BadInput(str(path), str(path), str(error))
    else:
        kind = path.suffix.lower()
        yield from _from_lines(lines, str(path), path.parent, kind, features=features)


def _standard_input() -> Iterable[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # file names may be any bytes
    return sys.stdin or ()


def _from_lines(
    lines: Iterable[str], name: str, folder: Path, kind: str = "", *, features: bool
) -> Iterator[_Found | BadInput]:
    """Yield what the lines of a list name; without a ``kind``, a line may be path or row."""
    for number, line in enumerate(lines, start=1):
        text, source = line.removeprefix("\ufeff" * (number == 1)).strip(), f"{name}:{number}"
        is_row = kind == ".jsonl" or (not kind and text.startswith("{"))
        if not text:
            continue
        if text.startswith("#") and not is_row:
            if any(_is(Path.is_file, root / text) for root in (folder, Path())):
                message = f"{source}: {text!r} is a file, but # begins a comment; write './{text}'"
                yield BadInput(text, source, message)
            continue
        if features and holds_features(text):
            text = text.rpartition("\t")[2]  # after the audio file that they are of
        fields = {} if is_row else {"path": text}
        try:
            fields = fields or _parse_object(text)
            yield _from_row(fields, folder, source)
        except InputError as error:
            yield BadInput(str(fields.get("path", "")), source, f"{source}: {error}")


def _parse_object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({error}); write one object per line") from error
    if not isinstance(fields, dict):
        raise InputError('not a JSON object; write {"path": "song.wav"}')
    return fields


def _from_row(fields: dict[str, Any], folder: Path, source: str) -> _Found:
    """Return the input of a row, where null means none."""
    name, prompt = fields.get("path"), fields.get("prompt")
    if not isinstance(name, str) or not name:
        raise InputError('no path in it; write {"path": "song.wav"}')
    start, end = _seconds(fields, "start_time"), _seconds(fields, "end_time")
    if end is not None and end <= (start or 0):
        raise InputError(f"end_time {end} is not after start_time {start or 0}; correct them")
    if prompt is not None and not isinstance(prompt, str):
        raise InputError(f"prompt is {prompt!r}; write text in quotes")
    path, root = _locate(name, folder)
    return Input(path, "", start or None, end, prompt or None, source, fields), root


def _seconds(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < MAX_SECONDS:
        raise InputError(f"{name} is {value!r}; write seconds, 0 or more")
    return float(value)


def _locate(text: str, folder: Path) -> tuple[AnyPath, Path]:
    """Return the file that a row names, and its root."""
    if is_url(text := local_or_url(text)):
        return RemoteFile(text), Path()
    for root in (folder, Path()):
        path = root / text
        if _is(Path.is_dir, path):
            raise InputError(f"{path} is a folder; name the files in it")
        if _is(Path.exists, path):
            return path, root
    raise InputError(f"no file {text!r} in {folder} or in the working directory; check the name")


# Names


def _is(test: Any, path: Path) -> bool:
    """Return ``test(path)``, False for names that the system refuses."""
    try:
        return bool(test(path))
    except (OSError, ValueError):  # too long, no permission; a null byte
        return False


def _absolute(path: AnyPath) -> str:
    if isinstance(path, StoredFile):
        return str(path)
    return os.path.abspath(path)  # noqa: PTH100 - by the letter: links keep their own names


def _with_keys(found: list[_Found], *, fixed: bool) -> list[Input]:
    keys = [_key(item, _absolute(root)) for item, root in found]
    if not fixed and max(Counter(keys).values(), default=0) > 1:
        deepest = os.path.commonpath([_absolute(Path(item.path).parent) for item, _ in found])
        keys = [_key(item, deepest) for item, _ in found]
    return [replace(item, key=key) for (item, _), key in zip(found, keys, strict=True)]


def _key(source: Input, root: str) -> str:
    if isinstance(source.path, StoredFile):
        relative = Path(source.key or safe_key(str(source.path)))
    else:
        relative = Path(os.path.relpath(_absolute(source.path), root))
    if ".." in relative.parts:
        relative = Path(source.path.name)
    return span_key(relative.as_posix(), source.start, source.end)
