"""Decoding of audio files to blocks of samples: libsndfile, or FFmpeg (PyAV, an extra).

Files stored in a container or an object store are read whole and decoded from memory.

The length in a header is a hint, the decoder's end is the end. Joined MP3s and chained Oggs are
decoded part after part; rate and channels of the blocks may change with the part. A *frame* here is
one sample of every channel, at the rate of the file.

Every failure is an ``AudioError`` that names the file and what to do. A decoder that reports damage
ends with such an error, which says where; a file that merely ends early gives what it holds.
"""

import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from io import SEEK_END, BytesIO
from mmap import ACCESS_READ, mmap
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import soundfile

from hear_aesthetics.audio.quiet import quiet_libraries
from hear_aesthetics.audio.streams import is_plain, mend_wav, mpeg_parts, ogg_links
from hear_aesthetics.corpus.stored import AnyPath, StoredFile
from hear_aesthetics.errors import AudioError

_LIBSNDFILE = "aif aifc aiff au caf flac mp3 oga ogg opus rf64 w64 wav wave"
_FFMPEG = "3gp aac ac3 amr ape m4a m4b mka mkv mov mp2 mp4 webm wma wv"
AUDIO_EXTENSIONS = frozenset(f".{name}" for name in f"{_LIBSNDFILE} {_FFMPEG}".split())

RATES = range(1_000, 768_001)  # Hz; others come from a broken header, and would fill the memory
PREROLL_SECONDS = 1.0  # decoded before a span and dropped: MP3 and AAC frames lean on earlier ones
BLOCK_VALUES = 1 << 16  # samples of all channels together that one block holds
HEAD_BYTES = 4096
GUESSING = {"aac", "ac3", "eac3", "loas", "mp3"}  # FFmpeg's containers without a length
UNKNOWN_FRAMES = 1 << 48  # a header that says so many does not know
UNKNOWN_BYTES = 0x7FFF0000  # what programs write into a size that they cannot know, and more
# What libsndfile says of a header whose size is not that of the file.
WRONG_SIZE = re.compile(r"(?:RIFF|riff|FORM|Riff size|Data Size) *: (\d+) \(should be (\d+)\)")

_EMPTY = "an empty file; remove it or download it again"
_IMPOSTORS = {  # beginning of a file that is no audio -> problem and remedy
    "version https://git-lfs": "a Git LFS pointer, not the audio; run `git lfs pull`",
    "<!doctype html": "a web page, not audio; download it again",
    "<html": "a web page, not audio; download it again",
}


@dataclass(frozen=True)
class AudioInfo:
    """Header of an audio file.

    Attributes:
        duration: Seconds; None, as ``frames``, where the header does not know.
        sample_rate: Hz, of the file.
        channels: Number of channels, at least 1.
        frames: Samples per channel at ``sample_rate``.
        format: Container (libsndfile: ``"WAV"``, ``"MP3"``) or codec (FFmpeg: ``"AAC"``).
    """

    duration: float | None
    sample_rate: int
    channels: int
    frames: int | None
    format: str


class Block(NamedTuple):
    """Consecutive samples of a file: ``(frames, channels)`` float32, from frame ``position`` on."""

    samples: np.ndarray
    sample_rate: int
    position: int  # at this rate


class Decoder(Protocol):
    """Open audio file.

    Attributes:
        info: Its header.
        promised: Seconds that must be there by a header that knows; None for one that guesses.
    """

    info: AudioInfo
    promised: float | None

    def blocks_from(self, start: float) -> Iterator[Block]:
        """Yield blocks from ``start`` seconds on or earlier, consecutive to the end."""

    def close(self) -> None:
        """Release the file."""


@contextmanager
def open_decoder(path: AnyPath) -> Iterator[Decoder]:
    """Open the decoder that reads ``path``; it is closed at the end of the block.

    Raises:
        AudioError: If the file is missing, no audio, or of a format whose decoder is not installed.
    """
    with _open_file(path) as raw:
        decoder = _open(path, raw)
        info = decoder.info
        if info.sample_rate not in RATES or info.channels < 1:
            raise AudioError(
                f"{path}: its header says {info.sample_rate} Hz and {info.channels} channels, need "
                f"{RATES[0]}-{RATES[-1]} Hz and at least one; download or convert it again"
            )
        with closing(decoder):
            yield decoder


def _open(path: AnyPath, raw: BinaryIO) -> Decoder:
    for attempt in (_open_parts, SoundFileDecoder):
        with suppress(soundfile.LibsndfileError):
            if decoder := attempt(path, raw):
                return decoder
    return _open_pyav(path, raw)


