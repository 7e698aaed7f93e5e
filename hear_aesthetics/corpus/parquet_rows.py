"""Rows of a Parquet file whose column holds audio, or names it.

The audio is a column of ``{bytes, path}``, as Hugging Face ``datasets`` writes, of bytes, or of
paths and URLs; paths are relative to the file's folder, or else to the working directory. Keys are
in a column ``key``, ``__key__`` or ``id``; without one the path of the audio is the key, and
without that the file's name and the number of the row. ``prompt``, ``start_time`` and ``end_time``
(seconds) mean what they mean in a list. All other columns are carried to the output, but those that
hold bytes.

Bytes are read when they are decoded, a row group at a time. What is kept in memory of a row is its
key, path, prompt and span.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.corpus.remote import (
    RemoteFile,
    is_url,
    local_or_url,
    open_source,
    stamp_of_source,
)
from hear_aesthetics.corpus.rows import CorpusRow, safe_key, span_key
from hear_aesthetics.corpus.stored import AnyPath, StoredFile
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError

__all__ = ["ParquetRows", "import_parquet"]

AUDIO, PROMPT, START, END = "audio", "prompt", "start_time", "end_time"
PATHS = ("path", "audio", "audio_path", "file", "file_name", "filename", "url", "uri")
KEYS = ("key", "__key__", "id")
MAX_REASON = 120  # characters of what pyarrow says
MAX_SECONDS = 1e9  # a time beyond it, or NaN, is a mistake
REMEDY = "download or write it again"


def import_parquet() -> Any:
    """Return ``pyarrow.parquet``.

    Raises:
        InputError: If pyarrow is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            'Parquet needs pyarrow, which is not installed; pip install "hear-aesthetics[corpus]"'
        ) from error
    return parquet


class _GroupCache:
    """The last row groups that were read, shared by the threads that decode their rows."""

    KEPT = 2  # threads may be on both sides of a border

    def __init__(self) -> None:
        self._groups: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._groups:
                while len(self._groups) >= self.KEPT:
                    self._groups.popitem(last=False)
                self._groups[key] = read()
            self._groups.move_to_end(key)
            return self._groups[key]


_AUDIO_GROUPS, _FIELD_GROUPS = _GroupCache(), _GroupCache()


