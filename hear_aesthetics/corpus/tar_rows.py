"""Rows of a tar shard, as WebDataset writes them: members with audio extensions.

The key of a row is the member's name, as that of a file is its path in a folder. What lies beside
the audio under the same name belongs to the row: the values of an object in ``.json`` are carried
to the output, the text of ``.txt`` as ``text``, and WebDataset's key as ``__key__``. The prompt is
``prompt``, else ``text``.

Members are read when they are decoded. What is kept of a row is its name, place and prompt.
"""

import json
import tarfile
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from hear_aesthetics.audio.decoding import AUDIO_EXTENSIONS
from hear_aesthetics.corpus.remote import RemoteFile, one_line, open_source, stamp_of_source
from hear_aesthetics.corpus.rows import CorpusRow, safe_key
from hear_aesthetics.corpus.stored import StoredFile
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError

__all__ = ["TarRows"]

BLOCK = 512  # bytes of a header; members begin at multiples of it
BESIDE = (".json", ".txt")
KEY, TEXT, PROMPT = "__key__", "text", "prompt"
REMEDY = "download or pack it again"


class TarRows:
    """Rows of a tar file; a :class:`hear_aesthetics.corpus.rows.Rows`.

    Args:
        source: The file, on disk or behind a URL.

    Raises:
        InputError: If it is no tar file, or compressed.
    """

    def __init__(self, source: Path | RemoteFile) -> None:
        self.source = source
        self.errors: list[str] = []
        self.suffixes: set[str] = set()
        self.carried: Mapping[str, Any] = {KEY: None}
        self._stamp = dict(stamp_of_source(source))
        self._names: list[str] = []
        self._places = array("q")  # offset and size of each row's audio
        self._prompts: dict[int, str] = {}
        self._beside: dict[int, list[tuple[str, int, int]]] = {}
        try:
            with open_source(source, cache_type="none") as file, one_line(str(source), InputError):
                self._scan(file)
        except OSError as error:
            raise InputError(f"{source}: cannot be read ({error.strerror}); check its name") from (
                error
            )

    def __len__(self) -> int:
        return len(self._names)

    def key(self, index: int) -> str:
        """Return the key of a row."""
        return safe_key(self._names[index])

    def row(self, index: int) -> CorpusRow:
        """Return a row."""
        source = f"{self.source}: {self._names[index]}"
        prompt = self._prompts.get(index)
        return CorpusRow(TarAudio(self, index), self.key(index), None, None, prompt, source)

    def fields(self, index: int) -> dict[str, Any]:
        """Return what lies beside a row's audio."""
        with open_source(self.source, cache_type="none") as file:
            return {KEY: _split(self._names[index])[0], **self._fields(index, file)}

    def read(self, index: int) -> bytes:
        """Return the bytes of a row's audio.

        Raises:
            AudioError: If they cannot be read.
        """
        return _read_span(self.source, *self.place_of(index))

    def place_of(self, index: int) -> tuple[int, int]:
        """Return where a row's audio begins in the file, and its bytes."""
        offset, size = self._places[2 * index : 2 * index + 2]
        return offset, size

    def name_of(self, index: int) -> str:
        """Return the name of a row's audio in messages and tables."""
        return f"{self.source}/{self._names[index]}"

    def stamp_of(self, index: int) -> Mapping[str, Any]:
        """Return evidence that a row's audio is still the same."""
        return {**self._stamp, "offset": self._places[2 * index]}

    # Reading

    def _scan(self, file: BinaryIO) -> None:
        """Note the members; what is torn ends the rows with an error."""
        beside: dict[str, list[tuple[str, int, int]]] = {}
        length = file.seek(0, 2)
        file.seek(0)
        end = 0  # of the last member that is whole
        try:
            for member in _members(file):
                if member.offset_data + member.size > length:
                    raise tarfile.ReadError(f"{member.name} ends behind the file")
                end = member.offset_data + -(-member.size // BLOCK) * BLOCK
                if member.isreg():
                    self._note(member, beside)
            if end + BLOCK > length:
                raise tarfile.ReadError("the mark of its end is missing")
        except tarfile.TarError as error:
            if not end:
                reason = "it is compressed: unpack it" if _is_compressed(file) else REMEDY
                raise InputError(f"{self.source}: not a tar file ({error}); {reason}") from error
            whole = f"{len(self)} audio file{'' if len(self) == 1 else 's'}"
            self.errors.append(f"{self.source}: torn after {whole} ({error}); {REMEDY}")
        for index, name in enumerate(self._names):
            if found := beside.get(_split(name)[0]):
                self._beside[index] = found
                self._look_beside(index, file)

    def _note(self, member: tarfile.TarInfo, beside: dict[str, list[tuple[str, int, int]]]) -> None:
        key, extension = _split(member.name)
        place = member.offset_data, member.size
        if PurePosixPath(member.name).name.startswith("."):
            return
        if PurePosixPath(member.name).suffix.lower() in AUDIO_EXTENSIONS:
            self._names.append(member.name)
            self._places.extend(place)
        elif extension in BESIDE:
            beside.setdefault(key, []).append((extension, *place))

    def _look_beside(self, index: int, file: BinaryIO) -> None:
        try:
            fields = self._fields(index, file)
        except HearAestheticsError as error:
            del self._beside[index]
            self.errors.append(str(error))
            return
        self.carried = {**self.carried, **dict.fromkeys(fields)}
        prompt = fields.get(PROMPT) or fields.get(TEXT)
        if isinstance(prompt, str):
            self._prompts[index] = prompt

    def _fields(self, index: int, file: BinaryIO) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for extension, offset, size in self._beside.get(index, ()):
            file.seek(offset)
            content = file.read(size)
            name = f"{self.source}/{_split(self._names[index])[0]}{extension}"
            try:
                text = content.decode("utf-8-sig")
                value = json.loads(text) if extension == ".json" else {TEXT: text.strip()}
            except (ValueError, RecursionError) as error:
                raise InputError(f"{name}: not text or JSON ({error}); correct it") from error
            if not isinstance(value, dict):
                raise InputError(f'{name}: not a JSON object; write {{"prompt": "..."}}')
            fields |= value
        return fields


class TarAudio(StoredFile):
    """Audio of a row."""

    __slots__ = ("_index", "_rows")

    def __init__(self, rows: TarRows, index: int) -> None:
        self._rows, self._index = rows, index

    def __str__(self) -> str:
        return self._rows.name_of(self._index)

    def read(self) -> bytes:
        """Return the bytes."""
        return self._rows.read(self._index)

    def stamp(self) -> Mapping[str, Any]:
        """Return the stamp of the tar file, and the place in it."""
        return self._rows.stamp_of(self._index)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes as file and place in it."""
        place = self._rows.place_of(self._index)
        return TarSpan, (str(self), self._rows.source, *place, self.stamp())


class TarSpan(StoredFile):
    """Audio of a row of a tar file that was read elsewhere.

    Args:
        name: What it is called.
        source: The tar file.
        offset: Where the audio begins in it.
        size: Its bytes.
        known: Its stamp.
    """

    __slots__ = ("_known", "_name", "_place", "_source")

    def __init__(
        self, name: str, source: Path | RemoteFile, offset: int, size: int, known: Mapping[str, Any]
    ) -> None:
        self._name, self._source, self._place, self._known = name, source, (offset, size), known

    def __str__(self) -> str:
        return self._name

    def read(self) -> bytes:
        """Return the bytes."""
        return _read_span(self._source, *self._place)

    def stamp(self) -> Mapping[str, Any]:
        """Return the stamp of the tar file, and the place in it."""
        return self._known


def _read_span(source: Path | RemoteFile, offset: int, size: int) -> bytes:
    """Return some bytes of a tar file.

    Raises:
        AudioError: If they cannot be read.
    """
    if isinstance(source, RemoteFile):
        return source.read_span(offset, offset + size)
    try:
        with source.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise AudioError(f"{source}: cannot be read ({error.strerror}); {REMEDY}") from error


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the members, of which ``tarfile`` keeps none."""
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]
            yield member


def _split(name: str) -> tuple[str, str]:
    """Return WebDataset's key of a member, its name up to the first dot, and the rest."""
    folder, slash, base = name.rpartition("/")
    stem, dot, rest = base.partition(".")
    return f"{folder}{slash}{stem}", f"{dot}{rest}".lower()


def _is_compressed(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