def _open_file(path: AnyPath) -> BinaryIO:
    """Open a file, unless it is absent, special, empty, or known to be no audio."""
    if isinstance(path, StoredFile):
        stored = BytesIO(path.read())
        return _checked(path, stored, stored.getvalue()[:HEAD_BYTES])
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: a folder, not an audio file; name the files in it")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: a pipe or device; save the audio to a file first")
        file = path.open("rb")
        head = file.read(HEAD_BYTES)
        file.seek(0)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file; check its name and folder") from error
    except PermissionError as error:
        raise AudioError(f"{path}: no permission to read it; run `chmod u+r` on it") from error
    except (OSError, ValueError) as error:  # a name too long, a link in a loop, a null byte
        raise AudioError(f"{str(path)!r}: cannot be opened ({error}); check its name") from error
    return _checked(path, file, head)


def _checked(path: AnyPath, file: BinaryIO, head: bytes) -> BinaryIO:
    """Return an open file, unless its head says that it is empty or no audio."""
    text = head.decode("latin-1").lower().lstrip()
    problems = [problem for start, problem in _IMPOSTORS.items() if text.startswith(start)]
    if problems or not head:
        file.close()
        raise AudioError(f"{path}: {[*problems, _EMPTY][0]}")
    return file


def _damaged(path: AnyPath, info: AudioInfo, seconds: float, error: Exception) -> AudioError:
    at = f"{seconds:.2f} s" if info.duration is None else f"{seconds:.2f} of {info.duration:.2f} s"
    reason = " ".join(str(getattr(error, "strerror", error)).split()).rstrip(".")
    return AudioError(
        f"{path}: cut or damaged, decoding fails after {at} ({reason}); "
        "download it again, or take a span that ends before"
    )


def promised_times(log: str) -> float:
    """How many times what it holds a file promises, by libsndfile's log of its header."""
    wrong = WRONG_SIZE.search(log)
    known = wrong and int(wrong[1]) < UNKNOWN_BYTES and int(wrong[2])
    return int(wrong[1]) / int(wrong[2]) if wrong and known else 1.0