class ParquetRows:
    """Rows of a Parquet file; a :class:`hear_aesthetics.corpus.rows.Rows`.

    Args:
        source: The file, on disk or behind a URL.

    Raises:
        InputError: If it cannot be read, or no column holds or names audio.
    """

    def __init__(self, source: Path | RemoteFile) -> None:
        self.source = source
        self._place_of_row, self._folder = f"{source}: row", str(source.parent)
        self.errors: list[str] = []
        self.suffixes: set[str] = set()
        with _readable(source, InputError):
            file = self._open()
        self._schema = file.schema_arrow
        self._audio, self._kind = self._find_audio()
        names = self._schema.names
        self._key = next((name for name in KEYS if name in names), None)
        self._span = [name for name in (START, END) if name in names]
        used = {self._audio, self._key, *self._span}
        self.carried: Mapping[str, Any] = {
            field.name: field.type
            for field in self._schema
            if field.name not in used and not _holds_bytes(field.type)
        }
        with file, _readable(source, InputError):
            self._read_light(file)
        self._stamp = dict(stamp_of_source(source))

    def __len__(self) -> int:
        return len(self._rows)

    def key(self, index: int) -> str:
        """Return the key of a row."""
        row = int(self._rows[index])
        text = self._keys[row]
        if not text and (path := self._paths[row]):
            text = safe_key(path)
        text = text or f"{Path(self.source.name).stem}/{row}"
        return span_key(text, *self._span_of(row))

    def row(self, index: int) -> CorpusRow:
        """Return a row."""
        row = int(self._rows[index])
        path: AnyPath = ParquetAudio(self, row)
        if self._kind == "path":
            path = self._resolve(self._paths[row] or "")
        prompt = self._prompts[row] or None
        span = self._span_of(row)
        return CorpusRow(path, self.key(index), *span, prompt, f"{self._place_of_row} {row}")

    def fields(self, index: int) -> dict[str, Any]:
        """Return the carried columns of a row."""
        if not self.carried:
            return {}
        group, place = self._place(int(self._rows[index]))
        columns = list(self.carried)
        with _readable(self.source, InputError):
            table = _FIELD_GROUPS.get((self, group), partial(self._read_group, group, columns))
            fields: dict[str, Any] = table.slice(place, 1).to_pylist()[0]
        return fields

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's audio, or of the file that it names instead.

        Raises:
            AudioError: If they cannot be read.
        """
        group, place = self._place(row)
        column = f"{self._audio}.bytes" if self._kind == "struct" else self._audio
        with _readable(self.source, AudioError):
            table = _AUDIO_GROUPS.get((self, group), partial(self._read_group, group, [column]))
            value = table.column(0)[place].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is not None:
            return bytes(content)
        name = self._paths[row]
        if not name:
            raise AudioError(f"{self.source}: row {row}: no audio; remove the row")
        path = self._resolve(name)
        if isinstance(path, StoredFile):
            return path.read()
        try:
            return path.read_bytes()
        except OSError as error:
            raise AudioError(f"{path}: cannot be read ({error.strerror}); check its name") from (
                error
            )

    def name_of(self, row: int) -> str:
        """Return the name of a row's audio in messages and tables."""
        return f"{self.source}/{self._paths[row] or row}"

    def stamp_of(self, row: int) -> Mapping[str, Any]:
        """Return evidence that a row's audio is still the same."""
        return {**self._stamp, "row": row}

    # Reading

    def _open(self) -> Any:
        source = self.source if isinstance(self.source, Path) else open_source(self.source)
        return import_parquet().ParquetFile(source)

    def _read_group(self, group: int, columns: list[str]) -> Any:
        with self._open() as file:
            return file.read_row_group(group, columns=columns)

    def _find_audio(self) -> tuple[str, str]:
        """Return the column of the audio and its kind: struct, binary or path."""
        fields = sorted(self._schema, key=lambda field: field.name != AUDIO)
        for field in fields:
            if _is_struct_of_bytes(field.type):
                return field.name, "struct"
        for field in fields:
            if field.name in (AUDIO, "bytes") and _holds_bytes(field.type):
                return field.name, "binary"
        for name in PATHS:
            if name in self._schema.names and _is_text(self._schema.field(name).type):
                return name, "path"
        raise InputError(
            f"{self.source}: no column of audio ({{bytes, path}}) or of paths "
            f"({', '.join(PATHS)}), its columns are {', '.join(self._schema.names)}; rename one"
        )

    def _read_light(self, file: Any) -> None:
        """Read what is kept of all rows, and see which of them can be used."""
        import pyarrow.compute as pc

        paths = {"struct": f"{self._audio}.path", "path": self._audio}.get(self._kind)
        prompt = PROMPT if PROMPT in self._schema.names else None
        wanted = [name for name in (self._key, paths, prompt, *self._span) if name]
        table = self._read_whole_groups(file, wanted)
        found = dict(zip(table.schema.names, table.columns, strict=True))
        if self._kind == "struct":
            found[self._audio] = pc.struct_field(found[self._audio], "path")
        self._keys, self._prompts, self._paths = (
            _Texts(found.get(name)) for name in (self._key, prompt, self._audio)
        )
        for name in self._span:
            if not _is_number(found[name].type):
                raise InputError(f"{self.source}: {name} is {found[name].type}; write seconds")
        self._starts, self._stops = (_numbers(found.get(name)) for name in (START, END))
        self._rows = np.flatnonzero(self._usable())

    def _read_whole_groups(self, file: Any, columns: list[str]) -> Any:
        """Return the rows before the first row group that is damaged."""
        import pyarrow as pa

        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        try:
            return file.read(columns=columns)
        except (OSError, pa.ArrowException):
            whole = []
        for group in range(len(sizes)):
            try:
                whole.append(file.read_row_group(group, columns=columns))
            except (OSError, pa.ArrowException) as error:
                self.errors.append(
                    f"{self.source}: damaged, its last {sum(sizes[group:])} of {sum(sizes)} rows "
                    f"cannot be read ({_reason(error)}); {REMEDY}"
                )
                self._ends = self._ends[:group]
                break
        return pa.concat_tables([file.read_row_groups([], columns=columns), *whole])

    def _usable(self) -> np.ndarray:
        """Return which rows can be used; what is wrong with the others becomes an error."""
        count = int(self._ends[-1]) if len(self._ends) else 0
        nothing = np.full(count, np.nan)
        starts, stops = (nothing if x is None else x for x in (self._starts, self._stops))
        first = np.nan_to_num(starts, nan=0.0)
        wrong = ~((first >= 0) & (first < MAX_SECONDS)) | (stops <= first) | (stops >= MAX_SECONDS)
        for row in np.flatnonzero(wrong):
            self.errors.append(
                f"{self.source}: row {row}: {START} {starts[row]:g}, {END} {stops[row]:g} are no "
                "span in seconds; correct them"
            )
        empty = np.zeros(count, bool)
        if self._kind == "path":
            empty = self._paths.empty()
            self.suffixes = self._paths.suffixes()
        for row in np.flatnonzero(empty):
            self.errors.append(f"{self.source}: row {row}: no path in it; remove the row")
        return ~(wrong | empty)

    # Rows

    def _place(self, row: int) -> tuple[int, int]:
        """Return the row group of a row and its place in it."""
        group = int(np.searchsorted(self._ends, row, side="right"))
        return group, row - (int(self._ends[group - 1]) if group else 0)

    def _span_of(self, row: int) -> tuple[float | None, float | None]:
        columns = (self._starts, self._stops)
        if self._starts is None and self._stops is None:
            return None, None
        start, end = (None if c is None or np.isnan(c[row]) else float(c[row]) for c in columns)
        return start or None, end

    def _resolve(self, text: str) -> AnyPath:
        """Return the file that a row names: a URL, or a path as in a list."""
        if is_url(text := local_or_url(text)):
            return RemoteFile(text)
        if isinstance(self.source, RemoteFile):
            return RemoteFile(f"{self.source.parent}/{text}")
        beside = os.path.join(self._folder, text)  # noqa: PTH118 - a million times
        is_beside = os.path.exists(beside) or not os.path.exists(text)  # noqa: PTH110
        return Path(beside if is_beside else text)


class ParquetAudio(StoredFile):
    """Audio of a row."""

    __slots__ = ("_row", "_rows")

    def __init__(self, rows: ParquetRows, row: int) -> None:
        self._rows, self._row = rows, row

    def __str__(self) -> str:
        return self._rows.name_of(self._row)

    def read(self) -> bytes:
        """Return the bytes."""
        return self._rows.read(self._row)

    def stamp(self) -> Mapping[str, Any]:
        """Return the stamp of the Parquet file, and the row."""
        return self._rows.stamp_of(self._row)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as file and row."""
        return _audio_of, (self._rows.source, self._row)


def _audio_of(source: Path | RemoteFile, row: int) -> ParquetAudio:
    return ParquetAudio(_rows_of(source), row)


@lru_cache(maxsize=8)
def _rows_of(source: Path | RemoteFile) -> ParquetRows:
    """Return the rows of a file that rows of another process are of."""
    return ParquetRows(source)


@contextmanager
def _readable(source: Path | RemoteFile, kind: type[HearAestheticsError]) -> Iterator[None]:
    """Turn what pyarrow raises into one line that names the file."""
    import_parquet()
    import pyarrow as pa

    try:
        yield
    except HearAestheticsError:
        raise
    except FileNotFoundError as error:
        raise kind(f"{source}: no such file; check the name") from error
    except (OSError, pa.ArrowException) as error:
        reason = _reason(error)
        raise kind(f"{source}: not a whole Parquet file ({reason}); {REMEDY}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:MAX_REASON] or type(error).__name__


class _Texts:
    """Column of texts, which is decoded a block at a time; without a column, of nothing."""

    BLOCK = 4096

    def __init__(self, column: Any) -> None:
        import pyarrow as pa

        self._column = None
        if column is not None:
            self._column = column.cast(pa.large_string()).combine_chunks()
        self._block: tuple[int, list[str | None]] = (-1, [])

    def __getitem__(self, row: int) -> str | None:
        if self._column is None:
            return None
        number, place = divmod(row, self.BLOCK)
        known, texts = self._block  # read once: another thread may replace it
        if known != number:
            texts = self._column.slice(number * self.BLOCK, self.BLOCK).to_pylist()
            self._block = number, texts
        return texts[place]

    def empty(self) -> np.ndarray:
        """Return which texts are missing or empty."""
        import pyarrow.compute as pc

        column: Any = self._column
        return np.asarray(pc.equal(column.fill_null(""), ""))

    def suffixes(self) -> set[str]:
        """Return the extensions of all texts, in lower case."""
        import pyarrow.compute as pc

        found = pc.extract_regex(self._column, r"(?P<suffix>\.[^./]*)$").field("suffix")
        return {suffix.lower() for suffix in pc.unique(found).to_pylist() if suffix}


def _numbers(column: Any) -> np.ndarray | None:
    """Return a column as float64, NaN where it has no value."""
    import pyarrow as pa

    if column is None:
        return None
    values: np.ndarray = column.cast(pa.float64()).to_numpy()
    return values


def _is_number(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind)


def _holds_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    binary = types.is_binary(kind) or types.is_large_binary(kind)
    return binary or _is_struct_of_bytes(kind)


def _is_struct_of_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_string(kind) or types.is_large_string(kind)