class SoundFileDecoder(soundfile.SoundFile):
    """Decoder for wav, flac, ogg, opus, mp3, aiff and whatever else libsndfile reads.

    Args:
        path: For messages.
        raw: The open file, or a part of it in memory. A descriptor rather than a name: libsndfile
            then goes by the content alone and hunts for no MPEG frames in what is called .mp3.
    """

    def __init__(self, path: AnyPath, raw: BinaryIO) -> None:
        self._path = path
        with quiet_libraries():
            super().__init__(raw if isinstance(raw, BytesIO) else raw.fileno(), closefd=False)
        frames = self.frames if 0 <= self.frames < UNKNOWN_FRAMES else None
        duration = None if frames is None else frames / max(self.samplerate, 1)
        self.info = AudioInfo(duration, self.samplerate, self.channels, frames, self.format)
        self.promised = None if duration is None else duration * promised_times(self.extra_info)

    def seekable(self) -> bool:
        """Return False: soundfile seeks to where it already is after each read of others.

        For MP3 that restarts the decoder without the bits that the next frame borrows from earlier
        ones, and puts noise at every block border.
        """
        return False

    def blocks_from(self, start: float) -> Iterator[Block]:
        """See ``Decoder``."""
        rate = self.info.sample_rate
        size = max(BLOCK_VALUES // self.info.channels, 1)
        position = max(round((start - PREROLL_SECONDS) * rate), 0)
        try:
            if position:
                position = self.seek(min(position, self.frames))
            while len(samples := self._read_quietly(size)):
                yield Block(samples, rate, position)
                position += len(samples)
        except soundfile.LibsndfileError as error:
            raise _damaged(self._path, self.info, position / rate, error) from error

    def _read_quietly(self, frames: int) -> np.ndarray:
        with quiet_libraries():
            if self.subtype == "PCM_16":  # three times as fast as libsndfile's own, bit for bit
                return self.read(frames, "int16", always_2d=True) * np.float32(2**-15)
            return self.read(frames, "float32", always_2d=True)


class PartsDecoder:
    """Decoder for streams that follow each other in one file, each read from memory."""

    def __init__(self, path: AnyPath, parts: list[bytes], missing: float) -> None:
        self._decoders = [SoundFileDecoder(path, BytesIO(part)) for part in parts]
        first = self._decoders[0].info
        lengths = [decoder.info.duration for decoder in self._decoders]
        duration = None if None in lengths else sum(length or 0.0 for length in lengths)
        frames = None if duration is None else round(duration * first.sample_rate)
        self.info = replace(first, duration=duration, frames=frames)
        self.promised = None if duration is None else duration + missing

    def blocks_from(self, start: float) -> Iterator[Block]:
        """See ``Decoder``."""
        begin = 0.0
        alone = len(self._decoders) == 1
        for decoder in self._decoders:
            offset, end = round(begin * decoder.info.sample_rate), begin
            for samples, rate, position in decoder.blocks_from(start if alone else 0.0):
                yield Block(samples, rate, offset + position)
                end = begin + (position + len(samples)) / rate
            begin = end

    def close(self) -> None:
        """See ``Decoder``."""
        for decoder in self._decoders:
            decoder.close()


def _open_parts(path: AnyPath, raw: BinaryIO) -> PartsDecoder | None:
    """Open files that libsndfile alone would read in part, or not at all; None for others."""
    with _contents(raw) as data:
        missing = 0.0
        if data[:4] == b"OggS":
            links = ogg_links(data)
            contents = [data[begin:end] for begin, end in links] if len(links) > 1 else []
        elif data[:4] == b"RIFF":
            mended = mend_wav(data) if data[8:12] == b"WAVE" else b""
            contents = [mended] if mended else []
        elif data[:1] in (b"\0", b"\xff") or data[:3] == b"ID3" or path.suffix.lower() == ".mp3":
            if data[:4] in (b"fLaC", b"FORM"):
                return None
            parts = mpeg_parts(data)
            contents = [] if is_plain(parts, data) else [part.content(data) for part in parts]
            missing = sum(part.missing / part.sample_rate for part in parts)
        else:
            return None
    return PartsDecoder(path, contents, missing) if contents else None


def _contents(raw: BinaryIO) -> AbstractContextManager[mmap | bytes]:
    """Return all of an open file, mapped unless it is in memory."""
    if isinstance(raw, BytesIO):
        return nullcontext(raw.getvalue())
    return mmap(raw.fileno(), 0, access=ACCESS_READ)


class PyAVDecoder:
    """Decoder for m4a, aac, webm, mp4 and whatever else FFmpeg reads."""

    def __init__(self, path: AnyPath, raw: BinaryIO, av: Any) -> None:
        self._path = path
        self._av = av
        length = raw.seek(0, SEEK_END)
        raw.seek(0)
        head = raw.read(HEAD_BYTES)
        raw.seek(0)  # a file object: playlists cannot lead FFmpeg to other files
        self._container = container = av.open(raw, metadata_errors="ignore")
        tracks = [t for t in container.streams.audio if t.codec_context is not None]
        if not tracks:  # none, or of a codec that FFmpeg does not know
            container.close()
            raise AudioError(f"{path}: no audio track that can be decoded; remove it")
        self._stream = stream = tracks[0]
        rate, duration = stream.rate or 0, None
        if container.format.name not in GUESSING:
            if stream.duration is not None:
                duration = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                duration = container.duration / av.time_base
        frames = None if duration is None else round(duration * rate)
        self.info = AudioInfo(duration, rate, stream.channels, frames, stream.name.upper())
        self.promised = duration
        at = head.find(b"data")
        if head[:4] == b"caff" and at > 0 and duration:  # FFmpeg tells what is there
            size = int.from_bytes(head[at + 4 : at + 12], "big", signed=True)
            self.promised = duration * max(size / (length - at - 12), 1)

    def blocks_from(self, start: float) -> Iterator[Block]:
        """See ``Decoder``. Seeks in mp4 and m4a, whose index is exact; decodes from 0 elsewhere."""
        stream = self._stream
        origin = stream.start_time or 0
        lead = start - PREROLL_SECONDS
        seconds, position = 0.0, 0
        kind: Any = None
        to_float: Any = None
        try:
            seeks = lead > 0 and self._container.format.name.startswith("mov")
            if seeks:
                self._container.seek(origin + int(lead / stream.time_base), stream=stream)
            for frame in self._container.decode(stream):
                if seeks:
                    seconds, seeks = float((frame.pts - origin) * frame.time_base), False
                if kind != (kind := (frame.sample_rate, frame.layout.name, frame.format.name)):
                    to_float = self._av.AudioResampler(format="fltp")  # planar float32, same rate
                    position = round(seconds * frame.sample_rate)
                for piece in to_float.resample(frame):
                    yield Block(piece.to_ndarray().T, piece.sample_rate, position)
                    position += piece.samples
                seconds = position / frame.sample_rate
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise _damaged(self._path, self.info, seconds, error) from error

    def close(self) -> None:
        """See ``Decoder``."""
        self._container.close()


def _open_pyav(path: AnyPath, raw: BinaryIO) -> PyAVDecoder:
    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{path}: libsndfile does not read it, and PyAV, which reads m4a, webm and more, is "
            'missing; pip install "hear-aesthetics[av]", or convert the file to wav or flac'
        ) from error
    try:
        return PyAVDecoder(path, raw, av)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise AudioError(
            f"{path}: neither libsndfile nor FFmpeg reads it as audio; "
            "convert it to wav or flac, or remove it"
        ) from error
